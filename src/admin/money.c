// SPDX-License-Identifier: Apache-2.0
// The API's part about money: what was spent, runs, and keys. Each question blocks on the ledger, so it runs off the loop;
// a client that leaves meanwhile only loses its answer. A key sees and stops what is its own, the owner everything; only
// the owner makes and revokes keys. A made key's secret is in one answer and nowhere else.
#include "admin/errand.h"
#include "base/json.h"
#include "base/mem.h"
#include "base/secret.h"
#include "ledger/money.h"
#include "switch/admit.h"

enum money_call_kind { CALL_SPEND, CALL_RUNS, CALL_RUN_STOP, CALL_KEYS, CALL_KEY_ADD, CALL_KEY_REVOKE };

#define TEXT_BYTES 256

struct money_call {
    struct errand errand; // first
    struct daemon *d;
    struct snapshot *snap;
    enum money_call_kind kind;
    struct spend_filter filter;
    bool keyed; // by a client's key, which sees its own only
    char key[TEXT_BYTES], name[TEXT_BYTES], budget[TEXT_BYTES * 4];
    char secret[KEY_SECRET_BYTES];
    struct payer *stopped;            // a run
    const struct config_key *revoked; // lives as long as the ledger
    struct buf problem;
};

static struct money_call *call_of(struct errand *e) {
    return (struct money_call *)(void *)e;
}

static struct slice own_key(const struct money_call *k) {
    return k->keyed ? slice_str(k->key) : SLICE_NONE;
}

static void call_work(struct errand *e) {
    struct money_call *k = call_of(e);
    struct ledger *l = k->d->ledger;
    struct slice name = slice_str(k->name);
    switch (k->kind) {
    case CALL_SPEND:
        k->filter.key = own_key(k);
        e->err = ledger_spend(l, &k->filter, &e->out);
        break;
    case CALL_RUNS:
        e->err = ledger_runs(l, own_key(k), &e->out);
        break;
    case CALL_RUN_STOP: // the owner may say whose
        e->err = ledger_run_stop(l, k->key[0] || k->keyed ? slice_str(k->key) : SLICE_NONE, name, &k->stopped);
        break;
    case CALL_KEYS:
        e->err = ledger_keys(l, &e->out);
        break;
    case CALL_KEY_ADD:
        e->err = ledger_key_add(l, k->snap->config, name, slice_str(k->budget), k->secret, &k->problem);
        break;
    case CALL_KEY_REVOKE:
        e->err = ledger_key_revoke(l, name, &k->revoked);
        break;
    }
}

// ---- the exchanges of a stopped run or a revoked key end on their loops

struct stop_letter {
    struct worker *w;
    struct payer *run;            // or NULL
    const struct config_key *key; // or NULL
};

static void stop_read(void *arg) {
    struct stop_letter *letter = arg;
    if (letter->run)
        worker_stop_run(letter->w, letter->run);
    if (letter->key)
        worker_stop_key(letter->w, letter->key);
    payer_unref(letter->run);
    mem_free(letter);
}

static void stop_everywhere(struct daemon *d, struct payer *run, const struct config_key *key) {
    for (unsigned i = 0; i < d->n_shifts; i++) {
        struct stop_letter *letter = mem_alloc(sizeof *letter);
        if (!letter)
            return; // what runs ends by itself; nothing new begins
        *letter = (struct stop_letter){&d->shifts[i].worker, payer_ref(run), key};
        if (loop_post(&d->shifts[i].worker.loop, stop_read, letter) == ERR_OK)
            continue;
        payer_unref(run);
        mem_free(letter);
    }
}

// ---- answers

static const char *refusal_text(const struct money_call *k) {
    bool run = k->kind == CALL_RUN_STOP;
    if (k->errand.err == ERR_NOT_FOUND)
        return run ? "there is no such run" : "there is no such key, or it was revoked before";
    if (k->errand.err == ERR_LIMIT)
        return run ? "several keys have a run of that name; say whose"
                   : "there is a key of that name (names are not used again), or there are too many";
    return k->problem.len ? k->problem.p : NULL;
}

static void answer_write(struct money_call *k) {
    struct json_writer w = JSON_WRITER(&k->errand.out);
    if (k->errand.out.len)
        return;
    json_obj(&w);
    if (k->kind == CALL_KEY_ADD) {
        json_kv_cstr(&w, "name", k->name);
        json_kv_cstr(&w, "secret", k->secret);
    } else {
        json_kv_bool(&w, k->kind == CALL_RUN_STOP ? "stopped" : "revoked", true);
    }
    json_obj_end(&w);
}

static void call_drop(struct errand *e) {
    struct money_call *k = call_of(e);
    payer_unref(k->stopped);
    snapshot_unref(k->snap);
    if (e->out.p)
        wipe(e->out.p, e->out.cap);
    wipe(k->secret, sizeof k->secret);
    buf_done(&k->problem);
    errand_free(e);
}

static void call_done(struct errand *e) {
    struct money_call *k = call_of(e);
    if (k->stopped || k->revoked)
        stop_everywhere(k->d, k->stopped, k->revoked);
    if (k->problem.len)
        buf_append_char(&k->problem, 0);
    const char *why = e->err ? refusal_text(k) : NULL;
    if (e->err == ERR_LIMIT)
        e->err = ERR_BAD_FIELD;
    if (!e->err)
        answer_write(k);
    errand_answer(e, why);
}

