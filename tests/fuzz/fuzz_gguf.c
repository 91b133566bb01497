// SPDX-License-Identifier: Apache-2.0
// GGUF headers come with files from strangers: any bytes give a result or an error, never a crash, an endless loop or
// memory by a number from the file. Texts that come out are printable and end.
#include <stdlib.h>
#include "store/gguf.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct gguf g;
    if (gguf_read(slice_of((const char *)data, size), &g) != ERR_OK)
        return 0;
    if (g.parameters < 0 || g.file_bytes < 0 || g.context_length < 0 || strlen(g.architecture) >= sizeof g.architecture)
        abort();
    if (gguf_kv_bytes(&g, 4096) < 0)
        abort();
    (void)gguf_quantization(g.file_type);
    return 0;
}
