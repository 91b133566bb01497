// SPDX-License-Identifier: Apache-2.0
// The rig of the fault suites (rig.h). It builds what admin/daemon.c builds, but on one loop and without threads of its
// own, so that mem_fail_at reaches every allocation of a request's way and a turn is a step that can be counted. The
// rig's own memory comes from the C library: a failing allocator must not reach it.
#include "fault/rig.h"
#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>
#include "base/clock.h"
#include "base/fs.h"
#include "base/log.h"
#include "fault/children.h"
#include "ledger/money.h"
#include "privacy/key.h"
#include "privacy/samples.h"
#include "unit.h"

#define BEAT_MS 3
#define HELD_BEATS 10
#define AWAIT_MS 20000

// ---- building

static struct loop *rig_loop(struct rig *r) {
    return &r->shift.worker.loop;
}

static void yaml_fill(const struct rig *r, const char *yaml, struct buf *out) {
    struct slice rest = slice_str(yaml);
    buf_append_str(out, "listen: 127.0.0.1:0\n");
    while (rest.n) {
        size_t at = slice_find(rest, '$');
        buf_append(out, slice_first(rest, at));
        rest = slice_from(rest, at == SIZE_MAX ? rest.n : at);
        if (slice_starts(rest, "$SIM"))
            buf_printf(out, "%d", r->sim_port), rest = slice_from(rest, 4);
        else if (slice_starts(rest, "$SELF"))
            buf_append_str(out, self_path()), rest = slice_from(rest, 5);
    }
}

struct config *rig_config(const struct rig *r, const char *yaml) {
    struct buf text = BUF_INIT(65536), why = BUF_INIT(65536);
    struct config *c = NULL;
    yaml_fill(r, yaml, &text);
    if (config_load_text(buf_slice(&text), "test.yaml", r->dir, &c, &why))
        unit_fail(__FILE__, __LINE__, "config: %s\n%s", buf_cstr(&why), buf_cstr(&text));
    buf_done(&text);
    buf_done(&why);
    return c;
}

static void on_changed(void *ctx, struct snapshot *s) {
    struct rig *r = ctx;
    worker_set_snapshot(&r->shift.worker, s);
}

static void on_beat(struct timer *t) {
    struct rig *r = t->arg;
    timer_start(t, BEAT_MS);
    if (r->held_beats > 0 && --r->held_beats == 0)
        hold_settle(&r->held, 0);
}

// A store with one model, whose weights are an empty GGUF.
static bool store_make(struct rig *r) {
    static const char header[24] = {'G', 'G', 'U', 'F', 3};
    char path[128];
    snprintf(r->dir, sizeof r->dir, "/tmp/gridtie-test.XXXXXX");
    if (!mkdtemp(r->dir))
        return false;
    setenv("GRIDTIE_CACHE", r->dir, 1);
    snprintf(path, sizeof path, "%s/w.gguf", r->dir);
    return fs_write_atomic(path, slice_of(header, sizeof header), 0600) == ERR_OK;
}

bool rig_start(struct rig *r, const char *yaml) {
    struct worker *w = &r->shift.worker;
    struct buf why = BUF_INIT(4096);
    char path[128];
    *r = (struct rig){0};
    log_set_level(LOG_ERROR);
    (void)detector_of_tests(); // from where the build keeps it, before the cache is another
    if (!store_make(r))
        return false;
    snprintf(path, sizeof path, "%s/bill", r->dir);
    r->sim = sim_start(path, &r->sim_port);
    r->config = rig_config(r, yaml);
    struct ledger_options o = {.dir = r->dir, .loops = 1, .retention_s = 86400, .batch_ms = 20};
    snprintf(path, sizeof path, "%s/run", r->dir);
    bool ok = r->sim > 0 && r->config && !ledger_open(&o, &r->ledger, &why) &&
              !ledger_budgets(r->ledger, r->config, true) && !state_key_open(r->dir, &r->privacy.key, &why) &&
              !receipts_open(r->dir, 86400, &r->privacy.receipts, &why) && !loop_init(&w->loop, 0) &&
              !client_new(&w->loop, &w->client) &&
              !grid_new(&w->loop, r->config, r->dir, path, on_changed, r, &w->grid, &why);
    if (!ok)
        unit_fail(__FILE__, __LINE__, "no rig: %s", buf_cstr(&why));
    buf_done(&why);
    if (!ok)
        return false;
    w->journal = ledger_journal(r->ledger, 0);
    w->accounts = ledger_accounts(r->ledger);
    w->keyring = ledger_keyring(r->ledger);
    w->privacy = &r->privacy;
    w->detector = detector_ref(detector_of_tests());
    timer_init(&r->beat, &w->loop, on_beat, r);
    timer_start(&r->beat, BEAT_MS);
    return rig_listen(r);
}

