// SPDX-License-Identifier: Apache-2.0
// What Replicate's codec reads (fuzz_codec.h), and the step that a prediction asks for.
#include "fuzz_codec.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n) {
    const struct dialect *d = dialect_get(DIALECT_REPLICATE);
    struct arena a;
    struct wire_step step;
    arena_init(&a, 64 << 20, 0);
    if (n && d->read_step(&a, slice_of((const char *)bytes + 1, n - 1), true, &step) == ERR_OK &&
        step.next != NEXT_NOTHING && !step.url.n)
        __builtin_trap();
    arena_done(&a);
    return fuzz_codec(d, OP_GENERATE, bytes, n);
}
