// SPDX-License-Identifier: Apache-2.0
// `gridtie create`: a model made by a Modelfile. The daemon reads it; paths in it start from its folder, so that goes along.
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "base/fs.h"
#include "cli/progress.h"
#include "cli/start.h"

#define MODELFILE_BYTES (4u << 20) // store/modelfile.h

// The folder of the file, or the current one for standard input.
static bool folder_of(const char *file, char (*ret)[4096]) {
    if (strcmp(file, "-") == 0)
        return getcwd(*ret, sizeof *ret) != NULL;
    char *whole = realpath(file, NULL), *slash = whole ? strrchr(whole, '/') : NULL;
    if (slash)
        (void)snprintf(*ret, sizeof *ret, "%.*s", slash == whole ? 1 : (int)(slash - whole), whole);
    free(whole);
    return slash != NULL;
}

static int create_call(struct talk *t, const struct cli *c, const struct buf *text, const char *folder) {
    struct buf body = BUF_INIT(4 * MODELFILE_BYTES);
    struct json_writer w = JSON_WRITER(&body);
    json_obj(&w);
    json_kv_cstr(&w, "model", c->args[0]);
    json_kv_str(&w, "modelfile", slice_of(text->p ? text->p : "", text->len));
    json_kv_cstr(&w, "path", folder);
    if (c->value[OPT_QUANTIZE])
        json_kv_cstr(&w, "quantize", c->value[OPT_QUANTIZE]);
    json_obj_end(&w);
    int status = progress_call(t, c, "/api/create", buf_slice(&body));
    if (status == 0 && !c->value[OPT_JSON])
        (void)printf("created %s\n", c->args[0]);
    buf_done(&body);
    return status;
}

static int create_run(const struct cli *c) {
    const char *file = c->value[OPT_FILE] ? c->value[OPT_FILE] : "Modelfile";
    struct buf text = BUF_INIT(MODELFILE_BYTES);
    char folder[4096];
    struct talk t;
    int status = 1;
    if (c->n_args < 1)
        return cli_fail(2, "which name? 'gridtie create NAME -f Modelfile'");
    enum err e = fs_read_file(strcmp(file, "-") == 0 ? "/dev/stdin" : file, MODELFILE_BYTES, &text);
    if (e || !folder_of(file, &folder)) {
        (void)cli_fail(1, "%s can't be read: %s", file,
                       e == ERR_TOO_LARGE ? "it is too large" : strerror(e ? errno : ENOENT));
    } else if (talk_open(&t, c, NULL)) {
        status = daemon_find_or_start(&t) ? create_call(&t, c, &text, folder) : 1;
        talk_close(&t);
    }
    buf_done(&text);
    return status;
}

const struct command command_create = {
    .name = "create",
    .operands = "NAME",
    .summary = "make a model by a Modelfile",
    .text =
        "Makes NAME by a Modelfile: FROM a model of the store or a GGUF file, with SYSTEM, PARAMETER, TEMPLATE (Jinja),\n"
        "MESSAGE, ADAPTER (LoRA), DRAFT and LICENSE. What it says holds where a request leaves it open.\n",
    .options = OPT(FILE) | OPT(QUANTIZE) | OPT(JSON) | OPTS_DAEMON,
    .most_args = 1,
    .examples = {"gridtie create pirate", "gridtie create small -f Modelfile --quantize Q4_K_M"},
    .run = create_run,
};