bool rig_reload(struct rig *r, const char *yaml) {
    struct buf why = BUF_INIT(4096);
    struct config *c = rig_config(r, yaml);
    bool ok = c && grid_reload(r->shift.worker.grid, c, &why) == ERR_OK && !ledger_budgets(r->ledger, c, false);
    buf_done(&why);
    if (!ok) {
        config_unref(c);
        return false;
    }
    config_unref(r->config);
    r->config = c;
    return true;
}

bool rig_listen(struct rig *r) {
    struct server_options o = {0};
    struct buf why = BUF_INIT(4096);
    r->port = 0;
    bool ok = !server_new(rig_loop(r), &o, &front_hooks, &r->shift, &r->shift.worker.server) &&
              !server_listen_tcp(r->shift.worker.server, "127.0.0.1:0", &r->port, &why);
    buf_done(&why);
    return ok;
}

// ---- turning

void rig_turn(struct rig *r) {
    (void)uv_run(&rig_loop(r)->uv, UV_RUN_ONCE);
}

static bool turn_until(struct rig *r, const bool *flag) {
    for (uint64_t end = clock_mono_ms() + AWAIT_MS; !*flag && clock_mono_ms() < end;)
        rig_turn(r);
    return *flag;
}

bool rig_await_engine(struct rig *r, const char *name, int state) {
    const struct target *t = rig_target(r, name);
    for (uint64_t end = clock_mono_ms() + AWAIT_MS; clock_mono_ms() < end; rig_turn(r))
        if (atomic_load(&t->live->engine_state) == state)
            return true;
    return false;
}

// ---- taking down

static void on_server_closed(void *ctx) {
    ((struct rig *)ctx)->server_closed = true;
}

static void on_client_closed(void *ctx) {
    ((struct rig *)ctx)->client_closed = true;
}

static void on_grid_closed(void *ctx) {
    ((struct rig *)ctx)->grid_closed = true;
}

void rig_close_server(struct rig *r) {
    r->server_closed = false;
    server_close(r->shift.worker.server, on_server_closed, r);
    r->shift.worker.server = NULL;
    if (!turn_until(r, &r->server_closed))
        unit_fail(__FILE__, __LINE__, "the server does not close");
}

static void dir_remove(const char *dir) {
    char path[4096];
    DIR *d = opendir(dir);
    for (struct dirent *f; d && (f = readdir(d));) {
        if (strcmp(f->d_name, ".") == 0 || strcmp(f->d_name, "..") == 0)
            continue;
        snprintf(path, sizeof path, "%s/%s", dir, f->d_name);
        if (unlink(path) != 0)
            dir_remove(path);
    }
    if (d)
        closedir(d);
    (void)rmdir(dir);
}

bool rig_stop(struct rig *r) {
    struct worker *w = &r->shift.worker;
    rig_close_server(r);
    client_close(w->client, on_client_closed, r);
    grid_close(w->grid, on_grid_closed, r);
    bool ok = turn_until(r, &r->client_closed) && turn_until(r, &r->grid_closed);
    worker_set_snapshot(w, NULL);
    config_unref(r->config);
    timer_close(&r->beat, NULL);
    if (ok)
        loop_done(&w->loop);
    ledger_close(r->ledger);
    receipts_close(r->privacy.receipts);
    secret_done(&r->privacy.key);
    detector_unref(w->detector);
    sim_stop(r->sim);
    dir_remove(r->dir);
    return ok && waitpid(-1, NULL, WNOHANG) == -1 && errno == ECHILD;
}

