// SPDX-License-Identifier: Apache-2.0
// `gridtie why`: one request with the reasons: what was asked, which targets were tried in which order and why, where the
// time went, what was dropped on the way, and the cost. All from the record; it holds no content.
#include <stdio.h>
#include "cli/table.h"
#include "cli/talk.h"
#include "cli/why.h"

static void line(const char *head, const char *text) {
    (void)printf("%s%-9s%s %s\n", colour_on(COLOUR_DIM), head, colour_off(), text);
}

static const char *field(struct arena *a, yyjson_val *v, const char *name) {
    return text_plain(a, json_get_str(v, name));
}

// before + field + after, or "" when the field is null.
static const char *also(struct arena *a, yyjson_val *v, const char *before, const char *name, const char *after) {
    struct slice s = json_get_str(v, name);
    return s.n ? text_printf(a, "%s%s%s", before, text_plain(a, s), after) : "";
}

static enum colour colour_of_outcome(struct slice outcome) {
    if (slice_is(outcome, "settled"))
        return COLOUR_GREEN;
    return slice_is(outcome, "failed") ? COLOUR_RED : COLOUR_YELLOW;
}

static void show_asked(struct arena *a, yyjson_val *x) {
    bool stream = yyjson_is_true(yyjson_obj_get(x, "stream"));
    line("request",
         text_printf(a, "%s%s  %s%s", colour_on(COLOUR_BOLD), field(a, x, "id"), field(a, x, "time"), colour_off()));
    line("asked", text_printf(a, "model %s%s, %s %s%s%s%s", field(a, x, "model"), also(a, x, " (route ", "route", ")"),
                              field(a, x, "dialect"), field(a, x, "op"), stream ? ", streamed" : "",
                              also(a, x, ", key ", "key", ""), also(a, x, ", for ", "parent", "")));
    line("label", text_printf(a, "%s%s", field(a, x, "label"), also(a, x, " (", "label_source", ")")));
    if (json_get_str(x, "reach").n)
        line("reach", field(a, x, "reach"));
}

static void show_result(struct arena *a, yyjson_val *x) {
    struct slice outcome = json_get_str(x, "outcome");
    const char *on = colour_on(colour_of_outcome(outcome));
    line("result",
         text_printf(a, "%s%s%s%s%s%s%s%s", on, text_plain(a, outcome), colour_off(), also(a, x, ": ", "err", ""),
                     yyjson_is_int(yyjson_obj_get(x, "status")) ? ", HTTP " : "",
                     yyjson_is_int(yyjson_obj_get(x, "status")) ? text_count(a, yyjson_obj_get(x, "status")) : "",
                     also(a, x, ", finish ", "finish", ""), ""));
    if (json_get_str(x, "target").n)
        line("target", text_printf(a, "%s%s", field(a, x, "target"), also(a, x, " (", "zone", ")")));
}

static void show_times(struct arena *a, yyjson_val *x) {
    yyjson_val *key, *v;
    size_t i, n;
    double before = 0;
    line("time", text_printf(a, "%s in all, %s to the first token", text_ms(a, yyjson_obj_get(x, "total_ms")),
                             text_ms(a, yyjson_obj_get(x, "first_event_ms"))));
    (void)printf("         ");
    yyjson_obj_foreach(yyjson_obj_get(x, "steps"), i, n, key, v) {
        if (!yyjson_is_num(v))
            continue;
        (void)printf(" %s %.2f", yyjson_get_str(key), yyjson_get_num(v) - before);
        before = yyjson_get_num(v);
    }
    (void)puts(" ms");
}

static void show_usage(struct arena *a, yyjson_val *x) {
    yyjson_val *u = yyjson_obj_get(x, "usage");
    int64_t cached = json_get_int(u, "cache_read_tokens", 0), reasoning = json_get_int(u, "reasoning_tokens", 0);
    line("tokens", text_printf(a, "%s in%s, %s out%s%s", text_count(a, yyjson_obj_get(u, "input_tokens")),
                               cached > 0 ? text_printf(a, " (%lld from a cache)", (long long)cached) : "",
                               text_count(a, yyjson_obj_get(u, "output_tokens")),
                               reasoning > 0 ? text_printf(a, " (%lld of reasoning)", (long long)reasoning) : "",
                               yyjson_is_true(yyjson_obj_get(u, "estimated")) ? ", estimated" : ""));
    struct slice usd = json_get_str(x, "cost_usd");
    line("cost", usd.n ? text_printf(a, "%s USD", text_plain(a, usd)) : "unknown: a price is missing in the catalogue");
}

