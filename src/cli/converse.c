// SPDX-License-Identifier: Apache-2.0
// A conversation through the daemon's chat completions. An answer is printed piece by piece; a model's thinking is shown
// dimmed, and only to a person at a terminal, since what is piped on should be the answer. Control characters do not reach
// a terminal: a model must not be able to steer it. Ctrl-C closes the connection, which stops the upstream; what had come
// stays in the conversation. What a file brings back (converse_load) is checked before anything is replaced.
#include "cli/converse.h"
#include <errno.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include "base/clock.h"
#include "base/fs.h"
#include "cli/start.h"
#include "cli/table.h"

#define IMAGE_BYTES (20u << 20)
#define SCHEMA_BYTES (1u << 20)
#define CHAT_BYTES (LIMIT_BODY_BYTES / 2)

static const struct {
    const char *name;
    bool text;
} settings[SETTING_COUNT] = {
#define X(id, name, text) {name, text},
    CONVERSE_SETTINGS(X)
#undef X
};

const char *converse_setting_name(enum setting s) {
    return settings[s].name;
}

// ---- the answer

static void wait_hide(struct converse *x) {
    if (x->waits_shown)
        (void)fputs("\r\033[K", stderr);
    x->waits_shown = false;
}

static void on_tick(void *ctx, unsigned seconds) {
    struct converse *x = ctx;
    if (x->any || x->thinks || !x->err_is_terminal)
        return;
    (void)fprintf(stderr, "\r\033[Kwaiting for %s … %u s", x->model, seconds);
    x->waits_shown = true;
}

