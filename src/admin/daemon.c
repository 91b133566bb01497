// SPDX-License-Identifier: Apache-2.0
// The daemon's life. The main thread owns the grid, the engine's children and the signals; each shift is a loop on a
// thread of its own; the ledger has its thread. Start: config → ledger → shifts → grid → listen → run. SIGTERM drains:
// streams may finish within the bound, then they are cut. SIGHUP swaps the config whole or not at all.
#include "admin/daemon.h"
#include <fcntl.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>
#include "admin/models.h"
#include "base/clock.h"
#include "base/fs.h"
#include "base/json.h"
#include "base/limits.h"
#include "base/log.h"
#include "base/mem.h"
#include "ledger/money.h"
#include "net/outgoing.h"

// ---- snapshots travel to the loops

struct delivery {
    struct worker *w;
    struct snapshot *s;
};

static void delivery_take(void *arg) {
    struct delivery *v = arg;
    worker_set_snapshot(v->w, v->s);
    mem_free(v);
}

static void snapshot_deliver(struct worker *w, struct snapshot *s) {
    struct delivery *v = mem_alloc(sizeof *v);
    if (!v)
        return; // the loop keeps its old view
    *v = (struct delivery){w, snapshot_ref(s)};
    if (loop_post(&w->loop, delivery_take, v) == ERR_OK)
        return;
    snapshot_unref(s);
    mem_free(v);
}

static void grid_changed(void *ctx, struct snapshot *s) {
    struct daemon *d = ctx;
    for (unsigned i = 0; i < d->n_shifts; i++) {
        struct shift *shift = &d->shifts[i];
        if (shift->running)
            snapshot_deliver(&shift->worker, s);
        else
            worker_set_snapshot(&shift->worker, snapshot_ref(s));
    }
    snapshot_unref(s);
}

// ---- stopping

static void grid_is_closed(void *ctx) {
    loop_stop(&((struct daemon *)ctx)->main);
}

static void shift_is_closed_on_main(void *arg) {
    struct daemon *d = arg;
    if (++d->n_closed < d->n_shifts)
        return;
    keeper_stop(&d->keeper);
    models_close(d);
    if (d->grid)
        grid_close(d->grid, grid_is_closed, d);
    else
        loop_stop(&d->main);
}

static void client_is_closed(void *arg) {
    struct shift *s = arg;
    if (loop_post(&s->d->main, shift_is_closed_on_main, s->d))
        LOG(LOG_ERROR, "the main loop does not take letters");
    loop_stop(&s->worker.loop);
}

static void exchanges_are_over(void *arg) {
    struct shift *s = arg;
    if (s->worker.client)
        client_close(s->worker.client, client_is_closed, s);
    else
        client_is_closed(s);
}

static void server_is_closed(void *arg) {
    struct shift *s = arg;
    worker_when_empty(&s->worker, exchanges_are_over, s);
}

// Also of a shift that was opened in part.
static void shift_close(void *arg) {
    struct shift *s = arg;
    struct server *server = s->worker.server;
    if (s->closing)
        return;
    s->closing = true;
    s->worker.server = NULL;
    worker_cut(&s->worker);
    if (server)
        server_close(server, server_is_closed, s);
    else
        server_is_closed(s);
}

static void shifts_cut(struct daemon *d) {
    if (d->cut)
        return;
    d->cut = true;
    for (unsigned i = 0; i < d->n_shifts; i++)
        if (loop_post(&d->shifts[i].worker.loop, shift_close, &d->shifts[i]))
            LOG(LOG_ERROR, "a loop does not take letters");
}

static void drain_is_over(struct timer *t) {
    LOG(LOG_WARN, "drain is over, what is open is cut");
    shifts_cut(t->arg);
}

static void shift_idle_on_main(void *arg) {
    struct daemon *d = arg;
    if (++d->n_idle == d->n_shifts)
        shifts_cut(d);
}

static void shift_is_idle(void *arg) {
    struct shift *s = arg;
    if (loop_post(&s->d->main, shift_idle_on_main, s->d))
        LOG(LOG_ERROR, "the main loop does not take letters");
}

