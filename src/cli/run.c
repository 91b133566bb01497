// SPDX-License-Identifier: Apache-2.0
// `gridtie run`: asks a model and prints the answer as it comes, starting the daemon first if none runs. Standard input
// that is no terminal is appended to the prompt; without a prompt on a terminal it is a simple conversation. Ctrl-C closes
// the connection, which stops the upstream. The conversation is kept as JSON text in one buffer and only here. An answer's
// control characters do not reach a terminal: a model must not be able to steer it.
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include "base/clock.h"
#include "base/limits.h"
#include "cli/start.h"
#include "cli/table.h"
#include "net/sse.h"

#define PROMPT_BYTES (16u << 20)

struct chat {
    const struct cli *cli;
    struct talk talk;
    const char *model;
    struct buf messages; // JSON objects with commas between
    bool out_is_terminal, err_is_terminal;
    // the answer that comes now
    struct frame_reader frames;
    struct buf answer; // its text
    struct buf error;  // the body, when the status is none of success
    char id[80];
    bool waits_shown, any, in_stream_error;
    char last; // character printed
    uint64_t start_us, first_us, end_us;
    int64_t input_tokens, output_tokens;
};

static void message_add(struct chat *x, const char *role, struct slice text) {
    struct json_writer w = {&x->messages, x->messages.len > 0};
    json_obj(&w);
    json_kv_cstr(&w, "role", role);
    json_kv_str(&w, "content", text);
    json_obj_end(&w);
}

// ---- the answer

static void wait_hide(struct chat *x) {
    if (x->waits_shown)
        (void)fputs("\r\033[K", stderr);
    x->waits_shown = false;
}

static void on_tick(void *ctx, unsigned seconds) {
    struct chat *x = ctx;
    if (x->any || !x->err_is_terminal)
        return;
    (void)fprintf(stderr, "\r\033[Kwaiting for %s … %u s", x->model, seconds);
    x->waits_shown = true;
}

static void text_print(struct chat *x, struct slice s) {
    if (!x->out_is_terminal) {
        (void)fwrite(s.p, 1, s.n, stdout);
    } else {
        for (size_t i = 0; i < s.n; i++) {
            unsigned char c = (unsigned char)s.p[i];
            bool steers = (c < 0x20 && c != '\n' && c != '\t') || c == 0x7f;
            (void)fputc(steers ? ' ' : c, stdout);
        }
    }
    (void)fflush(stdout);
    x->last = s.p[s.n - 1];
}

static void delta_take(struct chat *x, struct slice text) {
    if (text.n == 0)
        return;
    wait_hide(x);
    if (!x->any)
        x->first_us = clock_mono_us();
    x->any = true;
    buf_append(&x->answer, text);
    text_print(x, text);
}

static void chunk_take(struct chat *x, yyjson_val *root) {
    yyjson_val *choice = yyjson_arr_get_first(yyjson_obj_get(root, "choices"));
    yyjson_val *usage = yyjson_obj_get(root, "usage"), *error = yyjson_obj_get(root, "error");
    delta_take(x, json_get_str(yyjson_obj_get(choice, "delta"), "content"));
    if (yyjson_is_obj(usage)) {
        x->input_tokens = json_get_int(usage, "prompt_tokens", x->input_tokens);
        x->output_tokens = json_get_int(usage, "completion_tokens", x->output_tokens);
    }
    if (!error)
        return;
    wait_hide(x);
    x->in_stream_error = true;
    (void)fprintf(stderr, "%sgridtie: %s\n", x->any ? "\n" : "",
                  text_plain(&x->talk.arena, json_get_str(error, "message")));
}

static enum err on_frame(void *ctx, const struct frame *f) {
    struct chat *x = ctx;
    struct arena a;
    struct json_doc d;
    struct json_error why;
    if (f->comment || slice_is(f->data, "[DONE]"))
        return ERR_OK;
    arena_init(&a, LIMIT_FRAME_BYTES, 0);
    if (json_read(&a, f->data, &d, &why) == ERR_OK)
        chunk_take(x, yyjson_doc_get_root(d.doc));
    arena_done(&a);
    return ERR_OK;
}

static void on_head(void *ctx, int status, const struct headers *h) {
    struct chat *x = ctx;
    struct slice id = headers_get(h, "x-gridtie-id");
    (void)status;
    (void)snprintf(x->id, sizeof x->id, "%.*s", (int)(id.n < 79 ? id.n : 79), id.n ? id.p : "");
}

static void on_body(void *ctx, struct slice bytes) {
    struct chat *x = ctx;
    if (x->talk.status != 200)
        buf_append(&x->error, bytes);
    else if (frame_feed(&x->frames, bytes, on_frame, x) != ERR_OK)
        x->in_stream_error = true;
}

