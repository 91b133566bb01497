// SPDX-License-Identifier: Apache-2.0
// The catalogue's sources are edited by strangers, its compiled file lies where other programs may write: any bytes give a
// result or an error. What was compiled must be a file that opens.
#include <stdlib.h>
#include "base/json.h"
#include "grid/catalogue.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void use(const struct catalogue *c, struct buf *out) {
    struct json_writer w = JSON_WRITER(out);
    struct model_facts f;
    for (size_t i = 0; i < n_providers; i++)
        (void)catalogue_find(c, &providers[i], SLICE("gpt-4o-2024-08-06"), &f);
    catalogue_summary_json(c, &w);
    catalogue_search_json(c, SLICE("g"), 10, &w);
    catalogue_diff_json(c, &w);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct buf file = BUF_INIT(1 << 20), problem = BUF_INIT(4096), out = BUF_INIT(1 << 20);
    struct slice all = slice_of((const char *)data, size), first = slice_split(&all, 0);
    struct catalogue *c = NULL;
    if (slice_starts(slice_of((const char *)data, size), "gtcat"))
        (void)(catalogue_of(slice_of((const char *)data, size), &c) == ERR_OK);
    else if (catalogue_compile(first, all, SLICE_NONE, 1793923200, &file, &problem) == ERR_OK &&
             catalogue_of(buf_slice(&file), &c) != ERR_OK)
        abort();
    if (c)
        use(c, &out);
    catalogue_unref(c);
    buf_done(&file);
    buf_done(&problem);
    buf_done(&out);
    return 0;
}