static void shift_drain(void *arg) {
    struct shift *s = arg;
    s->worker.draining = true;
    if (s->worker.server)
        server_drain(s->worker.server, shift_is_idle, s);
}

static void drain_begin(void *arg) {
    struct daemon *d = arg;
    if (d->draining) {
        shifts_cut(d); // asked twice
        return;
    }
    d->draining = true;
    LOG(LOG_INFO, "draining", LOG_I("bound_ms", d->config->drain_ms));
    timer_start(&d->drain_timer, (uint64_t)d->config->drain_ms);
    for (unsigned i = 0; i < d->n_shifts; i++)
        if (loop_post(&d->shifts[i].worker.loop, shift_drain, &d->shifts[i]))
            LOG(LOG_ERROR, "a loop does not take letters");
}

void daemon_stop(struct daemon *d) {
    if (loop_post(&d->main, drain_begin, d))
        LOG(LOG_ERROR, "the main loop does not take letters");
}

// ---- config

static bool listens_beyond_loopback(const char *address) {
    return strncmp(address, "127.", 4) != 0 && strncmp(address, "[::1]", 5) != 0 &&
           strncmp(address, "localhost:", 10) != 0 && strncmp(address, "unix:", 5) != 0;
}

// May c's keys, or their absence, stand behind these addresses?
static bool config_is_safe(const struct daemon *d, const struct config *c, const struct config *listening,
                           struct buf *problems) {
    bool any = c->n_keys > 0 || keyring_any(ledger_keyring(d->ledger));
    for (size_t i = 0; i < listening->n_listen; i++) {
        if (!listens_beyond_loopback(listening->listen[i]) || any)
            continue;
        buf_printf(problems,
                   "listen: '%s' is reachable from other machines, so a key is needed: add `keys:` to the config, or "
                   "make one with `gridtie key add`\n",
                   listening->listen[i]);
        return false;
    }
    return true;
}

static void config_apply_log(const struct config *c) {
    static const char *const levels[] = {"debug", "info", "warn", "error"};
    for (int i = 0; i < 4; i++)
        if (strcmp(levels[i], c->log_level) == 0)
            log_set_level((enum log_level)i);
    log_set_json(strcmp(c->log_format, "json") == 0);
}

static bool config_swap(struct daemon *d, struct buf *problems) {
    struct config *c = NULL;
    if (config_load(d->config_path, &c, problems))
        return false;
    // What is listened on is what the start's config says; a reload does not change it.
    if (!config_is_safe(d, c, c, problems) || !config_is_safe(d, c, d->first, problems) ||
        !keeper_reload(&d->keeper, c, problems) || grid_reload(d->grid, c, problems)) {
        config_unref(c);
        return false;
    }
    enum err e = ledger_budgets(d->ledger, c, false);
    if (e) // those that came into force stay so, the others as they were
        LOG(LOG_ERROR, "the budgets of the new config are not all in force", LOG_S("err", err_name(e)));
    config_unref(d->config);
    d->config = c;
    config_apply_log(c);
    outgoing_set_offline(c->offline || d->offline);
    models_watch(d);
    return true;
}

bool daemon_reload(struct daemon *d, struct buf *problems) {
    bool ok = config_swap(d, problems);
    atomic_fetch_add(ok ? &d->reloads : &d->reload_failures, 1);
    if (ok)
        LOG(LOG_INFO, "config reloaded");
    else
        LOG(LOG_ERROR, "config refused, the old one stays", LOG_SL("problems", buf_slice(problems)));
    return ok;
}

// ---- signals

static void on_signal(uv_signal_t *h, int signum) {
    struct daemon *d = h->data;
    struct buf problems = BUF_INIT(65536);
    if (signum == SIGHUP)
        (void)daemon_reload(d, &problems);
    else
        drain_begin(d);
    buf_done(&problems);
}

static void signals_start(struct daemon *d) {
    static const int list[] = {SIGTERM, SIGINT, SIGHUP};
    for (size_t i = 0; i < 3; i++) {
        (void)uv_signal_init(&d->main.uv, &d->signals[i]);
        d->signals[i].data = d;
        (void)uv_signal_start(&d->signals[i], on_signal, list[i]);
    }
}

