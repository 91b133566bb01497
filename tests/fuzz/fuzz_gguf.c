// SPDX-License-Identifier: Apache-2.0
// GGUF headers come with files from strangers: any bytes give a result or an error, never a crash, an endless loop or
// memory by a number from the file. Texts that come out are printable and end; what is shown of a header that reads well is
// JSON.
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>
#include "store/gguf.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must_be_json(struct buf *text) {
    struct arena a;
    struct json_doc doc;
    struct json_error why;
    arena_init(&a, 64u << 20, 0);
    if (json_read(&a, buf_slice(text), &doc, &why) == ERR_BAD_JSON)
        abort();
    arena_done(&a);
}

static void show(const uint8_t *data, size_t size) {
    char path[64];
    struct buf out = BUF_INIT(8u << 20), tensors = BUF_INIT(8u << 20), template = BUF_INIT(1u << 20);
    struct json_writer w = JSON_WRITER(&out), t = JSON_WRITER(&tensors);
    int fd = memfd_create("gguf", MFD_CLOEXEC);
    if (fd < 0 || write(fd, data, size) != (ssize_t)size)
        abort();
    (void)snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    json_obj(&w);
    enum err e = gguf_metadata(path, true, &w, &template, &t);
    json_obj_end(&w);
    if (!e && !out.failed && !tensors.failed) {
        must_be_json(&out);
        must_be_json(&tensors);
    }
    (void)close(fd);
    buf_done(&out);
    buf_done(&tensors);
    buf_done(&template);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct gguf g;
    show(data, size);
    if (gguf_read(slice_of((const char *)data, size), &g) != ERR_OK)
        return 0;
    if (g.parameters < 0 || g.file_bytes < 0 || g.context_length < 0 || strlen(g.architecture) >= sizeof g.architecture)
        abort();
    if (gguf_kv_bytes(&g, 4096) < 0)
        abort();
    (void)gguf_quantization(g.file_type);
    return 0;
}
