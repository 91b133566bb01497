// SPDX-License-Identifier: Apache-2.0
// Shows long work of the daemon: lines of JSON, a step each, with bytes where it has them (the shape of Ollama's pull). On a
// terminal the last step is redrawn with a bar, the rate and the time left; elsewhere each step is a line, and every tenth
// of a large one. Goes to standard error, so that standard output stays for what was asked for.
#include "cli/progress.h"
#include <stdio.h>
#include <sys/ioctl.h>
#include <unistd.h>
#include "base/clock.h"
#include "base/limits.h"
#include "cli/table.h"
#include "net/sse.h"

#define BAR_CELLS 24
#define RATE_MS 500 // the rate is looked at so often

struct progress {
    struct talk *talk;
    struct frame_reader frames;
    struct buf error; // the body, when the status is none of success
    bool json, terminal;
    bool drawn, failed, succeeded;
    char status[200];
    int tenth;        // said of this step, where there is no terminal
    int64_t from, at; // bytes: at its first sight, and now
    uint64_t from_ms;
    int64_t rate; // bytes per second
    uint64_t rated_ms;
};

static void line_end(struct progress *p) {
    if (p->drawn)
        (void)fputc('\n', stderr);
    p->drawn = false;
}

static void step_begin(struct progress *p, struct slice status, int64_t completed) {
    const char *text = text_plain(&p->talk->arena, status);
    line_end(p);
    (void)snprintf(p->status, sizeof p->status, "%s", text);
    p->from = completed;
    p->from_ms = clock_mono_ms();
    p->rated_ms = 0;
    p->rate = 0;
    p->tenth = 0;
    (void)fprintf(stderr, p->terminal ? "\r\033[K%s" : "%s\n", p->status);
    p->drawn = p->terminal;
}

static void rate_take(struct progress *p, int64_t completed) {
    uint64_t now = clock_mono_ms(), ms = now - p->from_ms;
    if (ms < RATE_MS || now - p->rated_ms < RATE_MS)
        return;
    p->rated_ms = now;
    p->rate = (completed - p->from) * 1000 / (int64_t)ms;
}

static void bar_draw(struct progress *p, int64_t completed, int64_t total) {
    struct arena a;
    struct winsize size = {.ws_col = 80};
    char bar[BAR_CELLS + 1];
    arena_init(&a, 65536, 0);
    (void)ioctl(STDERR_FILENO, TIOCGWINSZ, &size);
    int64_t full = completed >= total ? BAR_CELLS : completed * BAR_CELLS / total;
    for (int i = 0; i < BAR_CELLS; i++)
        bar[i] = i < full ? '#' : '.';
    bar[BAR_CELLS] = 0;
    rate_take(p, completed);
    const char *left = p->rate > 0 && completed < total ? text_duration(&a, (total - completed) / p->rate) : "";
    const char *line = text_printf(&a, "%s %3lld%% [%s] %s/%s %s%s %s", p->status, (long long)(completed * 100 / total),
                                   bar, text_bytes(&a, completed), text_bytes(&a, total),
                                   p->rate > 0 ? text_bytes(&a, p->rate) : "", p->rate > 0 ? "/s" : "", left);
    (void)fprintf(stderr, "\r\033[K%.*s", size.ws_col > 1 ? size.ws_col - 1 : 79, line);
    p->drawn = true;
    arena_done(&a);
}

static void bytes_show(struct progress *p, int64_t completed, int64_t total) {
    int tenth = (int)(completed * 10 / total);
    if (p->terminal) {
        bar_draw(p, completed, total);
    } else if (tenth > p->tenth) {
        p->tenth = tenth;
        (void)fprintf(stderr, "%s %d%%\n", p->status, tenth * 10);
    }
}

static void step_take(struct progress *p, yyjson_val *root) {
    struct slice status = json_get_str(root, "status"), error = json_get_str(root, "error");
    int64_t total = json_get_int(root, "total", 0), completed = json_get_int(root, "completed", 0);
    if (error.n) {
        line_end(p);
        p->failed = true;
        (void)cli_fail(1, "%s", text_plain(&p->talk->arena, error));
        return;
    }
    if (slice_is(status, "success")) {
        p->succeeded = true;
        line_end(p);
        return;
    }
    if (!slice_is(status, p->status))
        step_begin(p, status, completed);
    if (total > 0)
        bytes_show(p, completed < total ? completed : total, total);
}

static enum err on_frame(void *ctx, const struct frame *f) {
    struct progress *p = ctx;
    struct arena a;
    struct json_doc d;
    struct json_error why;
    arena_init(&a, LIMIT_FRAME_BYTES, 0);
    if (json_read(&a, f->data, &d, &why) == ERR_OK) {
        yyjson_val *root = yyjson_doc_get_root(d.doc);
        if (p->json) {
            (void)printf("%.*s\n", SLICE_FMT(f->data));
            (void)fflush(stdout);
            p->succeeded |= slice_is(json_get_str(root, "status"), "success");
            p->failed |= json_get_str(root, "error").n > 0;
        } else {
            step_take(p, root);
        }
    }
    arena_done(&a);
    return ERR_OK;
}

static void on_body(void *ctx, struct slice bytes) {
    struct progress *p = ctx;
    if (p->talk->status != 200)
        buf_append(&p->error, bytes);
    else if (frame_feed(&p->frames, bytes, on_frame, p) != ERR_OK)
        p->failed = true;
}

int progress_call(struct talk *t, const struct cli *c, const char *path, struct slice body) {
    struct progress p = {.talk = t,
                         .error = BUF_INIT(LIMIT_UP_ERROR_BYTES),
                         .json = c->value[OPT_JSON] != NULL,
                         .terminal = isatty(STDERR_FILENO)};
    struct call_hooks hooks = {.body = on_body, .ctx = &p};
    bool leftover;
    frame_reader_init(&p.frames, FRAMING_NDJSON, LIMIT_FRAME_BYTES);
    t->stop_on_interrupt = true;
    enum err e = talk_call(t, "POST", path, body, &hooks, 0);
    (void)!frame_finish(&p.frames, on_frame, &p, &leftover);
    frame_reader_done(&p.frames);
    line_end(&p);
    int status = 0;
    if (e == ERR_CANCELLED)
        status = 130;
    else if (e || t->status != 200)
        status = talk_explain(t, e, buf_slice(&p.error));
    else if (p.failed || !p.succeeded)
        status = p.failed ? 1 : cli_fail(1, "the daemon ended before it was done; its log says why");
    buf_done(&p.error);
    return status;
}
