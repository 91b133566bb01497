// SPDX-License-Identifier: Apache-2.0
// Requests, for every dialect that offers samples: the round trip with the sources forgotten, bytes that stay the same, a
// wrong type at every path, garbage, deep nesting, and each allocation failing in turn. Nothing here knows a dialect by
// name; what is special stands beside the codec.
#include "base/mem.h"
#include "dialect/samples.h"
#include "unit.h"

static struct arena arena;

static void fresh(void) {
    arena_done(&arena);
    arena_init(&arena, 256 << 20, 0);
}

// All a codec could be asked to leave out is understood, so that nothing is.
static const struct write_options plain = {
    .max_tokens = -1, .stream = -1, .default_max_tokens = 1024, .quirks = QUIRK_CACHE_PROMPT};

static enum err write_body(struct arena *a, const struct dialect *d, const struct request *r,
                           struct wire_request *wire) {
    struct problem p = PROBLEM(ERR_OK);
    struct write_options o = plain;
    o.model = r->model;
    return d->write_request(a, r, &o, wire, &p);
}

static enum err read_body(struct arena *a, const struct dialect *d, struct slice body, struct request **ret,
                          struct problem *p) {
    *p = PROBLEM(ERR_OK);
    return d->read_request(a, OP_CHAT, body, ret, p);
}

TEST(suite_request_survives_without_its_source) {
    EACH_SAMPLE(d, requests, s) {
        fresh();
        struct request *r, *again;
        struct wire_request wire;
        struct problem p;
        const char *where = "";
        if (read_body(&arena, d, slice_str(*s), &r, &p))
            FAIL("%s: %.*s: %s", d->name, SLICE_FMT(p.message), *s);
        request_erase_sources(r);
        CHECK_EQ(write_body(&arena, d, r, &wire), ERR_OK);
        CHECK(!wire.verbatim);
        if (wire.notes.n)
            FAIL("%s: %.*s: %s", d->name, SLICE_FMT(wire.notes.first->path), wire.notes.first->reason);
        if (read_body(&arena, d, wire.body, &again, &p))
            FAIL("%s: %.*s: %.*s", d->name, SLICE_FMT(p.message), SLICE_FMT(wire.body));
        if (!request_equal(r, again, &where))
            FAIL("%s: %s differs: %.*s", d->name, where, SLICE_FMT(wire.body));
    }
    fresh();
}

TEST(suite_request_stays_byte_for_byte) {
    EACH_SAMPLE(d, requests, s) {
        fresh();
        struct request *r;
        struct wire_request wire;
        struct problem p;
        CHECK_EQ(read_body(&arena, d, slice_str(*s), &r, &p), ERR_OK);
        CHECK_EQ(write_body(&arena, d, r, &wire), ERR_OK);
        CHECK(wire.verbatim);
        CHECK_MEM(wire.body.p, wire.body.n, *s, strlen(*s));
    }
    fresh();
}

// Every dialect's request can be written by every other, and is then a request of that one with the same texts.
TEST(suite_request_crosses_dialects) {
    EACH_SAMPLE(d, requests, s) {
        for (int i = 0; i < DIALECT_COUNT; i++) {
            const struct dialect *other = dialects[i];
            if (!samples[i].requests)
                continue;
            fresh();
            struct request *r, *again;
            struct wire_request wire;
            struct problem p;
            CHECK_EQ(read_body(&arena, d, slice_str(*s), &r, &p), ERR_OK);
            if (!r->model.p)
                r->model = SLICE("m"); // its address says it
            CHECK_EQ(write_body(&arena, other, r, &wire), ERR_OK);
            if (sample_read_wire(&arena, other, &wire, r->op, &again, &p))
                FAIL("%s to %s: %.*s: %.*s", d->name, other->name, SLICE_FMT(p.message), SLICE_FMT(wire.body));
            CHECK(slice_eq(r->model, again->model));
            CHECK_EQ(!r->tools, !again->tools);
            CHECK(again->messages != NULL);
        }
    }
    fresh();
}

// ---- a wrong type at every path

struct mutation {
    size_t target;  // which value of the tree
    size_t at;      // counting
    char path[256]; // of the target
};

static yyjson_mut_val *wrong_for(yyjson_mut_doc *doc, yyjson_val *v) {
    return yyjson_is_num(v) || yyjson_is_bool(v) ? yyjson_mut_str(doc, "wrong") : yyjson_mut_real(doc, 12345.5);
}

