// SPDX-License-Identifier: Apache-2.0
// The label step's and the attempts' use of privacy/. Both look at bytes: the label at what the client sent, an attempt at
// what it would send, so that nothing leaves that was not looked at in the very form in which it leaves. Little work runs
// here and now, much goes to the pool, which reads the bytes where they are: they stay until it is done, also when client
// and attempt are gone. To copy 5 MB would stop the loop for milliseconds.
// Whatever goes wrong here narrows: a detector that is missing or gives up leaves device and edge.
#include "switch/private.h"
#include <stdio.h>
#include "base/clock.h"
#include "base/mem.h"
#include "net/server.h"
#include "privacy/restore.h"
#include "switch/worker.h"

// What is done on the loop, so that it never stands still for 2 ms (bench/privacy.c measures the parts); more goes off it.
#define INLINE_NEW_BYTES (4u << 10)    // scanned: 20 us a KB, of numbers alone 120
#define INLINE_BODY_BYTES (128u << 10) // walked and looked up: 10 us a KB where something is replaced
#define INLINE_MARKS 32                // replaced: 10 us each

struct private_job {
    struct worker *w;
    struct exchange *x; // NULL: gone
    struct attempt *at; // NULL: the label's, or gone
    struct arena arena;
    struct detector *detector; // a reference; NULL: there is none yet
    struct body body;
    // what the pool reads stands in one of these
    struct conn_keep *keep;
    struct arena left; // the attempt's, which is over
    bool running, for_attempt;
    bool needed; // the attempt may not leave unless it was looked into
    enum err err;
    // an attempt's
    struct standin_key key;
    enum condition plain, personal; // of the target's zone, without and with personal data in the request
    enum condition condition;       // which of them it is
    bool mask_secrets;
    struct replaced replaced;
    uint8_t sha256[32];
    struct restorer *restorer;
    bool dropped_logprobs;
};

// ---- a job

static void job_free(struct private_job *j) {
    bool large = j->body.json.n > INLINE_BODY_BYTES;
    worker_free(j->w, &j->arena, large);
    worker_free(j->w, &j->left, large);
    detector_unref(j->detector);
    wipe(&j->key, sizeof j->key);
    mem_free(j);
}

static struct private_job *job_new(struct exchange *x, struct slice json) {
    struct private_job *j = mem_zalloc(sizeof *j);
    if (!j)
        return NULL;
    j->w = x->w;
    j->x = x;
    j->detector = x->w->detector ? detector_ref(x->w->detector) : NULL;
    arena_init(&j->arena, 2 * (size_t)LIMIT_EXCHANGE_ARENA_BYTES, 0);
    j->body = (struct body){.a = &j->arena, .detector = j->detector, .memo = x->w->memo, .json = json};
    return j;
}

static enum err job_replace(struct private_job *j) {
    bool personal = body_has_personal(&j->body), secret = j->mask_secrets && body_has_secret(&j->body);
    j->condition = personal ? j->personal : j->plain;
    bool all = personal && condition_pseudonymises(j->condition);
    j->replaced.json = j->body.json;
    enum err e = all || secret ? body_replace(&j->body, &j->key, !all, &j->replaced) : ERR_OK;
    if (!e)
        sha256(j->replaced.json, j->sha256);
    return e;
}

// On the loop or the pool. *ret_more: it is too much for here.
static void job_run(struct private_job *j, size_t most, bool *ret_more) {
    *ret_more = false;
    j->err = j->detector ? body_find(&j->body, most, ret_more) : ERR_OK;
    if (!j->for_attempt || j->err || *ret_more)
        return;
    *ret_more = most != SIZE_MAX && j->body.n > INLINE_MARKS;
    if (!*ret_more)
        j->err = job_replace(j);
}

static void job_work(void *arg) {
    bool ignored;
    job_run(arg, SIZE_MAX, &ignored);
}

static void label_done(struct exchange *x, const struct private_job *j);
static bool attempt_done(struct attempt *at);

