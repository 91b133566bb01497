// SPDX-License-Identifier: Apache-2.0
// NVIDIA's management library (NVML, API reference, "Device Queries": nvmlDeviceGetComputeRunningProcesses), which comes
// with the driver and is therefore looked for at run time, not linked. Its interface is kept stable under versioned names.
// A process may stand in a card's list of compute and of graphics, with the same number: the larger one counts. It stays
// open until we end.
#include "grid/nvml.h"
#include <dlfcn.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>

#define PROCESSES_MAX 512 // of one card
#define NOT_AVAILABLE UINT64_MAX

struct nvml_process { // nvmlProcessInfo_t
    unsigned pid;
    unsigned long long used; // bytes
    unsigned gpu_instance, compute_instance;
};
typedef int nvml_list(void *device, unsigned *n, struct nvml_process *v);

static struct {
    int (*init)(void);
    int (*count)(unsigned *n);
    int (*device)(unsigned i, void **device);
    nvml_list *compute, *graphics;
} nvml;
static pthread_once_t once = PTHREAD_ONCE_INIT;
static atomic_bool is_open;

static bool symbol(void *library, const char *name, void *to) {
    *(void **)to = dlsym(library, name); // POSIX lets a function's address go through a void *
    return *(void **)to != NULL;
}

static void open_once(void) {
    void *library = dlopen("libnvidia-ml.so.1", RTLD_NOW | RTLD_LOCAL);
    if (!library)
        return;
    bool has = symbol(library, "nvmlInit_v2", (void *)&nvml.init) &&
               symbol(library, "nvmlDeviceGetCount_v2", (void *)&nvml.count) &&
               symbol(library, "nvmlDeviceGetHandleByIndex_v2", (void *)&nvml.device) &&
               symbol(library, "nvmlDeviceGetComputeRunningProcesses_v3", (void *)&nvml.compute) &&
               symbol(library, "nvmlDeviceGetGraphicsRunningProcesses_v3", (void *)&nvml.graphics);
    if (has && nvml.init() == 0)
        atomic_store(&is_open, true);
    else
        (void)dlclose(library);
}

void nvml_open(void) {
    (void)pthread_once(&once, open_once);
}

static int64_t listed(nvml_list *list, void *device, int pid) {
    struct nvml_process v[PROCESSES_MAX];
    unsigned n = PROCESSES_MAX;
    int64_t sum = 0; // one row for each part of a card that was divided
    if (list(device, &n, v) != 0)
        return 0;
    for (unsigned i = 0; i < n && i < PROCESSES_MAX; i++)
        if (v[i].pid == (unsigned)pid && v[i].used != NOT_AVAILABLE && v[i].used < (UINT64_C(1) << 50))
            sum += (int64_t)v[i].used;
    return sum;
}

int64_t nvml_process_bytes(int pid) {
    unsigned n = 0;
    int64_t sum = 0;
    if (!atomic_load(&is_open) || nvml.count(&n) != 0)
        return 0;
    for (unsigned i = 0; i < n; i++) {
        void *device = NULL;
        if (nvml.device(i, &device) != 0)
            continue;
        int64_t compute = listed(nvml.compute, device, pid), graphics = listed(nvml.graphics, device, pid);
        sum += compute > graphics ? compute : graphics;
    }
    return sum;
}