// ---- one turn

static void request_write(struct chat *x, struct buf *out) {
    struct buf messages = BUF_INIT(LIMIT_BODY_BYTES);
    struct json_writer w = JSON_WRITER(out);
    buf_append_char(&messages, '[');
    buf_append(&messages, buf_slice(&x->messages));
    buf_append_char(&messages, ']');
    json_obj(&w);
    json_kv_cstr(&w, "model", x->model);
    json_kv_raw(&w, "messages", buf_slice(&messages));
    json_kv_bool(&w, "stream", true);
    json_kv_raw(&w, "stream_options", SLICE("{\"include_usage\":true}"));
    json_obj_end(&w);
    buf_done(&messages);
}

static void turn_reset(struct chat *x) {
    frame_reader_init(&x->frames, FRAMING_SSE, LIMIT_FRAME_BYTES);
    buf_clear(&x->answer);
    buf_clear(&x->error);
    x->any = x->waits_shown = x->in_stream_error = false;
    x->last = '\n';
    x->id[0] = 0;
    x->input_tokens = x->output_tokens = -1;
    x->first_us = 0;
    x->talk.interrupted = false;
}

static int turn_explain(struct chat *x, enum err e) {
    int status = talk_explain(&x->talk, e, buf_slice(&x->error));
    if (e)
        return status;
    if (x->talk.status == 404)
        (void)fputs("gridtie: 'gridtie list' shows the models that are there\n", stderr);
    else if (x->talk.status >= 500)
        (void)fprintf(stderr, "gridtie: 'gridtie why %s' shows what was tried, 'gridtie endpoints' who is there\n",
                      x->id[0] ? x->id : "last");
    return status;
}

static void verbose_record(struct chat *x, yyjson_val *why) {
    struct arena *a = &x->talk.arena;
    struct slice usd = json_get_str(why, "cost_usd");
    (void)fprintf(stderr, "target       %s (%s)\n", text_plain(a, json_get_str(why, "target")),
                  text_plain(a, json_get_str(why, "zone")));
    (void)fprintf(stderr, "cost         %s\n", usd.n ? text_printf(a, "%s USD", text_plain(a, usd)) : "unknown");
}

static void verbose_show(struct chat *x) {
    char path[160];
    struct buf text = BUF_INIT(1u << 20);
    double first = (double)(x->first_us - x->start_us) / 1e3, all = (double)(x->end_us - x->first_us) / 1e6;
    if (x->first_us)
        (void)fprintf(stderr, "\nfirst token  %.0f ms\n", first);
    if (x->output_tokens >= 0)
        (void)fprintf(stderr, "tokens       %lld in, %lld out%s\n", (long long)x->input_tokens,
                      (long long)x->output_tokens,
                      all > 0.05 && x->output_tokens > 1
                          ? text_printf(&x->talk.arena, ", %.1f a second", (double)(x->output_tokens - 1) / all)
                          : "");
    (void)snprintf(path, sizeof path, "/gridtie/v1/why/%s", x->id[0] ? x->id : "last");
    yyjson_val *why = talk_ask(&x->talk, path, &text);
    if (why)
        verbose_record(x, why);
    (void)fprintf(stderr, "id           %s\n", x->id);
    buf_done(&text);
}

static enum err turn_call(struct chat *x) {
    struct buf request = BUF_INIT(LIMIT_BODY_BYTES);
    struct call_hooks hooks = {.head = on_head, .body = on_body, .tick = on_tick, .ctx = x};
    bool leftover;
    turn_reset(x);
    request_write(x, &request);
    x->start_us = clock_mono_us();
    enum err e = request.failed ? ERR_TOO_LARGE
                                : talk_call(&x->talk, "POST", "/v1/chat/completions", buf_slice(&request), &hooks, 0);
    x->end_us = clock_mono_us();
    (void)!frame_finish(&x->frames, on_frame, x, &leftover);
    frame_reader_done(&x->frames);
    buf_done(&request);
    wait_hide(x);
    if (x->last != '\n')
        (void)putchar('\n');
    return e;
}

// Exit status of one question; the answer joins the conversation.
static int turn(struct chat *x, struct slice prompt) {
    size_t before = x->messages.len;
    message_add(x, "user", prompt);
    enum err e = turn_call(x);
    int status = 0;
    if (e == ERR_CANCELLED)
        status = 130;
    else if (e || x->talk.status != 200)
        status = turn_explain(x, e);
    else if (x->in_stream_error)
        status = 1;
    if (status == 0 || x->any)
        message_add(x, "assistant", buf_slice(&x->answer));
    else
        x->messages.len = before; // as if it had not been asked: the next question must not answer this one
    if (status == 0 && x->cli->value[OPT_VERBOSE])
        verbose_show(x);
    return status;
}