static void job_done(void *arg) {
    struct private_job *j = arg;
    struct exchange *x = j->x;
    struct attempt *at = j->at;
    struct conn_keep *keep = j->keep;
    j->running = false;
    j->keep = NULL;
    if (x)
        atomic_fetch_add_explicit(&x->w->scanned_bytes, j->body.scanned_bytes, memory_order_relaxed);
    if (!x || (j->for_attempt && !at)) {
        job_free(j);
    } else if (at) {
        if (attempt_done(at))
            attempt_go(at);
    } else {
        x->label_job = NULL;
        label_done(x, j);
        job_free(j);
        exchange_resume(x);
    }
    conn_keep_done(keep);
}

static bool is_within(struct slice inner, struct slice outer) {
    return inner.p && outer.p && (uintptr_t)inner.p - (uintptr_t)outer.p < outer.n;
}

// Until the pool has done with them: a client's bytes, of this exchange or of one that it helps, or what its attempt wrote.
static bool bytes_stay(struct private_job *j) {
    const struct exchange *x = j->x;
    while (x && !is_within(j->body.json, x->in.body))
        x = x->parent;
    if (!x)
        return true; // in the attempt's arena
    if (x->sink.ops)
        j->keep = x->sink.ops->keep(x->sink.to);
    return j->keep != NULL;
}

// 1: done here; 0: it runs on the pool; -1: out of memory.
static int job_start(struct private_job *j) {
    bool more = true;
    if (j->body.json.n <= INLINE_BODY_BYTES)
        job_run(j, INLINE_NEW_BYTES, &more);
    if (!more) {
        atomic_fetch_add_explicit(&j->x->w->scanned_bytes, j->body.scanned_bytes, memory_order_relaxed);
        return 1;
    }
    if (!bytes_stay(j))
        return -1;
    j->running = true;
    if (loop_offload(&j->x->w->loop, job_work, job_done, j) == ERR_OK)
        return 0;
    j->running = false;
    conn_keep_done(j->keep);
    j->keep = NULL;
    return -1;
}

// ---- the label

static enum condition personal_condition(const struct exchange *x, enum zone z) {
    return condition_stricter(x->reach.zones[z], x->snap->config->matrix[LABEL_PERSONAL][z]);
}

// Does it matter for a target in z what is in the request?
static bool zone_asks(const struct exchange *x, enum zone z) {
    if (z == ZONE_DEVICE)
        return false;
    enum condition c = x->reach.zones[z];
    return x->snap->config->mask_secrets || condition_pseudonymises(c) || personal_condition(x, z) != c;
}

// Zones of targets that the request names and may reach, for which it has to be known what is in it.
static unsigned zones_that_ask(struct exchange *x) {
    unsigned named = decide_zones(x), asking = 0;
    for (int z = 0; z < ZONE_COUNT; z++)
        if (named & 1u << z && reach_allows(&x->reach, (enum zone)z, false, true) && zone_asks(x, (enum zone)z))
            asking |= 1u << z;
    return asking;
}

static void reach_narrow(struct exchange *x, enum zone widest) {
    x->reach = reach_intersect(x->reach, reach_up_to(widest));
}

static void label_personal(struct exchange *x, const char *source) {
    if (x->label >= LABEL_PERSONAL)
        return;
    x->label = LABEL_PERSONAL;
    x->label_source = source;
    x->reach = reach_intersect(x->reach, reach_of_label(x->snap->config->matrix, LABEL_PERSONAL));
}

static void label_done(struct exchange *x, const struct private_job *j) {
    x->check = CHECK_DONE;
    if (j->err) {
        x->label_source = "not checked";
        reach_narrow(x, ZONE_EDGE);
    } else if (body_has_personal(&j->body)) {
        label_personal(x, "detected");
    }
}

static enum step_result label_start(struct exchange *x) {
    struct private_job *j = job_new(x, x->in.body);
    if (!j)
        return exchange_refuse(x, ERR_NO_MEMORY, NULL);
    x->check = CHECK_RUNS;
    x->label_job = j;
    int done = job_start(j);
    if (done == 0)
        return STEP_WAIT;
    x->label_job = NULL;
    if (done < 0)
        j->err = ERR_NO_MEMORY;
    label_done(x, j);
    job_free(j);
    return STEP_NEXT;
}