// ---- starting

static void *shift_thread(void *arg) {
    struct shift *s = arg;
    loop_run(&s->worker.loop);
    return NULL;
}

static enum err shift_open(struct daemon *d, unsigned i) {
    struct shift *s = &d->shifts[i];
    const struct config *c = d->config;
    struct server_options o = {.body_bytes = (size_t)c->body_bytes,
                               .head_ms = (uint64_t)c->head_ms,
                               .body_idle_ms = (uint64_t)c->body_idle_ms,
                               .keepalive_ms = (uint64_t)c->keepalive_ms,
                               .send_idle_ms = LIMIT_SEND_IDLE_MS,
                               .backlog_bytes = LIMIT_CLIENT_BACKLOG_BYTES,
                               .backlog_low_bytes = LIMIT_CLIENT_LOW_BYTES,
                               .max_conns = (unsigned)c->connections,
                               .allowed_hosts = c->allowed_hosts,
                               .cors_origins = c->cors};
    s->d = d;
    s->worker.journal = ledger_journal(d->ledger, i);
    s->worker.accounts = ledger_accounts(d->ledger);
    s->worker.keyring = ledger_keyring(d->ledger);
    enum err e = client_new(&s->worker.loop, &s->worker.client);
    if (!e)
        e = server_new(&s->worker.loop, &o, &front_hooks, s, &s->worker.server);
    return e;
}

static void listening_add(struct daemon *d, const char *address) {
    if (d->listening.len > 1)
        buf_append_char(&d->listening, ',');
    buf_printf(&d->listening, "\"%s\"", address);
    LOG(LOG_INFO, "listening", LOG_S("address", address));
}

static bool listen_unix(struct daemon *d, const char *address, struct buf *problem) {
    int fd = server_unix_listener(address + 5, problem);
    if (fd < 0)
        return false;
    for (unsigned i = 0; i < d->n_shifts; i++)
        if (server_listen_fd(d->shifts[i].worker.server, fd))
            return false;
    (void)close(fd);
    listening_add(d, address);
    return true;
}

// All loops listen on the same port; port 0 is picked by the first.
static bool listen_tcp(struct daemon *d, const char *address, struct buf *problem) {
    char text[256];
    int port = 0;
    const char *colon = strrchr(address, ':');
    (void)snprintf(text, sizeof text, "%s", address);
    for (unsigned i = 0; i < d->n_shifts; i++) {
        if (server_listen_tcp(d->shifts[i].worker.server, text, &port, problem))
            return false;
        (void)snprintf(text, sizeof text, "%.*s:%d", colon ? (int)(colon - address) : 0, address, port);
    }
    listening_add(d, text);
    return true;
}

static bool daemon_listen(struct daemon *d, struct buf *problem) {
    buf_append_char(&d->listening, '[');
    for (size_t i = 0; i < d->config->n_listen; i++) {
        const char *address = d->config->listen[i];
        bool ok =
            strncmp(address, "unix:", 5) == 0 ? listen_unix(d, address, problem) : listen_tcp(d, address, problem);
        if (!ok)
            return false;
    }
    buf_append_char(&d->listening, ']');
    return true;
}

static unsigned loops_wanted(const struct config *c) {
    long cores = sysconf(_SC_NPROCESSORS_ONLN);
    int64_t n = c->loops > 0 ? c->loops : cores > 0 ? cores : 1;
    return n > LIMIT_LOOPS ? LIMIT_LOOPS : (unsigned)n;
}

static enum err ledger_start(struct daemon *d, unsigned loops, const char *data_dir, struct buf *problem) {
    struct ledger_options o = {.dir = data_dir, .loops = loops, .retention_s = d->config->retention_s, .batch_ms = 100};
    enum err e = ledger_open(&o, &d->ledger, problem);
    if (!e && (e = ledger_budgets(d->ledger, d->config, true)))
        buf_printf(problem, "what budgets have spent can't be read (%s)", err_name(e));
    return e;
}

