// SPDX-License-Identifier: Apache-2.0
// One HTTP call at a time to the daemon, over net's client on a small loop of its own that turns only while a call runs.
// The address: --url, $GRIDTIE_URL, the config's first listen address, else the usual port. The key comes from
// $GRIDTIE_KEY or a file (where none is given and the daemon is on this machine, the owner's in the state folder), never
// from argv, and goes only into the authorization header. Errors are said in words that name the next step; the callers
// decide about exit statuses.
#include "cli/talk.h"
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include "base/fs.h"
#include "base/limits.h"
#include "config/config.h"

#define USUAL_URL "http://127.0.0.1:11411"
#define ASK_SECONDS 30
#define BUSY_TRIES 50
#define BUSY_US 100000

// ---- where it is

// "0.0.0.0:1" and "[::]:1" are not addresses one can call.
static const char *url_of_listen(struct arena *a, const char *listen) {
    struct slice s = slice_str(listen);
    if (slice_starts(s, "unix:"))
        return arena_strdup(a, listen);
    if (slice_starts(s, "0.0.0.0:"))
        return arena_printf(a, "http://127.0.0.1:%s", listen + 8);
    if (slice_starts(s, "[::]:"))
        return arena_printf(a, "http://[::1]:%s", listen + 5);
    return arena_printf(a, "http://%s", listen);
}

// The lines of the top-level `listen`, with what belongs to it.
static struct slice listen_lines(struct slice yaml) {
    struct slice found = SLICE_NONE;
    while (yaml.n) {
        struct slice line = slice_split(&yaml, '\n');
        bool more = found.p && (slice_starts(line, " ") || slice_starts(line, "-"));
        if (!found.p && slice_starts(line, "listen:"))
            found = line;
        else if (more)
            found.n = (size_t)(line.p + line.n - found.p);
        else if (found.p)
            break;
    }
    return found;
}

// A config with problems is `gridtie check`'s to explain, but the daemon that still runs with the one before is most
// likely where this one says: `reload` must reach it to be told what is wrong.
static struct config *config_of_broken(const char *path) {
    struct buf text = BUF_INIT(LIMIT_CONFIG_BYTES), problems = BUF_INIT(65536);
    struct config *c = NULL;
    if (fs_read_file(path, LIMIT_CONFIG_BYTES, &text) == ERR_OK)
        (void)!config_load_text(listen_lines(buf_slice(&text)), path, ".", &c, &problems);
    buf_done(&text);
    buf_done(&problems);
    return c;
}

static const char *url_of_config(struct arena *a, const char *path) {
    struct buf usual = BUF_INIT(8192), problems = BUF_INIT(65536);
    struct config *c = NULL;
    const char *url = NULL;
    fs_config_dir(&usual);
    buf_append_str(&usual, "/gridtie.yaml");
    path = path ? path : buf_cstr(&usual);
    if (config_load(path, &c, &problems) != ERR_OK)
        c = config_of_broken(path);
    if (c && c->n_listen > 0)
        url = url_of_listen(a, c->listen[0]);
    config_unref(c);
    buf_done(&usual);
    buf_done(&problems);
    return url ? url : USUAL_URL;
}

static bool is_loopback(const struct origin *o) {
    return o->unix_path.n > 0 || slice_is(o->host, "localhost") || slice_starts(o->host, "127.") ||
           slice_is(o->host, "::1") || slice_is(o->host, "[::1]");
}

static bool address_find(struct talk *t, const struct cli *c, const char *config_path) {
    struct buf problem = BUF_INIT(1024);
    const char *env = getenv("GRIDTIE_URL");
    const char *given = c->value[OPT_URL] ? c->value[OPT_URL] : env && env[0] ? env : NULL;
    t->given = given != NULL;
    t->url = given ? given : url_of_config(&t->arena, config_path);
    struct slice url = slice_str(t->url);
    bool ok = true;
    if (slice_starts(url, "unix:"))
        t->origin = (struct origin){.host = SLICE("localhost"), .port = 80, .unix_path = slice_from(url, 5)};
    else
        ok = origin_parse(url, &t->origin, &t->base_path, &problem) == ERR_OK;
    if (!ok)
        (void)cli_fail(2, "'%s' is no address of a daemon: %s; expected http://HOST:PORT or unix:/PATH", t->url,
                       buf_cstr(&problem));
    buf_done(&problem);
    while (t->base_path.n && t->base_path.p[t->base_path.n - 1] == '/')
        t->base_path.n--;
    t->permit = (struct permit){.zone = is_loopback(&t->origin) ? ZONE_DEVICE : ZONE_CLOUD,
                                .allowed = (1u << ZONE_COUNT) - 1,
                                .purpose = "cli"};
    return ok;
}