static yyjson_mut_val *mutate(yyjson_mut_doc *doc, yyjson_val *v, struct mutation *m, const char *path) {
    if (m->at++ == m->target) {
        (void)snprintf(m->path, sizeof m->path, "%s", path);
        return wrong_for(doc, v);
    }
    char inner[256];
    size_t i, n;
    yyjson_val *key, *item;
    if (yyjson_is_arr(v)) {
        yyjson_mut_val *out = yyjson_mut_arr(doc);
        yyjson_arr_foreach(v, i, n, item) {
            (void)snprintf(inner, sizeof inner, "%s[%zu]", path, i);
            yyjson_mut_arr_append(out, mutate(doc, item, m, inner));
        }
        return out;
    }
    if (!yyjson_is_obj(v))
        return yyjson_val_mut_copy(doc, v);
    yyjson_mut_val *out = yyjson_mut_obj(doc);
    yyjson_obj_foreach(v, i, n, key, item) {
        (void)snprintf(inner, sizeof inner, "%s%s%s", path, *path ? "." : "", yyjson_get_str(key));
        yyjson_mut_obj_add(out, yyjson_val_mut_copy(doc, key), mutate(doc, item, m, inner));
    }
    return out;
}

// The text with its k-th value replaced; NULL when there are fewer. Freed by the caller with free().
static char *mutated(const char *text, struct mutation *m) {
    yyjson_doc *doc = yyjson_read(text, strlen(text), 0);
    yyjson_mut_doc *out = yyjson_mut_doc_new(NULL);
    m->at = 0;
    m->path[0] = 0;
    yyjson_mut_doc_set_root(out, mutate(out, yyjson_doc_get_root(doc), m, ""));
    char *written = m->at > m->target ? yyjson_mut_write(out, 0, NULL) : NULL;
    yyjson_mut_doc_free(out);
    yyjson_doc_free(doc);
    return written;
}

static bool path_related(const char *path, struct slice param) {
    return slice_starts(param, path) || slice_starts(slice_str(path), arena_cstr(&arena, param));
}

static bool must_refuse(const struct dialect *d, const char *path) {
    const char *const *free_paths = samples[d->id].free_paths;
    for (const char *const *f = free_paths; f && *f; f++)
        if (strstr(path, *f))
            return false;
    return free_paths != NULL;
}

TEST(suite_request_wrong_types_are_named) {
    EACH_SAMPLE(d, requests, s) {
        unsigned refused = 0, all = 0;
        struct mutation m = {.target = 1};
        for (char *body; (body = mutated(*s, &m)); m.target++) {
            fresh();
            struct request *r;
            struct problem p;
            enum err e = read_body(&arena, d, slice_str(body), &r, &p);
            bool fine = !e || (p.err == e && err_row(e)->status == 400 && path_related(m.path, p.param) &&
                               slice_search(p.message, p.param) != SIZE_MAX);
            fine = fine && (e || !must_refuse(d, m.path));
            refused += e != ERR_OK;
            all++;
            free(body);
            if (!fine)
                FAIL("%s: %s: %s, param %.*s, %.*s", d->name, m.path, err_name(e), SLICE_FMT(p.param),
                     SLICE_FMT(p.message));
        }
        if (refused * 2 < all)
            FAIL("%s: only %u of %u wrong types were refused in %s", d->name, refused, all, *s);
    }
    fresh();
}

// ---- garbage

TEST(suite_request_garbage_is_a_clients_fault) {
    EACH_SAMPLE(d, requests, s) {
        uint32_t seed = 1;
        size_t n = strlen(*s);
        char *body = mem_strdup(*s);
        for (int i = 0; i < 400; i++) {
            fresh();
            memcpy(body, *s, n);
            for (int j = 0; j < 1 + i % 3; j++) {
                seed = seed * 1664525u + 1013904223u;
                body[(seed >> 8) % n] = (char)(seed >> 24);
            }
            struct request *r;
            struct problem p;
            enum err e = read_body(&arena, d, slice_of(body, i % 4 ? n : (seed >> 8) % n), &r, &p);
            if (e && (err_row(e)->status != 400 || !p.message.n)) {
                mem_free(body);
                FAIL("%s: %s", d->name, err_name(e));
            }
        }
        mem_free(body);
    }
    fresh();
}

#define DEEP 10000

