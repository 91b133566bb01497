// SPDX-License-Identifier: Apache-2.0
// docs/configuration.md, printed from the schema table, so that the page can't say what the parser does not do; a test
// compares the committed page with this, and loads the sample. Writes into the caller's buf and nowhere else.
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
    case FIELD_PATH:
    case FIELD_SECRET_FILE:
        return "path";
    case FIELD_REACH:
        return "condition or map of zones";
    case FIELD_OBJECT:
    case FIELD_HEADERS:
        return "map";
    case FIELD_LIST:
        return "list";
    case FIELD_MAP:
        return "map of names";
    }
    return "";
}

static void type_write(struct buf *out, const struct field *f) {
    char low[32], high[32];
    buf_append_str(out, type_text(f));
    for (size_t i = 0; f->names && f->names[i]; i++)
        buf_printf(out, "%s `%s`", i ? "," : "", f->names[i]);
    if (f->max)
        buf_printf(out, ", %s to %s", field_number_text(f, f->min, low), field_number_text(f, f->max, high));
}

static void row_write(struct buf *out, const struct field *f, const char *prefix) {
    buf_printf(out, "| `%s%s` | ", prefix, f->key);
    type_write(out, f);
    if (f->initial)
        buf_printf(out, " | `%s` |", f->initial);
    else
        buf_printf(out, " | %s |", f->shown ? f->shown : f->required ? "required" : "");
    buf_printf(out, " %s |\n", f->text);
}

static void rows_write(struct buf *out, const struct schema *s, const char *prefix) {
    for (const struct field *f = s->fields; f->key; f++) {
        if (f->from_key)
            continue;
        row_write(out, f, prefix);
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

static const char head[] =
    "# Configuration reference\n\n"
    "Printed by `gridtie check --reference` from the table that the parser uses; do not edit.\n\n"
    "The file is YAML: `$XDG_CONFIG_HOME/gridtie/gridtie.yaml`, or `--config FILE`. Without one, the defaults hold.\n"
    "Every key is optional unless the table says required. `gridtie check` lists every problem with file, line and\n"
    "column; a reload takes the whole file or none of it.\n\n"
    "## A sample\n\n```yaml\n";

const char config_sample[] = "listen: [127.0.0.1:11411, \"[::1]:11411\"]\n"
                             "engine:\n"
                             "  memory: 8GiB\n"
                             "  keep_alive: 5m\n"
                             "  args: [--n-gpu-layers, 99]\n"
                             "endpoints:\n"
                             "  - {name: groq, provider: groq, key: \"${GROQ_API_KEY}\"}\n"
                             "  - {name: lab, provider: vllm, url: \"http://lab.internal:8000/v1\", zone: edge}\n"
                             "  - name: any\n"
                             "    provider: openai\n"
                             "    url: https://llm.example/v1\n"
                             "    key_file: llm.key\n"
                             "    zone: cloud\n"
                             "    retention: false\n"
                             "    models: [big, {name: small, context: 32768, vision: false}]\n"
                             "    timeouts: {first_event: 1m}\n"
                             "routes:\n"
                             "  coding: {targets: [groq/llama-3.3-70b, \"local/qwen3:8b\"], policy: ordered}\n"
                             "  quick: [any/small, \"local/qwen3:8b\"]\n"
                             "catalogue:\n"
                             "  models:\n"
                             "    - {name: any/big, input: 2.50 USD/M, cached_input: 0.25 USD/M, output: 10 USD/M}\n"
                             "keys:\n"
                             "  - {name: team, secret_file: team.key, budgets: [{amount: 50 USD, window: month}]}\n"
                             "  - {name: lawyers, secret: \"${LAWYERS_KEY}\", label: personal, reach: edge}\n"
                             "privacy:\n"
                             "  personal: pseudonymise\n"
                             "  internal: {cloud: no}\n";

static const char values[] =
    "```\n\n"
    "## Values\n\n"
    "| type | written as |\n|---|---|\n"
    "| duration | `250ms`, `30s`, `5m`, `1.5h`, `30d`, `0` |\n"
    "| size | `100`, `64KiB`, `8GiB` (powers of 1024), `512MB` (powers of 1000) |\n"
    "| amount | `50 USD`, exact to 10⁻¹² USD |\n"
    "| price | `2.50 USD/M`: per million tokens, exact to 10⁻⁶ USD |\n"
    "| path | absolute, `~/…`, or relative to the folder of the config file |\n"
    "| secret | one word without blanks; a file's outer white space is cut off, and a file that others may open is "
    "warned of |\n"
    "| condition | `yes`, `no`, `pseudonymised` (or `pseudonymise`), `no_retention`; alone it speaks of zone `cloud` and "
    "may only tighten. `{cloud: yes}` loosens, since it is written out |\n\n"
    "`${VARIABLE}` in a text takes the environment's value; an unset one is an error. `key:` with nothing behind it is as\n"
    "if it were not there. Anchors, aliases and a second document are refused.\n\n"
    "## Keys\n\n"
    "| key | type | default | meaning |\n|---|---|---|---|\n";

void config_write_reference(struct buf *out) {
    buf_append_str(out, head);
    buf_append_str(out, config_sample);
    buf_append_str(out, values);
    rows_write(out, &schema_root, "");
}