// The folder of the config's `state`, else the usual one.
static void state_dir(const char *config_path, struct buf *out) {
    struct buf usual = BUF_INIT(8192), problems = BUF_INIT(65536);
    struct config *c = NULL;
    fs_config_dir(&usual);
    buf_append_str(&usual, "/gridtie.yaml");
    if (config_load(config_path ? config_path : buf_cstr(&usual), &c, &problems) == ERR_OK && c->state_dir)
        buf_append_str(out, c->state_dir);
    else
        fs_data_dir(out);
    config_unref(c);
    buf_done(&usual);
    buf_done(&problems);
}

// What the daemon keeps for its owner's command line. It goes to this machine only.
static void owner_key_find(struct talk *t, const char *config_path) {
    struct buf path = BUF_INIT(8192);
    state_dir(config_path, &path);
    buf_append_str(&path, "/owner.key");
    (void)secret_from_file(&t->key, buf_cstr(&path)); // none: the daemon will say that it wants one
    buf_done(&path);
}

bool talk_client_key(const struct cli *c, struct secret *ret) {
    const char *path = c->value[OPT_KEY_FILE], *env = getenv("GRIDTIE_KEY");
    if (path && !secret_from_file(ret, path)) {
        (void)cli_fail(1, "%s can't be read: %s", path, strerror(errno));
        return false;
    }
    return path || !env || secret_set(ret, slice_str(env));
}

static bool key_find(struct talk *t, const struct cli *c, const char *config_path) {
    if (!talk_client_key(c, &t->key))
        return false;
    if (secret_is_empty(&t->key) && t->permit.zone == ZONE_DEVICE)
        owner_key_find(t, config_path);
    return true;
}

// ---- open and close

static void call_end(struct talk *t, enum err e) {
    t->err = e;
    t->fetch = NULL;
    timer_stop(&t->timer);
    (void)uv_signal_stop(&t->interrupt);
    loop_stop(&t->loop);
}

static void on_second(struct timer *timer) {
    struct talk *t = timer->arg;
    t->seconds++;
    if (t->most_seconds && t->seconds >= t->most_seconds) {
        fetch_cancel(t->fetch);
        (void)snprintf(t->detail, sizeof t->detail, "no answer within %u s", t->seconds);
        call_end(t, ERR_UP_TIMEOUT);
        return;
    }
    timer_start(&t->timer, 1000);
    if (t->hooks && t->hooks->tick)
        t->hooks->tick(t->hooks->ctx, t->seconds);
}

static void on_interrupt(uv_signal_t *h, int signum) {
    struct talk *t = h->data;
    (void)signum;
    if (!t->fetch)
        return;
    fetch_cancel(t->fetch); // closes the connection: that is what stops the upstream
    t->interrupted = true;
    call_end(t, ERR_CANCELLED);
}

bool talk_open(struct talk *t, const struct cli *c, const char *config_path) {
    *t = (struct talk){0};
    arena_init(&t->arena, LIMIT_UP_BODY_BYTES * 4, 0);
    if (!address_find(t, c, config_path) || !key_find(t, c, config_path)) {
        secret_done(&t->key);
        arena_done(&t->arena);
        return false;
    }
    if (loop_init(&t->loop, 0) != ERR_OK || client_new(&t->loop, &t->client) != ERR_OK)
        abort(); // a fresh process without memory for one loop has nothing left to say
    timer_init(&t->timer, &t->loop, on_second, t);
    (void)uv_signal_init(&t->loop.uv, &t->interrupt);
    t->interrupt.data = t;
    return true;
}