static bool shifts_open(struct daemon *d, unsigned loops) {
    while (d->n_shifts < loops) {
        unsigned i = d->n_shifts;
        if (loop_init(&d->shifts[i].worker.loop, i))
            return false;
        d->n_shifts++; // from here on there is something to close
        if (shift_open(d, i))
            return false;
    }
    return true;
}

// False: daemon_abandon takes down what is there.
static bool daemon_open(struct daemon *d, const char *data_dir, const char *runtime_dir, struct buf *problem) {
    unsigned loops = loops_wanted(d->config);
    d->shifts = mem_zalloc(loops * sizeof *d->shifts);
    if (!d->shifts || ledger_start(d, loops, data_dir, problem))
        return false;
    // Only the ledger knows of keys that were made.
    if (!config_is_safe(d, d->config, d->config, problem) || !shifts_open(d, loops))
        return false;
    d->data_dir = data_dir;
    if (!keeper_open(&d->keeper, d, data_dir, problem) || models_open(d, data_dir))
        return false;
    models_watch(d);
    if (grid_new(&d->main, d->config, data_dir, runtime_dir, grid_changed, d, &d->grid, problem))
        return false;
    for (unsigned i = 0; i < d->n_shifts; i++)
        d->shifts[i].worker.grid = d->grid;
    keeper_start(&d->keeper);
    return daemon_listen(d, problem);
}

static void daemon_run(struct daemon *d) {
    for (unsigned i = 0; i < d->n_shifts; i++) {
        struct shift *s = &d->shifts[i];
        s->running = true;
        if (pthread_create(&s->thread, NULL, shift_thread, s) != 0)
            abort(); // nothing runs yet that could be lost
    }
    loop_run(&d->main);
    for (unsigned i = 0; i < d->n_shifts; i++)
        (void)pthread_join(d->shifts[i].thread, NULL);
}

// What daemon_open made before it failed ends in the order of any stop, only that no thread ran yet.
static void daemon_abandon(struct daemon *d) {
    for (unsigned i = 0; i < d->n_shifts; i++) {
        shift_close(&d->shifts[i]);
        loop_run(&d->shifts[i].worker.loop);
    }
    if (d->n_shifts)
        loop_run(&d->main);
}

static void daemon_done(struct daemon *d) {
    for (unsigned i = 0; i < d->n_shifts; i++) {
        worker_set_snapshot(&d->shifts[i].worker, NULL);
        loop_done(&d->shifts[i].worker.loop);
    }
    ledger_close(d->ledger);
    timer_close(&d->drain_timer, NULL);
    for (size_t i = 0; i < 3; i++)
        uv_close((uv_handle_t *)&d->signals[i], NULL);
    loop_done(&d->main);
    keeper_close(&d->keeper);
    mem_free(d->shifts);
}

// ---- the command

static const char help[] = "usage: gridtie serve [--config FILE] [--offline]\n"
                           "\n"
                           "Runs the daemon in the foreground: 127.0.0.1:11411 unless the config says otherwise.\n"
                           "\n"
                           "  -c, --config FILE   default: $XDG_CONFIG_HOME/gridtie/gridtie.yaml if it is there\n"
                           "      --offline       opens no connection beyond this machine, whatever the config says\n"
                           "      --help          this\n"
                           "\n"
                           "SIGTERM or SIGINT: open streams may finish, then it ends; a second one cuts them.\n"
                           "SIGHUP: reads the config again; a broken one is refused and the old one stays.\n"
                           "\n"
                           "  gridtie serve\n"
                           "  gridtie serve --config ./gridtie.yaml\n";

static char *default_config(struct buf *path) {
    fs_config_dir(path);
    buf_append_str(path, "/gridtie.yaml");
    const char *text = buf_cstr(path);
    return fs_exists(text) ? mem_strdup(text) : NULL;
}

