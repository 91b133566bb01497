// SPDX-License-Identifier: Apache-2.0
// `quantize` of a creation: llama-quantize reads one file and writes another, beside the blobs, which becomes one of them. It
// says on standard error which tensor of how many it is at, and that is how far the step is. Weights that are quantized
// already lose a second time; that is said, and done all the same, since it is what smollm2:135m gains by. A job's thread.
#include "store/quantize.h"
#include <errno.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>
#include "store/gguf.h"
#include "store/helper.h"
#include "store/store.h"

struct quantizing {
    struct job *job;
    int64_t bytes; // of the source
};

// "[  12/ 272] blk.0.attn_q.weight - …"
static void line_take(void *ctx, struct slice line) {
    struct quantizing *q = ctx;
    uint64_t at, of;
    if (!slice_starts(line, "["))
        return;
    struct slice rest = slice_from(line, 1), head = slice_split(&rest, ']'), first = slice_split(&head, '/');
    if (slice_u64(slice_trim(first), &at) && slice_u64(slice_trim(head), &of) && of > 0 && at <= of)
        job_progress(q->job, q->bytes / (int64_t)of * (int64_t)at);
}

// The type as it is spelt, or NULL.
static const char *type_named(struct slice asked, struct buf *known) {
    for (int i = 0; i < 64; i++) {
        const char *name = gguf_quantization(i);
        if (name[0] && slice_eq_nocase(asked, slice_str(name)))
            return name;
        if (name[0])
            buf_printf(known, "%s%s", known->len ? ", " : "", name);
    }
    return NULL;
}

static enum err quantize_do(struct quantizing *q, const char *program, const char *from, const char *to,
                            const char *type) {
    char exe[4096], flag[] = "--allow-requantize", source[4096], target[4096], kind[32];
    (void)snprintf(exe, sizeof exe, "%s", program);
    (void)snprintf(source, sizeof source, "%s", from);
    (void)snprintf(target, sizeof target, "%s", to);
    (void)snprintf(kind, sizeof kind, "%s", type);
    char *argv[] = {exe, flag, source, target, kind, NULL};
    return helper_run(q->job, argv, line_take, line_take, q);
}

static enum err type_refuse(struct job *j, struct slice type, struct buf *known) {
    return job_problem(j, ERR_BAD_FIELD, "quantize: there is no '%.*s'; llama-quantize knows %s",
                       SLICE_FMT(slice_first(type, 64)), buf_cstr(known));
}

static enum err source_look(struct quantizing *q, const char *from, const char *type) {
    struct gguf g;
    struct stat st;
    if (gguf_read_file(from, &g) != ERR_OK || stat(from, &st) != 0)
        return job_problem(q->job, ERR_BAD_FIELD, "%s is not a GGUF file that can be read", from);
    const char *was = gguf_quantization(g.file_type);
    bool whole = slice_ends(slice_str(was), "F16") || slice_is(slice_str(was), "F32"); // BF16, too
    char status[200];
    q->bytes = (int64_t)st.st_size;
    if (!whole)
        job_say(q->job, "its weights are quantized already (%s): what that lost stays lost", was[0] ? was : "?");
    (void)snprintf(status, sizeof status, "quantizing %s model to %s", was[0] ? was : "?", type);
    job_bytes(q->job, status, "", q->bytes);
    return ERR_OK;
}

enum err quantize_run(struct job *j, const struct config *c, const char *from, struct slice type,
                      char ret_hex[HEX_BYTES], int64_t *ret_bytes) {
    static _Atomic unsigned serial;
    struct quantizing q = {.job = j};
    struct buf known = BUF_INIT(2048), to = BUF_INIT(4096);
    char program[4096];
    const char *name = type_named(type, &known);
    enum err e = name ? ERR_OK : type_refuse(j, type, &known);
    if (!e && !helper_quantizer(c, &program))
        e = job_problem(
            j, ERR_UNSUPPORTED,
            "there is no llama-quantize beside llama-server (engine.binary), so nothing can be quantized here");
    if (!e)
        e = source_look(&q, from, name);
    buf_printf(&to, "%s/models/blobs/copy-%d-q%u.partial", job_data_dir(j), (int)getpid(), serial++);
    if (!e)
        e = store_make_dirs(job_data_dir(j));
    if (!e)
        e = quantize_do(&q, program, from, buf_cstr(&to), name);
    if (!e)
        job_progress(j, q.bytes);
    if (!e)
        e = helper_adopt(j, buf_cstr(&to), ret_hex, ret_bytes);
    if (e)
        (void)unlink(buf_cstr(&to));
    buf_done(&known);
    buf_done(&to);
    return e;
}
