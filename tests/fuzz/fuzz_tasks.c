// SPDX-License-Identifier: Apache-2.0
// What is read beside chats: completions, vectors and rerank, of the two dialects that have them. The first byte's high
// bits choose dialect and operation, its low ones what is read (fuzz_codec.h).
#include "fuzz_codec.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n) {
    static const enum op ops[] = {OP_EMBED, OP_RERANK, OP_GENERATE, OP_EMBED};
    enum dialect_id id = n && bytes[0] & 128 ? DIALECT_OLLAMA : DIALECT_OPENAI;
    return fuzz_codec(dialect_get(id), ops[n ? bytes[0] >> 4 & 3 : 0], bytes, n);
}