static void text_print(struct converse *x, struct slice s) {
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

static void thinking_take(struct converse *x, struct slice text) {
    if (text.n == 0)
        return;
    wait_hide(x);
    if (!x->first_us)
        x->first_us = clock_mono_us();
    if (!x->out_is_terminal)
        return;
    if (!x->thinks)
        (void)fputs(colour_on(COLOUR_DIM), stdout);
    x->thinks = true;
    text_print(x, text);
}

static void thinking_end(struct converse *x) {
    if (!x->thinks)
        return;
    (void)printf("%s%s\n", colour_off(), x->last == '\n' ? "" : "\n");
    x->thinks = false;
    x->last = '\n';
}

static void delta_take(struct converse *x, struct slice text) {
    if (text.n == 0)
        return;
    wait_hide(x);
    thinking_end(x);
    if (!x->first_us)
        x->first_us = clock_mono_us();
    x->any = true;
    buf_append(&x->answer, text);
    text_print(x, text);
}

static void chunk_take(struct converse *x, yyjson_val *root) {
    yyjson_val *delta = yyjson_obj_get(yyjson_arr_get_first(yyjson_obj_get(root, "choices")), "delta");
    yyjson_val *usage = yyjson_obj_get(root, "usage"), *error = yyjson_obj_get(root, "error");
    thinking_take(x, json_get_str(delta, "reasoning_content"));
    delta_take(x, json_get_str(delta, "content"));
    if (yyjson_is_obj(usage)) {
        x->input_tokens = json_get_int(usage, "prompt_tokens", x->input_tokens);
        x->output_tokens = json_get_int(usage, "completion_tokens", x->output_tokens);
    }
    if (!error)
        return;
    wait_hide(x);
    thinking_end(x);
    x->in_stream_error = true;
    (void)fprintf(stderr, "%sgridtie: %s\n", x->any ? "\n" : "",
                  text_plain(&x->talk.arena, json_get_str(error, "message")));
}

static enum err on_frame(void *ctx, const struct frame *f) {
    struct converse *x = ctx;
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
    struct converse *x = ctx;
    struct slice id = headers_get(h, "x-gridtie-id");
    (void)status;
    (void)snprintf(x->id, sizeof x->id, "%.*s", (int)(id.n < 79 ? id.n : 79), id.n ? id.p : "");
}

static void on_body(void *ctx, struct slice bytes) {
    struct converse *x = ctx;
    if (x->talk.status != 200)
        buf_append(&x->error, bytes);
    else if (frame_feed(&x->frames, bytes, on_frame, x) != ERR_OK)
        x->in_stream_error = true;
}

// ---- the request

static void message_add(struct converse *x, const char *role, struct slice text, struct slice images) {
    struct json_writer w = {&x->messages, x->messages.len > 0};
    json_obj(&w);
    json_kv_cstr(&w, "role", role);
    if (images.n == 0) {
        json_kv_str(&w, "content", text);
    } else {
        json_key(&w, "content");
        json_arr(&w);
        json_obj(&w);
        json_kv_cstr(&w, "type", "text");
        json_kv_str(&w, "text", text);
        json_obj_end(&w);
        buf_append(&x->messages, images);
        json_arr_end(&w);
    }
    json_obj_end(&w);
}

static void messages_write(const struct converse *x, struct json_writer *w) {
    struct buf *out = w->out;
    json_key(w, "messages");
    json_arr(w);
    if (x->system.len) {
        json_obj(w);
        json_kv_cstr(w, "role", "system");
        json_kv_str(w, "content", buf_slice(&x->system));
        json_obj_end(w);
    }
    if (x->system.len && x->messages.len)
        buf_append_char(out, ',');
    buf_append(out, buf_slice(&x->messages));
    json_arr_end(w);
}

static void settings_write(const struct converse *x, struct json_writer *w) {
    for (int i = 0; i < SETTING_COUNT; i++)
        if (x->set[i][0])
            json_kv_raw(w, settings[i].name, slice_str(x->set[i]));
}

static void request_write(const struct converse *x, struct buf *out) {
    struct json_writer w = JSON_WRITER(out);
    json_obj(&w);
    json_kv_cstr(&w, "model", x->model);
    messages_write(x, &w);
    settings_write(x, &w);
    if (x->schema.len) {
        json_key(&w, "response_format");
        json_obj(&w);
        json_kv_cstr(&w, "type", "json_schema");
        json_key(&w, "json_schema");
        json_obj(&w);
        json_kv_cstr(&w, "name", "answer");
        json_kv_bool(&w, "strict", true);
        json_kv_raw(&w, "schema", buf_slice(&x->schema));
        json_obj_end(&w);
        json_obj_end(&w);
    }
    json_kv_bool(&w, "stream", true);
    json_kv_raw(&w, "stream_options", SLICE("{\"include_usage\":true}"));
    json_obj_end(&w);
}

// ---- one turn

static void turn_reset(struct converse *x) {
    frame_reader_init(&x->frames, FRAMING_SSE, LIMIT_FRAME_BYTES);
    buf_clear(&x->answer);
    buf_clear(&x->error);
    x->any = x->thinks = x->waits_shown = x->in_stream_error = false;
    x->last = '\n';
    x->id[0] = 0;
    x->input_tokens = x->output_tokens = -1;
    x->first_us = 0;
    x->talk.interrupted = false;
}

static int turn_explain(struct converse *x, enum err e) {
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

static void verbose_record(struct converse *x, yyjson_val *why) {
    struct arena *a = &x->talk.arena;
    struct slice usd = json_get_str(why, "cost_usd");
    (void)fprintf(stderr, "target       %s (%s)\n", text_plain(a, json_get_str(why, "target")),
                  text_plain(a, json_get_str(why, "zone")));
    (void)fprintf(stderr, "cost         %s\n", usd.n ? text_printf(a, "%s USD", text_plain(a, usd)) : "unknown");
}

static void verbose_show(struct converse *x) {
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

static enum err turn_call(struct converse *x) {
    struct buf request = BUF_INIT(LIMIT_BODY_BYTES);
    struct call_hooks hooks = {.head = on_head, .body = on_body, .tick = on_tick, .ctx = x};
    bool leftover;
    turn_reset(x);
    request_write(x, &request);
    x->start_us = clock_mono_us();
    enum err e = request.failed || x->messages.failed
                     ? ERR_TOO_LARGE
                     : talk_call(&x->talk, "POST", "/v1/chat/completions", buf_slice(&request), &hooks, 0);
    x->end_us = clock_mono_us();
    (void)!frame_finish(&x->frames, on_frame, x, &leftover);
    frame_reader_done(&x->frames);
    buf_done(&request);
    wait_hide(x);
    thinking_end(x);
    if (x->last != '\n')
        (void)putchar('\n');
    return e;
}

int converse_say(struct converse *x, struct slice prompt) {
    size_t before = x->messages.len;
    message_add(x, "user", prompt, buf_slice(&x->images));
    enum err e = turn_call(x);
    int status = 0;
    if (e == ERR_CANCELLED)
        status = 130;
    else if (e || x->talk.status != 200)
        status = turn_explain(x, e);
    else if (x->in_stream_error)
        status = 1;
    if (status == 0 || x->any) {
        message_add(x, "assistant", buf_slice(&x->answer), SLICE_NONE);
        buf_clear(&x->images);
    } else { // as if it had not been asked: the next question must not answer this one
        x->messages.len = before;
        x->messages.failed = false;
    }
    if (status == 0 && x->verbose)
        verbose_show(x);
    return status;
}

// ---- what goes along

bool converse_model(struct converse *x, struct slice name) {
    if (name.n == 0 || name.n > LIMIT_MODEL_NAME_BYTES) {
        (void)cli_fail(2, "a model's name has 1 to %d characters", LIMIT_MODEL_NAME_BYTES);
        return false;
    }
    memcpy(x->model, name.p, name.n);
    x->model[name.n] = 0;
    return true;
}

// The value as JSON; false: it is no number.
static bool number_put(struct json_writer *w, struct slice value) {
    char text[64], *end;
    if (value.n == 0 || value.n >= sizeof text)
        return false;
    memcpy(text, value.p, value.n);
    text[value.n] = 0;
    json_put_num(w, strtod(text, &end));
    return end > text && *end == 0;
}

bool converse_set(struct converse *x, enum setting s, struct slice value) {
    struct buf json = BUF_INIT(sizeof x->set[s] - 1);
    struct json_writer w = JSON_WRITER(&json);
    bool ok = true;
    if (value.n && settings[s].text)
        json_put_str(&w, value);
    else if (value.n)
        ok = number_put(&w, value);
    ok = ok && !json.failed;
    if (ok)
        (void)snprintf(x->set[s], sizeof x->set[s], "%s", buf_cstr(&json));
    else
        (void)cli_fail(2, "%s takes %s", settings[s].name, settings[s].text ? "a short text" : "a number");
    buf_done(&json);
    return ok;
}

static const char *image_type(struct slice bytes) {
    if (slice_starts(bytes, "\x89PNG"))
        return "image/png";
    if (slice_starts(bytes, "\xff\xd8\xff"))
        return "image/jpeg";
    if (slice_starts(bytes, "GIF8"))
        return "image/gif";
    return slice_starts(bytes, "RIFF") && slice_starts(slice_from(bytes, 8), "WEBP") ? "image/webp" : NULL;
}

static void image_write(struct buf *out, const char *type, struct slice bytes) {
    buf_printf(out, ",{\"type\":\"image_url\",\"image_url\":{\"url\":\"data:%s;base64,", type);
    if (buf_reserve(out, (bytes.n + 2) / 3 * 4 + 1)) // the NUL that the encoder writes is not kept
        out->len +=
            (size_t)EVP_EncodeBlock((unsigned char *)out->p + out->len, (const unsigned char *)bytes.p, (int)bytes.n);
    buf_append_str(out, "\"}}");
}

// The whole file in *out; false, and the error printed.
static bool file_take(const char *path, size_t most, struct buf *out) {
    enum err e = fs_read_file(path, most, out);
    if (e == ERR_TOO_LARGE)
        (void)cli_fail(1, "%s is larger than %zu MiB", path, most >> 20);
    else if (e)
        (void)cli_fail(1, "%s can't be read: %s", path, e == ERR_NO_MEMORY ? err_row(e)->text : strerror(errno));
    return !e;
}

bool converse_image(struct converse *x, const char *path) {
    struct buf bytes = BUF_INIT(IMAGE_BYTES + 1);
    size_t before = x->images.len;
    bool ok = file_take(path, IMAGE_BYTES, &bytes);
    const char *type = ok ? image_type(buf_slice(&bytes)) : NULL;
    if (type)
        image_write(&x->images, type, buf_slice(&bytes));
    else if (ok)
        (void)cli_fail(1, "%s is no PNG, JPEG, GIF or WebP image", path);
    ok = type && !x->images.failed;
    if (type && !ok) {
        (void)cli_fail(1, "these are too many images for one question");
        x->images.len = before;
        x->images.failed = false;
    }
    buf_done(&bytes);
    return ok;
}

// Where in the file, for people.
static void json_explain(const char *path, struct slice text, const struct json_error *why) {
    size_t line = 1;
    for (size_t i = 0; i < why->offset && i < text.n; i++)
        line += text.p[i] == '\n';
    (void)cli_fail(1, "%s:%zu: %s; expected JSON", path, line, why->text);
}

static bool schema_take(struct converse *x, const char *path) {
    struct buf text = BUF_INIT(SCHEMA_BYTES + 1);
    struct json_writer w = JSON_WRITER(&x->schema);
    struct json_doc d;
    struct json_error why;
    bool ok = file_take(path, SCHEMA_BYTES, &text);
    if (ok && json_read(&x->talk.arena, buf_slice(&text), &d, &why) != ERR_OK) {
        json_explain(path, buf_slice(&text), &why);
        ok = false;
    } else if (ok && !yyjson_is_obj(yyjson_doc_get_root(d.doc))) {
        (void)cli_fail(1, "%s is no JSON schema: it must be an object", path);
        ok = false;
    } else if (ok) {
        json_put_val(&w, yyjson_doc_get_root(d.doc));
    }
    buf_done(&text);
    return ok;
}

// ---- to a file and back

void converse_clear(struct converse *x) {
    buf_clear(&x->messages);
    buf_clear(&x->images);
}

bool converse_save(struct converse *x, const char *path) {
    struct buf out = BUF_INIT(LIMIT_BODY_BYTES);
    struct json_writer w = JSON_WRITER(&out);
    json_obj(&w);
    json_kv_cstr(&w, "model", x->model);
    json_kv_str(&w, "system", buf_slice(&x->system));
    json_key(&w, "settings");
    json_obj(&w);
    settings_write(x, &w);
    json_obj_end(&w);
    json_key(&w, "messages");
    json_arr(&w);
    buf_append(&out, buf_slice(&x->messages));
    json_arr_end(&w);
    json_obj_end(&w);
    buf_append_char(&out, '\n');
    bool ok = !out.failed && fs_write_atomic(path, buf_slice(&out), 0600) == ERR_OK;
    if (!ok)
        (void)cli_fail(1, "%s can't be written: %s", path, strerror(errno));
    buf_done(&out);
    return ok;
}

static bool messages_fit(yyjson_val *list) {
    size_t i, n;
    yyjson_val *m;
    yyjson_arr_foreach(list, i, n, m) {
        yyjson_val *content = yyjson_obj_get(m, "content");
        struct slice role = json_get_str(m, "role");
        if ((!slice_is(role, "user") && !slice_is(role, "assistant")) ||
            (!yyjson_is_str(content) && !yyjson_is_arr(content)))
            return false;
    }
    return yyjson_is_arr(list);
}

static void settings_take(struct converse *x, yyjson_val *from) {
    for (int i = 0; i < SETTING_COUNT; i++) {
        yyjson_val *v = yyjson_obj_get(from, settings[i].name);
        struct buf json = BUF_INIT(sizeof x->set[i] - 1);
        struct json_writer w = JSON_WRITER(&json);
        if (v)
            json_put_val(&w, v);
        (void)snprintf(x->set[i], sizeof x->set[i], "%s", buf_cstr(&json));
        buf_done(&json);
    }
}

static void conversation_take(struct converse *x, yyjson_val *root) {
    struct json_writer w = JSON_WRITER(&x->messages);
    size_t i, n;
    yyjson_val *m;
    converse_clear(x);
    buf_clear(&x->system);
    buf_append(&x->system, json_get_str(root, "system"));
    settings_take(x, yyjson_obj_get(root, "settings"));
    yyjson_arr_foreach(yyjson_obj_get(root, "messages"), i, n, m) json_put_val(&w, m);
}

bool converse_load(struct converse *x, const char *path) {
    struct buf text = BUF_INIT(CHAT_BYTES + 1);
    struct arena a;
    struct json_doc d;
    struct json_error why;
    arena_init(&a, LIMIT_BODY_BYTES, 0);
    bool ok = file_take(path, CHAT_BYTES, &text);
    if (ok && json_read(&a, buf_slice(&text), &d, &why) != ERR_OK) {
        json_explain(path, buf_slice(&text), &why);
        ok = false;
    } else if (ok) {
        yyjson_val *root = yyjson_doc_get_root(d.doc);
        ok = messages_fit(yyjson_obj_get(root, "messages"));
        if (!ok)
            (void)cli_fail(1, "%s is no saved conversation: its messages are missing or of another shape", path);
        ok = ok && converse_model(x, json_get_str(root, "model"));
        if (ok)
            conversation_take(x, root);
    }
    buf_done(&text);
    arena_done(&a);
    return ok;
}

// ---- open and close

// The first that `gridtie list` shows: local ones stand first.
static bool model_of_list(struct converse *x) {
    struct buf text = BUF_INIT(LIMIT_UP_BODY_BYTES);
    yyjson_val *root = talk_ask(&x->talk, "/gridtie/v1/models", &text);
    struct slice name = json_get_str(yyjson_arr_get_first(yyjson_obj_get(root, "models")), "name");
    bool ok = name.n && converse_model(x, name);
    if (root && !name.n)
        (void)cli_fail(1, "no model is known yet; 'gridtie endpoints' shows who was asked");
    buf_done(&text);
    return ok;
}

static bool options_take(struct converse *x) {
    const struct cli *c = x->cli;
    for (int i = 0; i < c->n_repeated; i++)
        if (!converse_image(x, c->repeated[i]))
            return false;
    if (c->value[OPT_SYSTEM])
        buf_append_str(&x->system, c->value[OPT_SYSTEM]);
    return !c->value[OPT_JSON_SCHEMA] || schema_take(x, c->value[OPT_JSON_SCHEMA]);
}

bool converse_open(struct converse *x, const struct cli *c, const char *model, int *status) {
    *status = 1;
    *x = (struct converse){.cli = c,
                           .system = BUF_INIT(LIMIT_BODY_BYTES / 8),
                           .messages = BUF_INIT(CHAT_BYTES),
                           .images = BUF_INIT(CHAT_BYTES),
                           .schema = BUF_INIT(SCHEMA_BYTES),
                           .answer = BUF_INIT(LIMIT_BODY_BYTES / 4),
                           .error = BUF_INIT(LIMIT_UP_ERROR_BYTES),
                           .verbose = c->value[OPT_VERBOSE] != NULL,
                           .out_is_terminal = isatty(STDOUT_FILENO),
                           .err_is_terminal = isatty(STDERR_FILENO)};
    if (!talk_open(&x->talk, c, NULL))
        return false;
    bool ok = (!model || converse_model(x, slice_str(model))) && options_take(x) && daemon_find_or_start(&x->talk) &&
              (model || model_of_list(x));
    x->talk.stop_on_interrupt = true;
    if (!ok)
        converse_close(x);
    return ok;
}

void converse_close(struct converse *x) {
    talk_close(&x->talk);
    buf_done(&x->system);
    buf_done(&x->messages);
    buf_done(&x->images);
    buf_done(&x->schema);
    buf_done(&x->answer);
    buf_done(&x->error);
}