static void show_attempt(struct arena *a, yyjson_val *at) {
    struct slice outcome = json_get_str(at, "outcome");
    int64_t http = json_get_int(at, "http_status", 0);
    (void)printf("  %lld. %s%s%s (%s) %s%s%s%s%s\n", (long long)json_get_int(at, "attempt", 0) + 1,
                 colour_on(COLOUR_BOLD), field(a, at, "target"), colour_off(), field(a, at, "zone"),
                 colour_on(colour_of_outcome(outcome)),
                 slice_is(outcome, "not_sent") ? "not sent" : text_plain(a, outcome), colour_off(),
                 also(a, at, ": ", "err", ""), http > 0 ? text_printf(a, ", HTTP %lld", (long long)http) : "");
    if (json_get_str(at, "reason").n)
        (void)printf("     why here: %s\n", field(a, at, "reason"));
    if (json_get_str(at, "detail").n)
        (void)printf("     %s\n", field(a, at, "detail"));
    if (!yyjson_is_num(yyjson_obj_get(at, "start_ms")))
        return;
    (void)printf("     started at %s, %s %s, first token %s, end %s%s\n", text_ms(a, yyjson_obj_get(at, "start_ms")),
                 yyjson_is_true(yyjson_obj_get(at, "reused_connection")) ? "sent (kept-alive)" : "connected",
                 text_ms(a, yyjson_obj_get(at, "connected_ms")), text_ms(a, yyjson_obj_get(at, "first_event_ms")),
                 text_ms(a, yyjson_obj_get(at, "end_ms")), also(a, at, "; cost ", "cost_usd", " USD"));
}

static void show_drops(struct arena *a, yyjson_val *x) {
    yyjson_val *drops = yyjson_obj_get(x, "drops"), *d;
    int64_t skipped = json_get_int(x, "drops_skipped", 0);
    size_t i, n;
    if (yyjson_arr_size(drops) == 0 && skipped <= 0)
        return;
    line("changed", "what the target's dialect could not take as it was:");
    yyjson_arr_foreach(drops, i, n, d) {
        (void)printf("  %s %s: %s\n", field(a, d, "action"), field(a, d, "path"), field(a, d, "reason"));
    }
    if (skipped > 0)
        (void)printf("  and %lld more\n", (long long)skipped);
}

void why_show(struct arena *a, yyjson_val *record) {
    yyjson_val *attempts = yyjson_obj_get(record, "attempts"), *at;
    size_t i, n;
    show_asked(a, record);
    show_result(a, record);
    show_times(a, record);
    show_usage(a, record);
    line("attempts", yyjson_arr_size(attempts) ? "" : "none: no target was asked");
    yyjson_arr_foreach(attempts, i, n, at) {
        show_attempt(a, at);
    }
    show_drops(a, record);
}

static bool id_is_plain(const char *id) {
    for (const char *p = id; *p; p++)
        if (!((*p >= '0' && *p <= '9') || (*p >= 'a' && *p <= 'z') || (*p >= 'A' && *p <= 'Z') || strchr("-_.", *p)))
            return false;
    return id[0] != 0;
}

static int why_run(const struct cli *c) {
    const char *id = c->n_args ? c->args[0] : "last";
    char path[256];
    if (!id_is_plain(id) || strlen(id) > 128)
        return cli_fail(2, "'%s' is no id of a request; 'gridtie log' lists them", id);
    (void)snprintf(path, sizeof path, "/gridtie/v1/why/%s", id);
    return talk_show(c, path, why_show);
}

const struct command command_why = {
    .name = "why",
    .operands = "[ID|last]",
    .summary = "one request: what was decided, and why",
    .text =
        "Shows one request, by default the last one: the targets that were tried and the reason for each, where the\n"
        "time went, tokens, cost, and what was changed on the way. The id is the answer's x-gridtie-id header.\n",
    .options = OPT(JSON) | OPTS_DAEMON,
    .most_args = 1,
    .words = {"last"},
    .examples = {"gridtie why", "gridtie why last --json"},
    .run = why_run,
};