static struct money_call *call_new(struct shift *s, enum money_call_kind kind, const struct caller *caller) {
    struct money_call *k = mem_zalloc(sizeof *k);
    if (!k)
        return NULL;
    k->errand = (struct errand){
        .path = "/gridtie", .out = BUF_INIT(64u << 20), .work = call_work, .done = call_done, .drop = call_drop};
    k->d = s->d;
    k->kind = kind;
    k->snap = snapshot_ref(s->worker.snap);
    k->keyed = caller->key != NULL;
    if (k->keyed)
        (void)snprintf(k->key, sizeof k->key, "%s", caller->key->name);
    buf_init(&k->problem, 4096);
    return k;
}

static void call_start(struct shift *s, struct conn *c, struct money_call *k) {
    errand_start(s, c, k ? &k->errand : NULL);
}

// ---- questions

static void text_take(char to[], size_t room, struct slice s) {
    if (s.n < room && s.n > 0)
        memcpy(to, s.p, s.n);
}

static void serve_spend(struct shift *s, struct conn *c, const struct http_request *r, const struct caller *caller) {
    char text[32];
    uint64_t since = 0;
    struct slice by = api_query(r->query, "by", text, sizeof text);
    enum store_by what = STORE_BY_KEY;
    char number[24];
    struct slice from = api_query(r->query, "since", number, sizeof number);
    if (by.n && !spend_by_parse(by, &what)) {
        api_respond_error(c, r->path, ERR_BAD_FIELD, "by: expected key, model, endpoint, run or day");
        return;
    }
    if (from.n && (!slice_u64(from, &since) || since > INT64_MAX / 2)) {
        api_respond_error(c, r->path, ERR_BAD_FIELD, "since: expected seconds since 1970");
        return;
    }
    struct money_call *k = call_new(s, CALL_SPEND, caller);
    if (k) {
        k->filter.by = what;
        k->filter.since_s = (int64_t)since;
    }
    call_start(s, c, k);
}

// The members name, budget and key of the body.
static bool body_take(struct money_call *k, struct slice body, const char *what) {
    struct arena a;
    struct json_doc doc;
    struct json_error why;
    arena_init(&a, 1 << 20, 0);
    yyjson_val *root = json_read(&a, body, &doc, &why) == ERR_OK ? yyjson_doc_get_root(doc.doc) : NULL;
    struct slice name = json_get_str(root, what), budget = json_get_str(root, "budget");
    bool fits = name.n < sizeof k->name && budget.n < sizeof k->budget;
    text_take(k->name, sizeof k->name, name);
    text_take(k->budget, sizeof k->budget, budget);
    if (!k->keyed)
        text_take(k->key, sizeof k->key, json_get_str(root, "key"));
    arena_done(&a);
    return fits && k->name[0];
}

static void serve_change(struct shift *s, struct conn *c, const struct http_request *r, enum money_call_kind kind,
                         const struct caller *caller) {
    const char *what = kind == CALL_RUN_STOP ? "run" : "name";
    if (kind != CALL_RUN_STOP && !caller->owner) {
        api_respond_error(c, r->path, ERR_FORBIDDEN, "only the owner makes and revokes keys");
        return;
    }
    struct money_call *k = call_new(s, kind, caller);
    if (k && !body_take(k, r->body, what)) {
        call_drop(&k->errand);
        api_respond_error(c, r->path, ERR_MISSING_FIELD,
                          kind == CALL_RUN_STOP ? "run: expected the id of a run" : "name: expected the name of a key");
        return;
    }
    call_start(s, c, k);
}

static void serve_keys(struct shift *s, struct conn *c, const struct http_request *r, const struct caller *caller) {
    if (caller->owner)
        call_start(s, c, call_new(s, CALL_KEYS, caller));
    else
        api_respond_error(c, r->path, ERR_FORBIDDEN, "only the owner sees the keys");
}

bool money_serve(struct shift *s, struct conn *c, const struct http_request *r) {
    bool get = slice_is(r->method, "GET"), post = slice_is(r->method, "POST");
    struct caller caller = {NULL, false};
    if (!slice_starts(r->path, "/gridtie/v1/") ||
        admit_credential(s->worker.snap->config, s->worker.keyring, &r->headers, r->query, r->loopback, &caller))
        return false;
    if (get && slice_is(r->path, "/gridtie/v1/spend"))
        serve_spend(s, c, r, &caller);
    else if (get && slice_is(r->path, "/gridtie/v1/runs"))
        call_start(s, c, call_new(s, CALL_RUNS, &caller));
    else if (post && slice_is(r->path, "/gridtie/v1/runs/stop"))
        serve_change(s, c, r, CALL_RUN_STOP, &caller);
    else if (get && slice_is(r->path, "/gridtie/v1/keys"))
        serve_keys(s, c, r, &caller);
    else if (post && slice_is(r->path, "/gridtie/v1/keys"))
        serve_change(s, c, r, CALL_KEY_ADD, &caller);
    else if (post && slice_is(r->path, "/gridtie/v1/keys/revoke"))
        serve_change(s, c, r, CALL_KEY_REVOKE, &caller);
    else
        return false;
    return true;
}
