// SPDX-License-Identifier: Apache-2.0
// The machine as the engine must know it: how many cores and how much memory there are for models, what a llama-server
// takes. A container's bounds (cgroup v2) count like the machine's own. Everything is a small text file that may be
// missing or odd; then the plain answer of the system stands. Called on the main thread, at starts and every few seconds.
#include "grid/machine.h"
#include <dirent.h>
#include <sched.h>
#include <stdio.h>
#include <unistd.h>
#include "base/buf.h"
#include "base/fs.h"
#include "grid/nvml.h"

static bool file_text(const char *path, struct buf *out) {
    return fs_read_file(path, 65536, out) == ERR_OK;
}

// Of a list like "0,4" or "0-1" the first: the thread that stands for its core.
static bool cpu_is_second(int cpu) {
    char path[96];
    struct buf text = BUF_INIT(65536);
    uint64_t first = (uint64_t)cpu;
    (void)snprintf(path, sizeof path, "/sys/devices/system/cpu/cpu%d/topology/thread_siblings_list", cpu);
    if (file_text(path, &text)) {
        struct slice s = buf_slice(&text);
        size_t n = 0;
        while (n < s.n && s.p[n] >= '0' && s.p[n] <= '9')
            n++;
        if (!slice_u64(slice_first(s, n), &first))
            first = (uint64_t)cpu;
    }
    buf_done(&text);
    return first != (uint64_t)cpu;
}

// "max 100000" or "150000 100000"; 0: no bound.
static int64_t cgroup_cores(void) {
    struct buf text = BUF_INIT(65536);
    uint64_t quota = 0, period = 0;
    int64_t n = 0;
    if (file_text("/sys/fs/cgroup/cpu.max", &text)) {
        struct slice s = slice_trim(buf_slice(&text));
        bool given = slice_u64(slice_split(&s, ' '), &quota) && slice_u64(s, &period) && period > 0;
        if (given && quota / period < 65536)
            n = (int64_t)((quota + period - 1) / period);
    }
    buf_done(&text);
    return n;
}

int64_t machine_cores(void) {
    cpu_set_t set;
    int64_t n = 0, most = cgroup_cores();
    if (sched_getaffinity(0, sizeof set, &set) == 0) {
        for (int i = 0; i < CPU_SETSIZE; i++)
            n += CPU_ISSET((size_t)i, &set) && !cpu_is_second(i);
        if (n == 0) // only second threads are ours
            n = CPU_COUNT(&set);
    }
    if (n < 1)
        n = sysconf(_SC_NPROCESSORS_ONLN);
    if (most > 0 && most < n)
        n = most;
    return n < 1 ? 1 : n;
}

int64_t machine_memory(void) {
    long pages = sysconf(_SC_PHYS_PAGES), page = sysconf(_SC_PAGESIZE);
    int64_t all = pages > 0 && page > 0 ? (int64_t)pages * page : INT64_MAX;
    struct buf text = BUF_INIT(65536);
    uint64_t bound = 0;
    if (file_text("/sys/fs/cgroup/memory.max", &text) && slice_u64(slice_trim(buf_slice(&text)), &bound) && bound > 0 &&
        bound < (uint64_t)all)
        all = (int64_t)bound;
    buf_done(&text);
    return all;
}

// "Key:   123 kB" in bytes, 0 if it is not there.
static int64_t kib_of(struct slice text, const char *key) {
    while (text.n) {
        struct slice line = slice_split(&text, '\n');
        uint64_t v = 0;
        if (!slice_starts(line, key))
            continue;
        struct slice rest = slice_trim(slice_from(line, strlen(key)));
        if (slice_u64(slice_split(&rest, ' '), &v) && v < (UINT64_C(1) << 40))
            return (int64_t)v * 1024;
    }
    return 0;
}

int64_t process_memory(int pid) {
    char path[64];
    struct buf text = BUF_INIT(65536);
    int64_t bytes = 0;
    (void)snprintf(path, sizeof path, "/proc/%d/smaps_rollup", pid);
    if (file_text(path, &text))
        bytes = kib_of(buf_slice(&text), "Pss:");
    if (bytes == 0) {
        buf_clear(&text);
        (void)snprintf(path, sizeof path, "/proc/%d/status", pid);
        if (file_text(path, &text))
            bytes = kib_of(buf_slice(&text), "VmRSS:");
    }
    buf_done(&text);
    return bytes;
}

static int64_t fdinfo_vram(struct slice text) {
    static const char *const keys[] = {"drm-memory-vram:", "drm-resident-vram:", "drm-resident-vram0:",
                                       "drm-resident-local0:"}; // amdgpu of old and of now, xe, i915
    int64_t most = 0;
    for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++) {
        int64_t v = kib_of(text, keys[i]);
        most = v > most ? v : most;
    }
    return most;
}

// Several descriptors of one client tell the same: the largest counts, as a llama-server opens a card once.
static int64_t drm_vram(int pid) {
    char path[300];
    int64_t most = 0;
    (void)snprintf(path, sizeof path, "/proc/%d/fdinfo", pid);
    DIR *d = opendir(path);
    for (struct dirent *f; d && (f = readdir(d));) {
        struct buf text = BUF_INIT(65536);
        (void)snprintf(path, sizeof path, "/proc/%d/fdinfo/%.20s", pid, f->d_name);
        if (f->d_name[0] != '.' && file_text(path, &text)) {
            int64_t v = fdinfo_vram(buf_slice(&text));
            most = v > most ? v : most;
        }
        buf_done(&text);
    }
    if (d)
        closedir(d);
    return most;
}

int64_t process_vram(int pid) {
    int64_t drm = drm_vram(pid);
    return drm > 0 ? drm : nvml_process_bytes(pid);
}