// ---- where prompts come from

static bool input_read(struct buf *out) {
    char part[16384];
    ssize_t n;
    while ((n = read(STDIN_FILENO, part, sizeof part)) != 0) {
        if (n < 0 && errno != EINTR)
            return false;
        if (n > 0)
            buf_append_mem(out, part, (size_t)n);
    }
    return !out->failed;
}

static int run_once(struct chat *x) {
    struct buf prompt = BUF_INIT(PROMPT_BYTES);
    int status = 2;
    for (int i = 1; i < x->cli->n_args; i++) {
        buf_append_str(&prompt, i > 1 ? " " : "");
        buf_append_str(&prompt, x->cli->args[i]);
    }
    bool ok = true;
    if (!isatty(STDIN_FILENO)) {
        struct buf input = BUF_INIT(PROMPT_BYTES);
        ok = input_read(&input);
        if (prompt.len && input.len)
            buf_append_str(&prompt, "\n\n");
        buf_append(&prompt, buf_slice(&input));
        buf_done(&input);
    }
    if (!ok || prompt.failed)
        (void)cli_fail(1, "standard input can't be read, or is longer than %u MiB", PROMPT_BYTES >> 20);
    else if (slice_trim(buf_slice(&prompt)).n == 0)
        (void)cli_fail(2, "there is no prompt: give one behind the model's name or on standard input");
    else
        status = turn(x, buf_slice(&prompt));
    buf_done(&prompt);
    return status;
}

static int run_lines(struct chat *x) {
    char *text = NULL;
    size_t room = 0;
    int status = 0;
    (void)fprintf(stderr, "%s: a question a line; Ctrl-C stops an answer, Ctrl-D or /bye ends.\n", x->model);
    for (;;) {
        (void)fputs(">>> ", stderr);
        ssize_t n = getline(&text, &room, stdin);
        struct slice line = slice_trim(slice_of(text, n > 0 ? (size_t)n : 0));
        if (n < 0 || slice_is(line, "/bye"))
            break;
        if (line.n)
            status = turn(x, line);
    }
    free(text);
    return status == 130 ? 0 : status;
}

static bool daemon_is_there(struct talk *t) {
    enum err e = talk_probe(t);
    if (e == ERR_UP_CONNECT && !t->given)
        return daemon_start(t, NULL, false);
    if (e)
        (void)talk_explain(t, e, SLICE_NONE);
    return !e;
}

static int chat_run(struct chat *x) {
    if (!daemon_is_there(&x->talk))
        return 1;
    x->talk.stop_on_interrupt = true;
    if (x->cli->value[OPT_SYSTEM])
        message_add(x, "system", slice_str(x->cli->value[OPT_SYSTEM]));
    return x->cli->n_args > 1 || !isatty(STDIN_FILENO) ? run_once(x) : run_lines(x);
}

static int run_run(const struct cli *c) {
    static struct chat x;
    if (c->n_args < 1)
        return cli_fail(2, "which model? 'gridtie run MODEL [PROMPT…]'; 'gridtie list' shows them");
    x = (struct chat){.cli = c,
                      .model = c->args[0],
                      .messages = BUF_INIT(LIMIT_BODY_BYTES / 2),
                      .answer = BUF_INIT(LIMIT_BODY_BYTES / 4),
                      .error = BUF_INIT(LIMIT_UP_ERROR_BYTES),
                      .out_is_terminal = isatty(STDOUT_FILENO),
                      .err_is_terminal = isatty(STDERR_FILENO)};
    if (!talk_open(&x.talk, c, NULL))
        return 1;
    int status = chat_run(&x);
    talk_close(&x.talk);
    buf_done(&x.messages);
    buf_done(&x.answer);
    buf_done(&x.error);
    return status;
}

const struct command command_run = {
    .name = "run",
    .operands = "MODEL [PROMPT...]",
    .summary = "ask a model, and start the daemon if none runs",
    .text =
        "Asks MODEL and prints the answer as it comes. Standard input that is no terminal is appended to the prompt.\n"
        "Without a prompt on a terminal it is a conversation, a question a line. Ctrl-C stops the answer.\n",
    .options = OPT(SYSTEM) | OPT(VERBOSE) | OPTS_DAEMON,
    .most_args = -1,
    .examples = {"gridtie run smollm2:135m \"Why is the sky blue?\"",
                 "gridtie run groq/llama-3.3-70b --verbose \"Sum this up\" <notes.txt"},
    .run = run_run,
};
