// SPDX-License-Identifier: Apache-2.0
// `gridtie stop`: unloads a model, or ends the daemon and waits until it is gone.
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <unistd.h>
#include "base/clock.h"
#include "base/fs.h"
#include "cli/talk.h"

#define STOP_MS 120000 // the drain's bound is the config's, 30 s; this is for one that hangs

static int unload(struct talk *t, const char *model) {
    struct buf body = BUF_INIT(65536), answer = BUF_INIT(1u << 20);
    struct json_writer w = JSON_WRITER(&body);
    json_obj(&w);
    json_kv_cstr(&w, "model", model);
    json_obj_end(&w);
    enum err e = talk_fetch(t, "POST", "/gridtie/v1/unload", buf_slice(&body), &answer, 60);
    bool ok = !e && t->status == 200;
    if (ok)
        (void)printf("unloaded %s\n", model);
    else
        (void)talk_explain(t, e, buf_slice(&answer));
    buf_done(&body);
    buf_done(&answer);
    return ok ? 0 : 1;
}

// In a container whose first process collects nobody, a process that ended keeps its number for ever.
static bool is_zombie(pid_t pid) {
    char path[64];
    struct buf text = BUF_INIT(4096);
    (void)snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
    bool zombie =
        fs_read_file(path, 4096, &text) == ERR_OK && slice_search(buf_slice(&text), SLICE(") Z ")) != SIZE_MAX;
    buf_done(&text);
    return zombie;
}

static bool is_gone(struct talk *t, pid_t pid) {
    // Its number is this machine's only where its address is.
    if (t->permit.zone == ZONE_DEVICE && pid > 0)
        return (kill(pid, 0) != 0 && errno == ESRCH) || is_zombie(pid);
    return talk_probe(t) == ERR_UP_CONNECT;
}

static int wait_gone(struct talk *t, pid_t pid) {
    uint64_t start = clock_mono_ms();
    bool said = false;
    while (!is_gone(t, pid)) {
        if (clock_mono_ms() - start > STOP_MS)
            return cli_fail(1, "the daemon (process %d) is still there after %d s", (int)pid, STOP_MS / 1000);
        if (!said && clock_mono_ms() - start > 2000) {
            (void)fputs("gridtie: waiting for open requests to finish\n", stderr);
            said = true;
        }
        (void)usleep(50000);
    }
    (void)puts("stopped");
    return 0;
}

static int end_daemon(struct talk *t) {
    struct buf text = BUF_INIT(1u << 20), answer = BUF_INIT(65536);
    yyjson_val *status = talk_ask(t, "/gridtie/v1/status", &text);
    pid_t pid = (pid_t)json_get_int(status, "pid", 0);
    int result = 1;
    if (status) {
        enum err e = talk_fetch(t, "POST", "/gridtie/v1/stop", SLICE("{}"), &answer, 30);
        result = !e && t->status == 200 ? wait_gone(t, pid) : talk_explain(t, e, buf_slice(&answer));
    }
    buf_done(&text);
    buf_done(&answer);
    return result;
}

static int stop_run(const struct cli *c) {
    struct talk t;
    bool daemon = c->value[OPT_END_DAEMON] != NULL;
    if (daemon == (c->n_args > 0))
        return cli_fail(2,
                        "say what to stop: 'gridtie stop MODEL' unloads a model, 'gridtie stop --daemon' ends it all");
    if (!talk_open(&t, c, NULL))
        return 1;
    int status = daemon ? end_daemon(&t) : unload(&t, c->args[0]);
    talk_close(&t);
    return status;
}

const struct command command_stop = {
    .name = "stop",
    .operands = "[MODEL]",
    .summary = "unload a model, or end the daemon",
    .text =
        "Unloads MODEL from memory when its requests are through; with --daemon, ends the daemon and waits for it.\n",
    .options = OPT(END_DAEMON) | OPTS_DAEMON,
    .most_args = 1,
    .words = {WORDS_MODELS},
    .examples = {"gridtie stop smollm2:135m", "gridtie stop --daemon"},
    .run = stop_run,
};