// ---- looking

struct exchange *rig_exchange(const struct rig *r) {
    struct exchange *found = NULL;
    for (struct exchange *x = r->shift.worker.live; x; x = x->next)
        if (!x->parent)
            found = x;
    return found;
}

uint64_t rig_mark(const struct exchange *x) {
    uint64_t mark = (uint64_t)x->step * 31 + x->n_attempts + 131072u * x->work.runs;
    for (unsigned i = 0; i < x->n_attempts; i++) {
        const struct attempt *at = x->attempts[i];
        mark = mark * 1000003 + (uint64_t)at->last_us + (uint64_t)(at->sent_us >= 0) + 2u * (at->waiting != NULL) +
               4u * (at->fetch != NULL) + 8u * (unsigned)at->status + 16384u * at->body.len;
    }
    mark = mark * 1000003 + (uint64_t)x->answer_bytes + x->head_sent;
    return x->child ? mark * 1000003 + rig_mark(x->child) : mark;
}

static int64_t number_in(const char *text, const char *name) {
    char key[64];
    snprintf(key, sizeof key, "\"%s\":", name);
    const char *at = strstr(text, key);
    return at ? strtoll(at + strlen(key), NULL, 10) : -1;
}

int64_t rig_total(struct rig *r, const char *name) {
    struct buf out = BUF_INIT(65536);
    int64_t n = ledger_totals(r->ledger, &out) == ERR_OK ? number_in(buf_cstr(&out), name) : -1;
    buf_done(&out);
    return n;
}

void rig_why(struct rig *r, const char *id, const char *field, char *ret, size_t n) {
    struct buf out = BUF_INIT(1u << 20);
    char key[64];
    ret[0] = '\0';
    snprintf(key, sizeof key, "\"%s\":", field);
    const char *at = ledger_why(r->ledger, slice_str(id), &out) == ERR_OK ? strstr(buf_cstr(&out), key) : NULL;
    if (at && at[strlen(key)] == '"') // the exchange's own fields stand before its attempts'
        snprintf(ret, n, "%.*s", (int)strcspn(at + strlen(key) + 1, "\""), at + strlen(key) + 1);
    buf_done(&out);
}

const struct target *rig_target(const struct rig *r, const char *name) {
    return snapshot_target(r->shift.worker.snap, slice_str(name));
}

int rig_in_flight(const struct rig *r) {
    const struct snapshot *s = r->shift.worker.snap;
    int n = 0;
    for (size_t i = 0; i < s->n_targets; i++)
        n += s->targets[i].alias_of ? 0 : atomic_load(&s->targets[i].live->in_flight);
    return n;
}

unsigned rig_begun(const struct rig *r) {
    return r->shift.worker.counter;
}

unsigned rig_settled(const struct rig *r) {
    uint64_t n = 0;
    for (int e = 0; e < ERR_COUNT; e++)
        n += atomic_load(&r->shift.worker.failures[e]);
    return (unsigned)n;
}

// ---- money

static struct room rig_room(struct rig *r, struct purse *purse) {
    struct accounts *a = ledger_accounts(r->ledger);
    *purse = (struct purse){{[SCOPE_KEY] = payer_get(a, SCOPE_KEY, SLICE("payer"), SLICE_NONE)}};
    return purse_room(purse, accounts_now_s(a));
}

void rig_hold_money(struct rig *r) {
    struct purse purse;
    struct room room = rig_room(r, &purse);
    if (hold_take(&r->held, &purse, accounts_now_s(ledger_accounts(r->ledger)), room.free, NULL, false) != HELD)
        unit_fail(__FILE__, __LINE__, "no money to hold");
    r->held_beats = HELD_BEATS;
    purse_done(&purse);
}

int64_t rig_money_held(struct rig *r) {
    struct purse purse;
    struct room room = rig_room(r, &purse);
    purse_done(&purse);
    return room.left - room.free;
}

// ---- sockets