enum step_result private_label(struct exchange *x) {
    if (x->check == CHECK_DONE)
        return STEP_NEXT;
    if (x->check == CHECK_RUNS)
        return STEP_WAIT;
    unsigned asking = x->in.body.n ? zones_that_ask(x) : 0;
    if (!asking) {
        x->check = CHECK_DONE;
        return STEP_NEXT;
    }
    if (x->w->detector)
        return label_start(x);
    if (!x->w->detector_failed) {
        x->check = CHECK_WAITS;
        exchange_arm(x);
        return STEP_WAIT;
    }
    x->check = CHECK_DONE;
    reach_narrow(x, ZONE_EDGE);
    return STEP_NEXT;
}

void private_leave(struct exchange *x) {
    if (x->label_job)
        x->label_job->x = NULL;
    x->label_job = NULL;
}

// ---- an attempt

// A run, else a key: who may see that two stand-ins are the same. The run is the one that budgets know, also where it was
// told from a client's own headers.
static void scope_key(const struct exchange *x, struct standin_key *ret) {
    struct buf scope = BUF_INIT(LIMIT_HEAD_BYTES + 1024);
    const struct payer *run = x->purse.payers[SCOPE_RUN];
    buf_printf(&scope, "%s\n%s", x->key ? x->key->name : "", run ? run->run : "");
    standin_key_of(secret_reveal(&x->w->privacy->key), buf_slice(&scope), ret);
    buf_done(&scope);
}

static void attempt_refuse(struct attempt *at, enum err e, const char *detail) {
    struct problem p = PROBLEM(e);
    at->detail = slice_str(detail);
    attempt_fail(at, &p);
}

static void note_replaced(struct attempt *at) {
    const uint32_t *counts = at->private->replaced.counts;
    struct buf text = BUF_INIT(1024);
    for (int e = 0; e < ENTITY_COUNT; e++)
        if (counts[e])
            buf_printf(&text, "%s%u %s", text.len ? ", " : "", counts[e], entity_name((enum entity)e));
    notes_add(&at->x->arena, &at->x->notes, "replaced", arena_copy(&at->x->arena, buf_slice(&text)),
              "stand-ins went to the target; in its answer they are put back");
    buf_done(&text);
}

// True: it may be sent. What was found now may be more than the label knew: then the reach narrows again.
static bool attempt_done(struct attempt *at) {
    struct private_job *j = at->private;
    struct exchange *x = at->x;
    if (j->err && at->t->zone > ZONE_EDGE) {
        attempt_refuse(at, j->err, "what is private in the request could not be told");
        return false;
    }
    if (!j->err && body_has_personal(&j->body))
        label_personal(x, "detected");
    if (!reach_allows(&x->reach, at->t->zone, at->t->endpoint->retention, private_is_checked(at))) {
        attempt_refuse(at, ERR_NO_REACH, "personal data was found, which may not go there");
        return false;
    }
    if (j->err) {
        sha256(at->wire.body, j->sha256);
        return true;
    }
    at->wire.body = j->replaced.json;
    if (j->replaced.standins) {
        at->wire.verbatim = false;
        note_replaced(at);
        atomic_fetch_add_explicit(&x->w->replaced, 1, memory_order_relaxed);
    }
    return true;
}

static struct private_job *attempt_job(struct attempt *at) {
    struct exchange *x = at->x;
    struct private_job *j = job_new(x, at->wire.body);
    if (!j)
        return NULL;
    j->at = at;
    j->for_attempt = true;
    j->needed = zone_asks(x, at->t->zone);
    if (!j->needed) {
        detector_unref(j->detector);
        j->detector = j->body.detector = NULL;
    }
    j->plain = x->reach.zones[at->t->zone];
    j->personal = x->label >= LABEL_PERSONAL ? j->plain : personal_condition(x, at->t->zone);
    j->mask_secrets = x->snap->config->mask_secrets;
    scope_key(x, &j->key);
    return j;
}

bool private_ready(struct attempt *at) {
    if (at->t->zone == ZONE_DEVICE || at->private)
        return true;
    at->private = attempt_job(at);
    if (!at->private) {
        attempt_fail(at, &PROBLEM(ERR_NO_MEMORY));
        return false;
    }
    int done = job_start(at->private);
    if (done == 0) {
        exchange_arm(at->x);
        return false;
    }
    if (done < 0)
        at->private->err = ERR_NO_MEMORY;
    return attempt_done(at);
}

