// SPDX-License-Identifier: Apache-2.0
// Fuzzes the Gemini codec; see fuzz_codec.h.
#include "fuzz_codec.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n) {
    return fuzz_codec(dialect_get(DIALECT_GEMINI), OP_COUNT_TOKENS, bytes, n);
}
