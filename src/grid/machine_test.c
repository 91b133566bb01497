// SPDX-License-Identifier: Apache-2.0
// What the machine says of itself and of us; its numbers are its own, so only their order is held to.
#include "grid/machine.h"
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "unit.h"

TEST(machine_has_cores_and_memory) {
    CHECK(machine_cores() >= 1 && machine_cores() <= sysconf(_SC_NPROCESSORS_CONF));
    CHECK(machine_memory() > 64 << 20);
    CHECK(machine_memory() <= (int64_t)sysconf(_SC_PHYS_PAGES) * sysconf(_SC_PAGESIZE));
}

TEST(machine_counts_what_a_process_takes) {
    static const size_t size = 64 << 20;
    int64_t before = process_memory((int)getpid());
    CHECK(before > 0);
    char *more = malloc(size);
    if (!more)
        FAIL("no memory");
    memset(more, 1, size);
    int64_t after = process_memory((int)getpid());
    bool kept = more[size / 2] == 1; // or the compiler leaves the memset out
    free(more);
    CHECK(kept);
    CHECK(after - before > 48 << 20);
    CHECK(after < machine_memory());
    CHECK_EQ(process_memory(INT32_MAX), 0);
    CHECK_EQ(process_vram(INT32_MAX), 0);
    CHECK_EQ(process_vram((int)getpid()), 0);
}