static void client_is_closed(void *arg) {
    loop_stop(&((struct talk *)arg)->loop);
}

void talk_close(struct talk *t) {
    timer_close(&t->timer, NULL);
    uv_close((uv_handle_t *)&t->interrupt, NULL);
    client_close(t->client, client_is_closed, t);
    loop_run(&t->loop);
    loop_done(&t->loop);
    secret_done(&t->key);
    arena_done(&t->arena);
}

// ---- a call

static void on_head(void *user, int status, const struct headers *h) {
    struct talk *t = user;
    t->status = status;
    if (t->hooks && t->hooks->head)
        t->hooks->head(t->hooks->ctx, status, h);
}

static void on_body(void *user, struct slice bytes) {
    struct talk *t = user;
    if (t->hooks && t->hooks->body)
        t->hooks->body(t->hooks->ctx, bytes);
}

static void on_done(void *user, enum err e, const char *detail) {
    struct talk *t = user;
    (void)snprintf(t->detail, sizeof t->detail, "%s", detail ? detail : "");
    call_end(t, e);
}

static const struct fetch_hooks fetch_hooks = {.on_head = on_head, .on_body = on_body, .on_done = on_done};

// Appends "Bearer …"; the buffer is wiped by the caller.
static void authorization_write(const struct talk *t, struct buf *out) {
    buf_append_str(out, "Bearer ");
    buf_append(out, secret_reveal(&t->key));
}

static enum err call_once(struct talk *t, const char *method, struct slice path, struct slice body, bool fresh) {
    struct buf authorization = BUF_INIT(70000);
    struct header v[3] = {{SLICE("content-type"), SLICE("application/json")},
                          {SLICE("user-agent"), SLICE("gridtie-cli")}};
    struct headers h = {v, 2};
    if (!secret_is_empty(&t->key)) {
        authorization_write(t, &authorization);
        v[h.n++] = (struct header){SLICE("authorization"), buf_slice(&authorization)};
    }
    struct fetch_request r = {.origin = t->origin,
                              .method = method,
                              .path = path,
                              .headers = h,
                              .body = body,
                              .permit = &t->permit,
                              .fresh = fresh};
    t->status = 0;
    t->seconds = 0;
    t->detail[0] = 0;
    enum err e = fetch_start(t->client, &r, &fetch_hooks, t, &t->fetch);
    if (!e) {
        timer_start(&t->timer, 1000);
        if (t->stop_on_interrupt)
            (void)uv_signal_start(&t->interrupt, on_interrupt, SIGINT);
        loop_run(&t->loop);
        e = t->err;
    }
    if (authorization.p)
        wipe(authorization.p, authorization.cap);
    buf_done(&authorization);
    return e;
}

enum err talk_call(struct talk *t, const char *method, const char *path, struct slice body,
                   const struct call_hooks *hooks, unsigned most_seconds) {
    struct buf full = BUF_INIT(16384);
    buf_append(&full, t->base_path);
    buf_append_str(&full, path);
    t->hooks = hooks;
    t->most_seconds = most_seconds;
    enum err e = call_once(t, method, buf_slice(&full), body, false);
    if (e == ERR_STALE)
        e = call_once(t, method, buf_slice(&full), body, true);
    t->hooks = NULL;
    buf_done(&full);
    return e;
}

static void gather(void *ctx, struct slice bytes) {
    buf_append(ctx, bytes);
}

enum err talk_fetch(struct talk *t, const char *method, const char *path, struct slice body, struct buf *out,
                    unsigned most_seconds) {
    struct call_hooks hooks = {.body = gather, .ctx = out};
    return talk_call(t, method, path, body, &hooks, most_seconds);
}

enum err talk_probe(struct talk *t) {
    struct buf said = BUF_INIT(65536);
    enum err e = talk_fetch(t, "GET", "/healthz", SLICE_NONE, &said, 5);
    struct slice word = slice_trim(buf_slice(&said));
    if (!e && !slice_is(word, "ok") && !slice_is(word, "draining"))
        e = ERR_UP_PROTOCOL; // somebody else's server
    buf_done(&said);
    return e;
}

