// SPDX-License-Identifier: Apache-2.0
// Modelfiles and manifests come from strangers: any bytes give a result or a problem. What is read as a manifest is written
// and read back as the same; names that were taken lead nowhere but into the store.
#include <stdlib.h>
#include "store/manifest.h"
#include "store/modelfile.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void manifest_try(struct slice text) {
    struct arena a;
    struct manifest m, back;
    struct buf out = BUF_INIT(64u << 20), again = BUF_INIT(64u << 20);
    arena_init(&a, 256u << 20, 0);
    if (manifest_read(&a, text, &m) == ERR_OK) {
        manifest_write(&m, &out);
        if (out.failed || manifest_read(&a, buf_slice(&out), &back) != ERR_OK)
            abort();
        manifest_write(&back, &again);
        if (!slice_eq(buf_slice(&out), buf_slice(&again)))
            abort();
    }
    arena_done(&a);
    buf_done(&out);
    buf_done(&again);
}

static void name_try(struct slice text) {
    char name[NAME_BYTES];
    struct buf file = BUF_INIT(4096), problem = BUF_INIT(4096);
    if (name_parse(text, name, &problem)) {
        name_file(name, &file);
        if (slice_find(buf_slice(&file), '/') != SIZE_MAX || buf_cstr(&file)[0] == '.' || problem.len)
            abort();
    } else if (!problem.len) {
        abort();
    }
    buf_done(&file);
    buf_done(&problem);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct slice text = slice_of((const char *)data, size);
    struct arena a;
    struct modelfile m;
    struct buf problem = BUF_INIT(65536);
    arena_init(&a, 64u << 20, 0);
    enum err e = modelfile_read(&a, text, &m, &problem);
    if (e == ERR_OK ? m.n_from == 0 : problem.len == 0)
        abort();
    if (e == ERR_OK && m.template)
        (void)template_is_go(slice_str(m.template));
    arena_done(&a);
    buf_done(&problem);
    manifest_try(text);
    name_try(text);
    return 0;
}
