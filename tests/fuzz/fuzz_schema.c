// SPDX-License-Identifier: Apache-2.0
// Schema and value come from strangers: two JSON texts, parted by the first newline. Whatever they are, the check ends, tells
// a reason exactly when it says no, says the same twice, and every value fits the empty schema.
#include "ir/schema.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n);

static void fuzz_check(yyjson_val *schema, yyjson_val *value) {
    struct schema_fault one, two;
    enum err e = schema_check(schema, value, &one);
    if (e != ERR_OK && e != ERR_UP_SCHEMA && e != ERR_LIMIT)
        __builtin_trap();
    if ((e == ERR_UP_SCHEMA) != (one.text[0] != 0) || strlen(one.text) >= sizeof one.text)
        __builtin_trap();
    if (schema_check(schema, value, &two) != e || strcmp(one.text, two.text) != 0)
        __builtin_trap();
    if (yyjson_obj_size(schema) == 0 && yyjson_is_obj(schema) && e != ERR_OK)
        __builtin_trap();
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n) {
    struct slice value = slice_of((const char *)bytes, n), schema = slice_split(&value, '\n');
    struct json_doc s, v;
    struct json_error why;
    struct arena a;
    arena_init(&a, 16u << 20, 0);
    if (!json_read(&a, schema, &s, &why) && !json_read(&a, value, &v, &why)) {
        fuzz_check(yyjson_doc_get_root(s.doc), yyjson_doc_get_root(v.doc));
        fuzz_check(yyjson_doc_get_root(s.doc), yyjson_doc_get_root(s.doc));
    }
    arena_done(&a);
    return 0;
}