static int options_read(int argc, char **argv, char **ret_config, bool *ret_offline) {
    static const struct option options[] = {{"config", required_argument, NULL, 'c'},
                                            {"offline", no_argument, NULL, 'o'},
                                            {"help", no_argument, NULL, 'h'},
                                            {0}};
    int o;
    optind = 1;
    while ((o = getopt_long(argc, argv, "c:h", options, NULL)) != -1) {
        if (o == 'h')
            return (void)fputs(help, stdout), 0;
        if (o != 'c' && o != 'o')
            return (void)fputs(help, stderr), 2;
        *ret_offline |= o == 'o';
        if (o == 'c')
            *ret_config = mem_strdup(optarg);
    }
    return -1;
}

static int daemon_fail(const char *what, struct buf *problem) {
    (void)fprintf(stderr, "gridtie: %s\n%s", what, buf_cstr(problem));
    if (problem->len && problem->p[problem->len - 1] != '\n')
        (void)fputc('\n', stderr);
    return 1;
}

// Keys and prompts stay out of core files: there are none, and where the system's handler takes one in spite of the limit,
// no memory is in it (core(5)). Engines inherit both.
static void cores_empty(void) {
    const struct rlimit none = {0, 0};
    FILE *filter = fopen("/proc/self/coredump_filter", "we");
    (void)setrlimit(RLIMIT_CORE, &none);
    if (!filter)
        return;
    (void)fputs("0\n", filter);
    (void)fclose(filter);
}

static void process_setup(void) {
    struct rlimit files;
    (void)signal(SIGPIPE, SIG_IGN);
    mem_keep_freed();
    cores_empty();
    if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
        files.rlim_cur = files.rlim_max;
        (void)setrlimit(RLIMIT_NOFILE, &files);
    }
}

static bool dirs_make(const struct config *c, struct buf *data, struct buf *run, struct buf *problem) {
    if (c->state_dir)
        buf_append_str(data, c->state_dir);
    else
        fs_data_dir(data);
    fs_runtime_dir(run);
    if (!fs_mkdirs(buf_cstr(data), 0700) && !fs_mkdirs(buf_cstr(run), 0700))
        return true;
    buf_printf(problem, "cannot make %s or %s", buf_cstr(data), buf_cstr(run));
    return false;
}

static const char *provider_name(size_t i) {
    return i < n_providers ? providers[i].name : NULL;
}

static int daemon_live(struct daemon *d, struct buf *data, struct buf *run, struct buf *problem) {
    if (config_load(d->config_path, &d->config, problem))
        return daemon_fail("the config has problems:", problem);
    d->first = config_ref(d->config);
    config_apply_log(d->config);
    outgoing_set_offline(d->config->offline || d->offline);
    if (!dirs_make(d->config, data, run, problem))
        return daemon_fail("no place for state:", problem);
    if (loop_init(&d->main, LIMIT_LOOPS))
        return daemon_fail("no event loop", problem);
    timer_init(&d->drain_timer, &d->main, drain_is_over, d);
    signals_start(d);
    bool open = daemon_open(d, buf_cstr(data), buf_cstr(run), problem);
    if (open)
        daemon_run(d);
    else
        daemon_abandon(d);
    daemon_done(d);
    return open ? 0 : daemon_fail("could not start:", problem);
}

int daemon_main(int argc, char **argv) {
    static struct daemon d;
    struct buf problem = BUF_INIT(1u << 20), data = BUF_INIT(4096), run = BUF_INIT(4096), path = BUF_INIT(4096);
    char *config_path = NULL;
    int status = options_read(argc, argv, &config_path, &d.offline);
    if (status >= 0)
        return status;
    process_setup();
    config_know_providers(provider_name);
    d.config_path = config_path ? config_path : default_config(&path);
    d.start_wall_s = clock_wall_s();
    buf_init(&d.listening, 65536);
    status = daemon_live(&d, &data, &run, &problem);
    if (status == 0)
        LOG(LOG_INFO, "stopped");
    config_unref(d.config);
    config_unref(d.first);
    buf_done(&d.listening);
    buf_done(&data);
    buf_done(&run);
    buf_done(&path);
    buf_done(&problem);
    mem_free((void *)(uintptr_t)d.config_path);
    return status;
}