// narrow: its window for what comes is small.
static int connect_to(int port, bool narrow) {
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (narrow)
        (void)setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &(int){4096}, sizeof(int));
    if (fd >= 0 && connect(fd, (struct sockaddr *)&a, sizeof a) == 0)
        return fd;
    if (fd >= 0)
        close(fd);
    return -1;
}

static bool send_all(int fd, const char *text, size_t n) {
    while (n > 0) {
        ssize_t put = send(fd, text, n, MSG_NOSIGNAL);
        if (put <= 0)
            return false;
        text += put;
        n -= (size_t)put;
    }
    return true;
}

// Blocks; the scripted provider is another process.
static bool sim_call(const struct rig *r, const char *head, const char *body, char *ret, size_t n) {
    char request[4096];
    size_t got = 0;
    int fd = connect_to(r->sim_port, false);
    snprintf(request, sizeof request, "%s HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: %zu\r\n\r\n%s",
             head, strlen(body), body);
    bool ok = fd >= 0 && send_all(fd, request, strlen(request));
    for (ssize_t k; ok && got < n - 1 && (k = read(fd, ret + got, n - 1 - got)) > 0;)
        got += (size_t)k;
    ret[got] = '\0';
    if (fd >= 0)
        close(fd);
    return ok && strncmp(ret, "HTTP/1.1 200", 12) == 0;
}

int64_t rig_sim_state(const struct rig *r, const char *name) {
    char text[4096];
    return sim_call(r, "GET /sim/state", "", text, sizeof text) ? number_in(text, name) : -1;
}

bool rig_sim_script(const struct rig *r, const char *json) {
    char text[4096];
    return sim_call(r, "POST /sim/script", json, text, sizeof text);
}

bool visit_begin(struct visit *v, const struct rig *r, const char *path, const char *body, bool slow) {
    char head[512];
    v->n = v->lost = 0;
    v->in[0] = '\0';
    v->closed = false;
    v->asleep = slow;
    v->fd = connect_to(r->port, slow);
    snprintf(head, sizeof head,
             "POST %s HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\nContent-Length: %zu\r\n\r\n",
             path, strlen(body));
    bool ok = v->fd >= 0 && send_all(v->fd, head, strlen(head)) && send_all(v->fd, body, strlen(body));
    return ok && fcntl(v->fd, F_SETFL, O_NONBLOCK) == 0;
}

void visit_read(struct visit *v) {
    while (v->fd >= 0 && !v->closed && !v->asleep) {
        if (v->n > VISIT_HEAD_BYTES + VISIT_TAIL_BYTES) {
            memmove(v->in + VISIT_HEAD_BYTES, v->in + v->n - VISIT_TAIL_BYTES, VISIT_TAIL_BYTES);
            v->lost += v->n - VISIT_HEAD_BYTES - VISIT_TAIL_BYTES;
            v->n = VISIT_HEAD_BYTES + VISIT_TAIL_BYTES;
        }
        ssize_t got = recv(v->fd, v->in + v->n, sizeof v->in - 1 - v->n, 0);
        if (got < 0 && (errno == EAGAIN || errno == EINTR))
            return;
        v->closed = got <= 0;
        v->n += got > 0 ? (size_t)got : 0;
        v->in[v->n] = '\0';
    }
}

void visit_leave(struct visit *v) {
    if (v->fd >= 0)
        close(v->fd);
    v->fd = -1;
}

int visit_status(const struct visit *v) {
    if (!strstr(v->in, "\r\n\r\n") || strncmp(v->in, "HTTP/1.1 ", 9) != 0)
        return 0;
    return (int)strtol(v->in + 9, NULL, 10);
}

bool visit_holds(const struct visit *v, const char *text) {
    return strstr(v->in, text) != NULL;
}

bool visit_whole(const struct visit *v) {
    const char *body = strstr(v->in, "\r\n\r\n"), *length = strstr(v->in, "content-length: ");
    if (!body)
        return false;
    body += 4;
    if (length && length < body)
        return v->n + v->lost - (size_t)(body - v->in) == strtoul(length + 16, NULL, 10);
    const char *last = strstr(body, "\r\n0\r\n");
    return last && v->n >= 4 && memcmp(v->in + v->n - 4, "\r\n\r\n", 4) == 0;
}