bool private_is_checked(const struct attempt *at) {
    const struct private_job *j = at->private;
    return j && !j->running && !j->err && (j->detector || !j->needed);
}

bool private_drop(struct attempt *at) {
    struct private_job *j = at->private;
    if (!j || !j->running)
        return false;
    j->at = NULL;
    j->x = NULL;
    at->private = NULL;
    arena_give(&at->arena, &j->left);
    return true;
}

void private_free(struct attempt *at) {
    struct private_job *j = at->private;
    if (!j)
        return;
    at->private = NULL;
    job_free(j);
}

bool private_receipt(struct attempt *at) {
    const struct private_job *j = at->private;
    const struct exchange *x = at->x;
    if (at->t->zone == ZONE_DEVICE)
        return true;
    const struct receipt one = {.exchange = slice_str(x->id),
                                .endpoint = slice_str(at->t->endpoint->name),
                                .target = slice_str(at->t->name),
                                .key = x->key ? slice_str(x->key->name) : SLICE_NONE,
                                .attempt = at->index,
                                .wall_us = clock_wall_us(),
                                .zone = at->t->zone,
                                .label = x->label,
                                .condition = x->reach.zones[at->t->zone],
                                .checked = j->detector && !j->err,
                                .bytes = at->wire.body.n,
                                .sha256 = j->sha256,
                                .counts = j->replaced.counts};
    enum err e = receipts_put(x->w->privacy->receipts, &one);
    if (e)
        attempt_fail(at, &PROBLEM(e));
    return e == ERR_OK;
}

// ---- the way back

static enum err event_pass(void *ctx, const struct event *ev) {
    return filter_pass(ctx, ev);
}

static enum err event_restore(struct filter *f, const struct event *ev) {
    struct attempt *at = f->owner;
    struct event_sink next = {event_pass, f};
    // They tell of tokens, and a stand-in is many of them: beside the text that was put back they would be of another.
    if (ev->kind == EV_META && slice_is(ev->name, "logprobs")) {
        if (!at->private->dropped_logprobs)
            notes_add(&at->x->arena, &at->x->notes, "dropped", SLICE("logprobs"),
                      "they are of the stand-ins, which were put back");
        at->private->dropped_logprobs = true;
        return ERR_OK;
    }
    return restorer_event(at->private->restorer, ev, &next);
}

bool private_open(struct attempt *at) {
    struct private_job *j = at->private;
    const struct request *r = at->x->request;
    if (!j || !j->replaced.standins)
        return true;
    const struct restore_options o = {.json_text = r->format == FORMAT_JSON || r->format == FORMAT_SCHEMA,
                                      .exact_thinking = at->dialect->signs_thinking};
    j->restorer = restorer_new(&j->arena, &j->replaced.aliases, j->replaced.standins, &o);
    if (!j->restorer)
        return false;
    at->restore = (struct filter){PHASE_RESTORE, event_restore, at, NULL};
    pipe_add(&at->pipe, &at->restore);
    return true;
}

struct slice private_restore(struct attempt *at, struct slice text) {
    const struct private_job *j = at->private;
    struct buf out = BUF_INIT(LIMIT_UP_ERROR_BYTES * 2);
    if (!j || !j->replaced.standins || !text.n)
        return text;
    enum err e = restore_text(&j->replaced.aliases, j->replaced.standins, text, false, false, &out);
    struct slice s = e ? text : arena_copy(&at->x->arena, buf_slice(&out));
    buf_done(&out);
    return s;
}

struct slice private_detail(struct attempt *at, struct slice text) {
    struct spans found = {0};
    struct buf out = BUF_INIT(4096);
    struct detector *d = at->x->w->detector;
    struct slice s = SLICE_NONE;
    size_t from = 0;
    enum err e = d ? detector_scan(d, text, &found) : ERR_INTERNAL;
    for (size_t i = 0; i < found.n; i++) {
        buf_append_mem(&out, text.p + from, found.v[i].at - from);
        buf_printf(&out, "[%s]", entity_name(span_entity(&found.v[i])));
        from = found.v[i].at + found.v[i].n;
    }
    buf_append(&out, slice_from(text, from));
    if (!e && !out.failed)
        s = arena_copy(&at->x->arena, buf_slice(&out));
    spans_done(&found);
    buf_done(&out);
    return s;
}
