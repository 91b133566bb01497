// SPDX-License-Identifier: Apache-2.0
// NVIDIA's management library as far as grid/nvml.c calls it, for machines without such a card: libnvidia-ml.so.1, found
// by LD_LIBRARY_PATH. One card, on which each fake llama-server (tests/fault/children.c) holds FAKE_VRAM_MIB.
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct process {
    unsigned pid;
    unsigned long long used;
    unsigned gpu_instance, compute_instance;
};

int nvmlInit_v2(void);
int nvmlDeviceGetCount_v2(unsigned *n);
int nvmlDeviceGetHandleByIndex_v2(unsigned i, void **device);
int nvmlDeviceGetComputeRunningProcesses_v3(void *device, unsigned *n, struct process *v);
int nvmlDeviceGetGraphicsRunningProcesses_v3(void *device, unsigned *n, struct process *v);

static const char *vram(void) {
    const char *text = getenv("FAKE_VRAM_MIB");
    return text ? text : "";
}

int nvmlInit_v2(void) {
    return vram()[0] ? 0 : 9; // NVML_ERROR_DRIVER_NOT_LOADED
}

int nvmlDeviceGetCount_v2(unsigned *n) {
    *n = 1;
    return 0;
}

int nvmlDeviceGetHandleByIndex_v2(unsigned i, void **device) {
    static int card;
    *device = &card;
    return i == 0 ? 0 : 2; // NVML_ERROR_INVALID_ARGUMENT
}

static int is_fake_server(const char *pid) {
    char path[300], name[32] = "";
    (void)snprintf(path, sizeof path, "/proc/%.20s/comm", pid);
    FILE *f = fopen(path, "re");
    if (!f)
        return 0;
    int got = fgets(name, sizeof name, f) != NULL;
    (void)fclose(f);
    return got && strcmp(name, "fake-llama\n") == 0;
}

int nvmlDeviceGetComputeRunningProcesses_v3(void *device, unsigned *n, struct process *v) {
    unsigned most = *n;
    (void)device;
    *n = 0;
    DIR *d = opendir("/proc");
    for (struct dirent *f; d && (f = readdir(d));)
        if (f->d_name[0] >= '1' && f->d_name[0] <= '9' && is_fake_server(f->d_name) && *n < most)
            v[(*n)++] = (struct process){.pid = (unsigned)strtoul(f->d_name, NULL, 10),
                                         .used = strtoull(vram(), NULL, 10) << 20};
    if (d)
        (void)closedir(d);
    return 0;
}

int nvmlDeviceGetGraphicsRunningProcesses_v3(void *device, unsigned *n, struct process *v) {
    (void)device;
    (void)v;
    *n = 0;
    return 0;
}
