// SPDX-License-Identifier: Apache-2.0
// Every recorded answer of OpenAI responses (OpenAI, xAI, LM Studio) and of Gemini that other projects keep: read whole,
// told again in its own dialect and read once more with the same content, and told on to every other dialect. They lie
// outside the tree, in the folder that GRIDTIE_SHARED names or beside the repository; without it these tests are skipped.
#include <dirent.h>
#include <stdio.h>
#include "base/mem.h"
#include "dialect/samples.h"
#include "unit.h"

static struct arena arena;

static void fresh(void) {
    arena_done(&arena);
    arena_init(&arena, 256 << 20, 0);
}

struct folder {
    const char *path;
    enum dialect_id dialect;
};

static const struct folder folders[] = {
    {"vercel+ai/packages/openai/src/responses/__fixtures__", DIALECT_RESPONSES},
    {"vercel+ai/packages/xai/src/responses/__fixtures__", DIALECT_RESPONSES},
    {"vercel+ai/packages/open-responses/src/responses/__fixtures__", DIALECT_RESPONSES},
    {"vercel+ai/packages/google/src/__fixtures__", DIALECT_GEMINI},
};

static const char *folder_path(const char *name, char *out, size_t n) {
    const char *shared = getenv("GRIDTIE_SHARED"), *root = getenv("GRIDTIE_ROOT");
    if (shared)
        (void)snprintf(out, n, "%s/vectors/%s", shared, name);
    else
        (void)snprintf(out, n, "%s/../shared/vectors/%s", root ? root : ".", name);
    return out;
}

static struct slice file_bytes(const char *folder, const char *name) {
    char path[2048];
    (void)snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *file = fopen(path, "rb");
    char *bytes = file ? arena_alloc(&arena, 8 << 20) : NULL;
    size_t n = bytes ? fread(bytes, 1, 8 << 20, file) : 0;
    if (file)
        (void)fclose(file);
    return slice_of(bytes, n);
}

static struct answer *new_answer(void) {
    struct answer *a = ARENA_NEW(&arena, struct answer);
    return a && answer_init(a, &arena) ? a : NULL;
}

static const char *implausible(const struct answer *a) {
    if (!a)
        return "no memory";
    if (!a->ended || !a->choices[0].finish)
        return "no end or no finish";
    for (const struct answer_block *b = a->first; b; b = b->next) {
        struct json_doc doc;
        struct json_error why;
        if (b->kind == BLOCK_TOOL && (!b->name.n || !b->call_id.n))
            return "a call without name or id";
        if (b->kind == BLOCK_TOOL && b->text.len && json_read(&arena, buf_slice(&b->text), &doc, &why))
            return "arguments that are no JSON";
        if (b->kind == BLOCK_TEXT && !b->text.len && !b->signature.n)
            return "an empty text";
    }
    return NULL;
}

// Arguments may be laid out anew, and none are {}.
static void append_arguments(struct buf *out, struct slice text) {
    struct json_doc doc;
    struct json_error why;
    struct json_writer w = JSON_WRITER(out);
    if (json_read(&arena, text.n ? text : SLICE("{}"), &doc, &why) == ERR_OK)
        json_put_val(&w, yyjson_doc_get_root(doc.doc));
}

static const char *text_of(const struct answer *a, enum block_kind kind) {
    struct buf all = BUF_INIT(1 << 24);
    for (const struct answer_block *b = a->first; b; b = b->next) {
        if (b->kind != kind || b->choice)
            continue;
        if (kind == BLOCK_TOOL)
            append_arguments(&all, buf_slice(&b->text));
        else
            buf_append(&all, buf_slice(&b->text));
        buf_append(&all, kind == BLOCK_TOOL ? b->name : b->signature);
    }
    const char *text = arena_cstr(&arena, buf_slice(&all));
    buf_done(&all);
    return text;
}

static const char *differs(const struct answer *x, const struct answer *y) {
    static const enum block_kind kinds[] = {BLOCK_TEXT, BLOCK_THINK, BLOCK_TOOL, BLOCK_REFUSAL};
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++)
        if (strcmp(text_of(x, kinds[i]), text_of(y, kinds[i])) != 0)
            return arena_printf(&arena, "kind %d differs: %s, then %s", (int)kinds[i], text_of(x, kinds[i]),
                                text_of(y, kinds[i]));
    if (x->choices[0].finish != y->choices[0].finish)
        return "another finish";
    return x->usage.input_tokens == y->usage.input_tokens ? NULL : "another usage";
}