TEST(suite_request_deep_nesting_is_refused) {
    static const char *const openings[] = {"[", "{\"a\":", "{\"messages\":[", "{\"model\":"};
    for (int i = 0; i < DIALECT_COUNT; i++) {
        const struct dialect *d = dialects[i];
        for (size_t j = 0; samples[i].requests && j < sizeof openings / sizeof openings[0]; j++) {
            fresh();
            struct buf b = BUF_INIT(1 << 20);
            for (int k = 0; k < DEEP; k++)
                buf_append_str(&b, openings[j]);
            struct request *r;
            struct problem p;
            enum err e = read_body(&arena, d, buf_slice(&b), &r, &p);
            size_t events = 0;
            struct event_sink sink = {sample_collect, &events}; // never reached
            enum err answer = d->read_answer(&arena, OP_CHAT, buf_slice(&b), &sink);
            buf_done(&b);
            CHECK_EQ(e, ERR_BAD_JSON);
            CHECK_EQ(answer, ERR_UP_PROTOCOL);
        }
    }
    fresh();
}

// ---- each allocation fails in turn

static enum err read_and_write(struct arena *a, const struct dialect *d, const char *body) {
    struct request *r;
    struct wire_request wire;
    struct problem p;
    enum err e = read_body(a, d, slice_str(body), &r, &p);
    if (e)
        return e;
    struct write_options o = plain;
    o.model = SLICE("another");
    o.max_tokens = 3;
    o.want_usage = true;
    e = d->write_request(a, r, &o, &wire, &p);
    for (int i = 0; i < DIALECT_COUNT && !e; i++)
        if (samples[i].requests && i != (int)d->id)
            e = write_body(a, dialects[i], r, &wire);
    request_erase_sources(r);
    return e ? e : write_body(a, d, r, &wire);
}

TEST(suite_request_survives_each_failed_allocation) {
    EACH_SAMPLE(d, requests, s) {
        enum err e = ERR_NO_MEMORY;
        for (unsigned long k = 1; e; k++) {
            struct arena a;
            arena_init(&a, 16 << 20, 256);
            mem_fail_at(k);
            e = read_and_write(&a, d, *s);
            mem_fail_at(0);
            arena_done(&a);
            if (e != ERR_OK && e != ERR_NO_MEMORY)
                FAIL("%s: allocation %lu gave %s", d->name, k, err_name(e));
        }
    }
}

// ---- the table

TEST(suite_addresses_lead_to_their_dialect) {
    for (int i = 0; i < DIALECT_COUNT; i++) {
        const struct dialect *d = dialects[i];
        enum op op;
        bool known;
        CHECK_EQ(d->id, i);
        CHECK(dialect_by_name(slice_str(d->name)) == d);
        for (const struct dialect_address *at = d->addresses; at->method; at++) {
            if (strcmp(at->path, "/v1/models/{model}:generateContent") == 0)
                CHECK(dialect_for(SLICE("POST"), SLICE("/v1/models/a/b:c:generateContent"), &op, &known) == d);
            CHECK(dialect_for(slice_str(at->method), slice_str(at->path), &op, &known) == d);
            CHECK_EQ(op, at->op);
            CHECK(!dialect_for(SLICE("BREW"), slice_str(at->path), &op, &known) && known);
        }
    }
    CHECK_EQ(dialect_for_error(SLICE("/api/nothing"))->id, DIALECT_OLLAMA);
    CHECK_EQ(dialect_for_error(SLICE("/v1/messages/x"))->id, DIALECT_ANTHROPIC);
    CHECK_EQ(dialect_for_error(SLICE("/v1beta/x"))->id, DIALECT_GEMINI);
    CHECK_EQ(dialect_for_error(SLICE("/v1/models/m:countTokens"))->id, DIALECT_GEMINI);
    CHECK_EQ(dialect_for_error(SLICE("/v1/models/local/m:8b"))->id, DIALECT_OPENAI);
    CHECK_EQ(dialect_for_error(SLICE("/v1/responses"))->id, DIALECT_RESPONSES);
    CHECK_EQ(dialect_for_error(SLICE("/x"))->id, DIALECT_OPENAI);
}

TEST(suite_dialect_lookups_and_statuses) {
    enum op op;
    bool known;
    CHECK(!dialect_for(SLICE("GET"), SLICE("/nowhere"), &op, &known) && !known);
    CHECK(dialect_by_name(SLICE("none")) == NULL);
    CHECK_EQ(dialect_err_of_status(403), ERR_UP_AUTH);
    CHECK_EQ(dialect_err_of_status(418), ERR_UP_REFUSED);
    CHECK_EQ(dialect_err_of_status(529), ERR_UP_OVERLOADED);
}
