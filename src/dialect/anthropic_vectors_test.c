// SPDX-License-Identifier: Apache-2.0
// Anthropic's recorded streams and answers, as another project keeps them: each is read without an error, and what our
// writer makes of it reads as the same again. They lie outside the tree, in the folder that GRIDTIE_SHARED names or beside
// the repository; without it these tests are skipped.
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include "dialect/samples.h"
#include "unit.h"

extern const struct dialect dialect_anthropic;
static const struct dialect *const d = &dialect_anthropic;

#define FOLDER "vectors/vercel+ai/packages/anthropic/src/__fixtures__"
#define FILE_MAX ((size_t)4 << 20)

static struct arena arena;

static void folder_path(char *path, size_t n, const char *file) {
    const char *shared = getenv("GRIDTIE_SHARED"), *root = getenv("GRIDTIE_ROOT");
    if (shared)
        (void)snprintf(path, n, "%s/" FOLDER "/%s", shared, file);
    else
        (void)snprintf(path, n, "%s/../shared/" FOLDER "/%s", root ? root : ".", file);
}

static struct slice file_bytes(const char *name) {
    char path[1024];
    folder_path(path, sizeof path, name);
    FILE *file = fopen(path, "rb");
    char *bytes = file ? arena_alloc(&arena, FILE_MAX) : NULL;
    size_t n = bytes ? fread(bytes, 1, FILE_MAX, file) : 0;
    if (file)
        (void)fclose(file);
    return slice_of(bytes, n);
}

// ---- reading and writing again

struct tee {
    struct answer *answer;
    struct stream_writer *writer;
    struct buf *out;
};

static enum err tee_event(void *ctx, const struct event *ev) {
    struct tee *t = ctx;
    enum err e = answer_add(t->answer, ev);
    return e ? e : d->writer_event(t->writer, ev, t->out);
}

static enum err read_lines(struct slice bytes, struct event_sink *sink) {
    struct stream_reader *r = d->reader_new(&arena, OP_CHAT);
    enum err e = r ? ERR_OK : ERR_NO_MEMORY;
    while (bytes.n && !e) {
        struct frame f = {.data = slice_trim(slice_split(&bytes, '\n'))};
        e = f.data.n ? d->reader_frame(r, &f, sink) : ERR_OK;
    }
    return e ? e : d->reader_finish(r, sink);
}

// ---- comparing

static bool json_same(struct slice a, struct slice b) {
    struct json_doc x, y;
    struct json_error why;
    if (slice_eq(a, b))
        return true;
    if (json_read(&arena, a, &x, &why) || json_read(&arena, b, &y, &why))
        return false;
    return yyjson_equals(yyjson_doc_get_root(x.doc), yyjson_doc_get_root(y.doc));
}

static const char *block_differs(const struct answer_block *a, const struct answer_block *b, bool whole) {
    bool tool = a->kind == BLOCK_TOOL || a->kind == BLOCK_SERVER_TOOL;
    if (a->kind != b->kind)
        return "kind";
    if (tool ? !json_same(buf_slice(&a->text), buf_slice(&b->text))
             : !slice_eq(buf_slice(&a->text), buf_slice(&b->text)))
        return "text";
    if (!slice_eq(a->call_id, b->call_id) || !slice_eq(a->name, b->name))
        return "call id or name";
    if (!slice_eq(a->signature, b->signature))
        return "signature";
    if (!tool && !json_same(a->opening, b->opening))
        return "opening";
    return !whole && !slice_eq(buf_slice(&a->meta), buf_slice(&b->meta)) ? "meta" : NULL;
}

static const char *answers_differ(const struct answer *a, const struct answer *b, bool whole) {
    const struct answer_block *x = a->first, *y = b->first;
    for (; x && y; x = x->next, y = y->next) {
        const char *where = block_differs(x, y, whole);
        if (where)
            return where;
    }
    if (x || y)
        return "number of blocks";
    if (a->choices[0].finish != b->choices[0].finish)
        return "finish";
    if (a->usage.input_tokens != b->usage.input_tokens || a->usage.output_tokens != b->usage.output_tokens)
        return "usage";
    return !slice_eq(a->id, b->id) || !slice_eq(a->model, b->model) ? "id or model" : NULL;
}

// They are freed with the arena, so they live as long.
static struct answer answer, again;

static enum err start(struct stream_writer **writer) {
    struct request *r = ARENA_NEW(&arena, struct request);
    if (!r || !answer_init(&answer, &arena))
        return ERR_NO_MEMORY;
    request_init(r);
    *writer = d->writer_new(&arena, r, &sample_identity);
    return *writer ? ERR_OK : ERR_NO_MEMORY;
}

static const char *stream_fails(struct slice bytes, struct buf *out) {
    struct tee tee = {&answer, NULL, out};
    struct event_sink sink = {tee_event, &tee}, sink_again = {sample_collect, &again};
    enum err e = start(&tee.writer);
    if (!e)
        e = read_lines(bytes, &sink);
    if (e || !answer.ended)
        return e ? err_name(e) : "no end";
    if (!answer_init(&again, &arena))
        return "memory";
    e = sample_read_stream(&arena, d, buf_slice(out), &sink_again);
    return e ? err_name(e) : answers_differ(&answer, &again, false);
}

static const char *answer_fails(struct slice bytes, struct buf *out) {
    struct event_sink sink = {sample_collect, &answer}, sink_again = {sample_collect, &again};
    struct request r;
    request_init(&r);
    if (!answer_init(&answer, &arena) || !answer_init(&again, &arena))
        return "memory";
    enum err e = d->read_answer(&arena, OP_CHAT, bytes, &sink);
    if (!e)
        e = d->write_answer(&arena, &r, &answer, &sample_identity, out);
    if (!e)
        e = d->read_answer(&arena, OP_CHAT, buf_slice(out), &sink_again);
    return e ? err_name(e) : answers_differ(&answer, &again, true);
}

static void each_file(const char *suffix, const char *(*fails)(struct slice bytes, struct buf *out)) {
    char path[1024];
    unsigned n = 0;
    folder_path(path, sizeof path, "");
    DIR *folder = opendir(path);
    if (!folder)
        SKIP("no recorded payloads");
    for (struct dirent *f; (f = readdir(folder));) {
        if (!slice_ends(slice_str(f->d_name), suffix))
            continue;
        struct buf out = BUF_INIT(64 << 20);
        arena_init(&arena, 256 << 20, 0);
        const char *why = fails(file_bytes(f->d_name), &out);
        if (why)
            unit_fail(__FILE__, __LINE__, "%s: %s", f->d_name, why);
        buf_done(&out);
        arena_done(&arena);
        n++;
    }
    (void)closedir(folder);
    CHECK(n > 10);
}

TEST(vectors_anthropic_streams_survive) {
    each_file(".chunks.txt", stream_fails);
}

TEST(vectors_anthropic_answers_survive) {
    each_file(".json", answer_fails);
}
