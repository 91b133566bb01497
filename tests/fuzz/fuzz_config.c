// SPDX-License-Identifier: Apache-2.0
// A config comes from the operator, but a reload must not kill the daemon: any bytes give a config or a report that names
// each problem, never a crash, a leak or a half-built config.
#include <stdlib.h>
#include "config/config.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct buf problems = BUF_INIT(65536);
    struct config *c = NULL;
    enum err e = config_load_text(slice_of((const char *)data, size), "fuzz", "/nowhere", &c, &problems);
    if ((e == ERR_OK) != (c != NULL) || problems.failed)
        abort();
    if (e == ERR_BAD_FIELD && problems.len == 0)
        abort();
    if (e == ERR_OK && (c->n_listen == 0 || !c->listen[0] || !c->log_level || (c->n_keys && !c->keys[0].name)))
        abort();
    config_unref(c);
    buf_done(&problems);
    return 0;
}