// Told to one dialect as a stream.
struct listener {
    const struct dialect *d;
    struct stream_writer *w;
    struct buf out;
};

static enum err listen(void *ctx, const struct event *ev) {
    struct listener *l = ctx;
    return l->d->writer_event(l->w, ev, &l->out);
}

static const char *retell(const struct answer *a, const struct dialect *own) {
    for (int i = 0; i < DIALECT_COUNT; i++) {
        if (!dialect_has_clients(dialects[i]))
            continue;
        struct request *r = ARENA_NEW(&arena, struct request);
        request_init(r);
        r->dialect = i;
        r->stream = true;
        struct listener l = {dialects[i], dialects[i]->writer_new(&arena, r, &sample_identity), BUF_INIT(16 << 20)};
        struct event_sink sink = {listen, &l};
        struct answer *again = new_answer();
        enum err e = l.w && again ? answer_replay(a, &sink) : ERR_NO_MEMORY;
        struct slice bytes = arena_copy(&arena, buf_slice(&l.out));
        buf_done(&l.out);
        sink = (struct event_sink){sample_collect, again};
        if (!e)
            e = sample_read_stream(&arena, dialects[i], bytes, &sink);
        const char *why = e ? err_name(e) : dialects[i] == own ? differs(a, again) : NULL;
        if (why)
            return arena_printf(&arena, "told to %s: %s", dialects[i]->name, why);
    }
    return NULL;
}

// A file of lines may hold several streams; a response begins anew with response.created.
static const char *check_lines(const struct dialect *d, struct slice bytes, bool fails) {
    struct answer *a = NULL;
    struct stream_reader *reader = NULL;
    enum err e = ERR_OK;
    while (bytes.n) {
        struct frame f = {.data = slice_trim(slice_split(&bytes, '\n'))};
        if (!f.data.n)
            continue;
        bool begins = slice_search(slice_first(f.data, 64), SLICE("\"response.created\"")) != SIZE_MAX;
        if (!reader || (begins && a->started)) {
            const char *why = reader ? implausible(a) : NULL;
            if (why)
                return why;
            a = new_answer();
            reader = d->reader_new(&arena, OP_CHAT);
        }
        struct event_sink sink = {sample_collect, a};
        e = d->reader_frame(reader, &f, &sink);
        if (e)
            return fails && err_row(e)->fault != FAULT_US ? NULL : err_name(e);
    }
    struct event_sink sink = {sample_collect, a};
    e = d->reader_finish(reader, &sink);
    const char *why = e ? err_name(e) : implausible(a);
    return why ? why : retell(a, d);
}

static const char *check_body(const struct dialect *d, struct slice bytes, bool fails) {
    struct answer *a = new_answer();
    struct event_sink sink = {sample_collect, a};
    enum err e = d->read_answer(&arena, OP_CHAT, bytes, &sink);
    if (e)
        return fails && err_row(e)->fault != FAULT_US ? NULL : err_name(e);
    const char *why = implausible(a);
    return why ? why : retell(a, d);
}

static unsigned check_folder(const struct folder *f) {
    char path[1024];
    unsigned n = 0;
    DIR *dir = opendir(folder_path(f->path, path, sizeof path));
    for (struct dirent *entry; dir && (entry = readdir(dir));) {
        struct slice name = slice_str(entry->d_name);
        bool lines = slice_ends(name, ".chunks.txt"), body = slice_ends(name, ".json");
        bool fails = slice_search(name, SLICE("error")) != SIZE_MAX || slice_search(name, SLICE("429")) != SIZE_MAX;
        bool damaged = slice_is(name, "parallel-tool-call-wrapper.1.chunks.txt"); // as recorded, it is no JSON
        if ((!lines && !body) || damaged)
            continue;
        fresh();
        struct slice bytes = file_bytes(path, entry->d_name);
        const struct dialect *d = dialect_get(f->dialect);
        const char *why = lines ? check_lines(d, bytes, fails) : check_body(d, bytes, fails);
        if (why)
            unit_fail(__FILE__, __LINE__, "%s/%s: %s", f->path, entry->d_name, why);
        n++;
    }
    if (dir)
        closedir(dir);
    fresh();
    return n;
}

TEST(vectors_responses_and_gemini) {
    unsigned n = 0;
    for (size_t i = 0; i < sizeof folders / sizeof folders[0]; i++)
        n += check_folder(&folders[i]);
    if (n == 0)
        SKIP("no recorded payloads");
    CHECK(n > 80);
}
