// SPDX-License-Identifier: Apache-2.0
// `gridtie show`: what a model is, as its GGUF says it.
#include <stdio.h>
#include "base/limits.h"
#include "cli/table.h"
#include "cli/talk.h"

static void row(const char *name, const char *value) {
    if (value && value[0] && !(value[0] == '-' && !value[1]))
        (void)printf("  %-16s %s\n", name, value);
}

static void row_str(struct arena *a, const char *name, struct slice value) {
    if (value.n)
        row(name, text_plain(a, value));
}

// The architecture's own numbers: "llama.context_length".
static void row_info(struct arena *a, const char *name, yyjson_val *info, const char *key) {
    struct slice arch = json_get_str(info, "general.architecture");
    const char *full = text_printf(a, "%.*s.%s", SLICE_FMT(arch), key);
    int64_t v = json_get_int(info, full, 0);
    if (v > 0)
        row(name, text_printf(a, "%lld", (long long)v));
}

static const char *words(struct arena *a, yyjson_val *list) {
    const char *text = "";
    yyjson_val *v;
    size_t i, n;
    yyjson_arr_foreach(list, i, n, v) {
        text = text_printf(a, "%s%s%s", text, i ? ", " : "", text_plain(a, json_str(v)));
    }
    return text;
}

static void lines(struct arena *a, const char *head, struct slice text) {
    if (!text.n)
        return;
    (void)printf("\n%s\n", head);
    while (text.n)
        (void)printf("  %s\n", text_plain(a, slice_split(&text, '\n')));
}

static void about(struct arena *a, yyjson_val *root) {
    yyjson_val *details = yyjson_obj_get(root, "details"), *info = yyjson_obj_get(root, "model_info");
    yyjson_val *ours = yyjson_obj_get(root, "gridtie");
    (void)puts("model");
    row_str(a, "architecture", json_get_str(details, "family"));
    row_str(a, "parameters", json_get_str(details, "parameter_size"));
    row_str(a, "quantization", json_get_str(details, "quantization_level"));
    row_info(a, "context length", info, "context_length");
    row_info(a, "embedding length", info, "embedding_length");
    row("size", text_bytes(a, json_get_int(ours, "size", 0)));
    row("can", words(a, yyjson_obj_get(root, "capabilities")));
    row("chat template", yyjson_is_true(yyjson_obj_get(ours, "chat_template")) ? "yes" : "none: a base model");
    row_str(a, "name", json_get_str(ours, "name"));
    row_str(a, "from", json_get_str(ours, "from"));
    row_str(a, "source", json_get_str(ours, "source"));
    row_str(a, "path", json_get_str(ours, "path"));
    row_str(a, "projector", json_get_str(ours, "projector"));
    row_str(a, "note", json_get_str(ours, "note"));
    row_str(a, "problem", json_get_str(ours, "problem"));
}

static int show_call(struct talk *t, const struct cli *c) {
    struct buf body = BUF_INIT(65536), text = BUF_INIT(LIMIT_UP_BODY_BYTES);
    struct json_writer w = JSON_WRITER(&body);
    json_obj(&w);
    json_kv_cstr(&w, "model", c->args[0]);
    json_kv_bool(&w, "verbose", c->value[OPT_VERBOSE] != NULL);
    json_obj_end(&w);
    yyjson_val *root = talk_post(t, "/api/show", buf_slice(&body), &text, 60);
    if (root && c->value[OPT_JSON]) {
        (void)printf("%.*s\n", SLICE_FMT(slice_trim(buf_slice(&text))));
    } else if (root && c->value[OPT_MODELFILE]) {
        (void)printf("%.*s", SLICE_FMT(json_get_str(root, "modelfile")));
    } else if (root) {
        about(&t->arena, root);
        lines(&t->arena, "system", json_get_str(root, "system"));
        lines(&t->arena, "parameters", json_get_str(root, "parameters"));
        struct slice license = json_get_str(root, "license");
        lines(&t->arena, "license", slice_first(license, slice_find(license, '\n')));
        if (c->value[OPT_VERBOSE])
            lines(&t->arena, "template", json_get_str(root, "template"));
    }
    buf_done(&body);
    buf_done(&text);
    return root ? 0 : 1;
}

static int show_run(const struct cli *c) {
    struct talk t;
    if (c->n_args < 1)
        return cli_fail(2, "which model? 'gridtie show MODEL'; 'gridtie list' shows them");
    if (!talk_open(&t, c, NULL))
        return 1;
    int status = show_call(&t, c);
    talk_close(&t);
    return status;
}

const struct command command_show = {
    .name = "show",
    .operands = "MODEL",
    .summary = "what a model is, as its file says it",
    .text =
        "Shows architecture, parameters, quantization, context length, what its chat template can do, and where it lies.\n",
    .options = OPT(MODELFILE) | OPT(VERBOSE) | OPT(JSON) | OPTS_DAEMON,
    .most_args = 1,
    .words = {WORDS_MODELS},
    .examples = {"gridtie show smollm2:135m", "gridtie show smollm2:135m --modelfile > Modelfile"},
    .run = show_run,
};
