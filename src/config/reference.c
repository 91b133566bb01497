// SPDX-License-Identifier: Apache-2.0
// docs/configuration.md, printed from the schema table, so that the page can't say what the parser does not do.
#include "config/schema.h"

static const char *type_text(const struct field *f) {
    switch (f->type) {
    case FIELD_STRING:
    case FIELD_ENUM:
        return f->names ? "one of" : "text";
    case FIELD_BOOL:
    case FIELD_TRISTATE:
        return "true or false";
    case FIELD_INT:
        return "whole number";
    case FIELD_BYTES:
        return "size";
    case FIELD_DURATION:
    case FIELD_SECONDS:
        return "duration";
    case FIELD_STRINGS:
        return "text or list";
    case FIELD_MONEY:
        return "amount";
    case FIELD_PRICE:
        return "price";
    case FIELD_SECRET:
        return "secret";
    case FIELD_SECRET_FILE:
        return "path";
    case FIELD_OBJECT:
    case FIELD_MATRIX:
    case FIELD_HEADERS:
        return "map";
    case FIELD_LIST:
        return "list";
    case FIELD_MAP:
        return "map of names";
    }
    return "";
}

static void rows_write(struct buf *out, const struct schema *s, const char *prefix) {
    for (const struct field *f = s->fields; f->key; f++) {
        buf_printf(out, "| `%s%s` | %s", prefix, f->key, type_text(f));
        for (size_t i = 0; f->names && f->names[i]; i++)
            buf_printf(out, "%s `%s`", i ? "," : "", f->names[i]);
        buf_printf(out, " | %s%s%s | %s%s |\n", f->initial ? "`" : "", f->initial ? f->initial : "",
                   f->initial ? "`" : "", f->text, f->required ? " (required)" : "");
        if (!f->sub)
            continue;
        struct buf inner = BUF_INIT(512);
        buf_printf(&inner, "%s%s%s", prefix, f->key,
                   f->type == FIELD_OBJECT ? "."
                   : f->type == FIELD_MAP  ? ".NAME."
                                           : "[].");
        rows_write(out, f->sub, buf_cstr(&inner));
        buf_done(&inner);
    }
}

void config_write_reference(struct buf *out) {
    buf_append_str(out,
                   "# Configuration reference\n\n"
                   "Printed by `gridtie check --reference` from the table that the parser uses; do not edit.\n\n"
                   "The file is YAML: `$XDG_CONFIG_HOME/gridtie/gridtie.yaml`, or `--config FILE`. Without one, the\n"
                   "defaults hold. `${VARIABLE}` in a text takes the environment's value; an unset one is an error.\n"
                   "`gridtie check` lists every problem with file, line and column.\n\n"
                   "| key | type | default | meaning |\n|---|---|---|---|\n");
    rows_write(out, &schema_root, "");
}