// ---- what went wrong

static const char *error_message(struct talk *t, struct slice body) {
    struct json_doc d;
    struct json_error why;
    struct slice copy = arena_copy(&t->arena, body);
    if (!copy.p || json_read(&t->arena, copy, &d, &why) != ERR_OK)
        return NULL;
    yyjson_val *error = yyjson_obj_get(yyjson_doc_get_root(d.doc), "error");
    struct slice s = yyjson_is_str(error) ? json_str(error) : json_get_str(error, "message");
    return s.n ? arena_cstr(&t->arena, s) : NULL;
}

static int explain_status(struct talk *t, struct slice body) {
    const char *message = error_message(t, body);
    if (t->status == 401 && secret_is_empty(&t->key))
        return cli_fail(1, "the daemon at %s wants a key: set GRIDTIE_KEY, or give --key-file FILE", t->url);
    if (t->status == 401)
        return cli_fail(1, "the daemon at %s does not know this key (GRIDTIE_KEY or --key-file)", t->url);
    if (message)
        return cli_fail(1, "%s", message);
    return cli_fail(1, "%s answered with HTTP %d; is a gridtie daemon there?", t->url, t->status);
}

static int explain_failure(struct talk *t, enum err e) {
    if (e == ERR_UP_CONNECT && t->given)
        return cli_fail(1, "no daemon answers at %s (%s); is the address right?", t->url, t->detail);
    if (e == ERR_UP_CONNECT)
        return cli_fail(1, "no daemon runs at %s; start one with 'gridtie serve' (or 'gridtie serve --daemon')",
                        t->url);
    if (e == ERR_UP_PROTOCOL)
        return cli_fail(1, "what listens at %s is no gridtie daemon; end it, or set another `listen` in the config",
                        t->url);
    if (e == ERR_UP_DIED)
        return cli_fail(1, "the daemon closed the connection before the answer was complete; its log says why");
    return cli_fail(1, "%s: %s%s%s", t->url, err_row(e)->text, t->detail[0] ? ": " : "", t->detail);
}

int talk_explain(struct talk *t, enum err e, struct slice body) {
    return e ? explain_failure(t, e) : explain_status(t, body);
}

static yyjson_val *answer_read(struct talk *t, enum err e, struct buf *text) {
    struct json_doc d;
    struct json_error why;
    if (e || t->status != 200) {
        (void)talk_explain(t, e, buf_slice(text));
        return NULL;
    }
    if (json_read(&t->arena, buf_slice(text), &d, &why) == ERR_OK)
        return yyjson_doc_get_root(d.doc);
    (void)cli_fail(1, "%s answered with something that is not JSON; is a gridtie daemon there?", t->url);
    return NULL;
}

yyjson_val *talk_ask(struct talk *t, const char *path, struct buf *text) {
    return answer_read(t, talk_fetch(t, "GET", path, SLICE_NONE, text, ASK_SECONDS), text);
}

yyjson_val *talk_post(struct talk *t, const char *path, struct slice body, struct buf *text, unsigned most_seconds) {
    size_t before = text->len;
    enum err e;
    for (unsigned tries = 0;; tries++) {
        e = talk_fetch(t, "POST", path, body, text, most_seconds);
        if (e || t->status != 503 || tries == BUSY_TRIES)
            break;
        text->len = before; // one that has just started may still load what it answers with
        (void)usleep(BUSY_US);
    }
    return answer_read(t, e, text);
}

int talk_show(const struct cli *c, const char *path, void (*show)(struct arena *a, yyjson_val *root)) {
    struct talk t;
    struct buf text = BUF_INIT(LIMIT_UP_BODY_BYTES);
    if (!talk_open(&t, c, NULL))
        return 1;
    yyjson_val *root = talk_ask(&t, path, &text);
    if (root && c->value[OPT_JSON])
        (void)printf("%.*s\n", SLICE_FMT(slice_trim(buf_slice(&text))));
    else if (root)
        show(&t.arena, root);
    talk_close(&t);
    buf_done(&text);
    return root ? 0 : 1;
}
