// SPDX-License-Identifier: Apache-2.0
// Fuzzes the codec of OpenAI's responses; see fuzz_codec.h.
#include "fuzz_codec.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n) {
    return fuzz_codec(dialect_get(DIALECT_RESPONSES), OP_COUNT_TOKENS, bytes, n);
}
