// SPDX-License-Identifier: Apache-2.0
// `gridtie ps`: the local models that are in memory now.
#include <stdio.h>
#include "base/clock.h"
#include "cli/table.h"
#include "cli/talk.h"

static const char *until(struct arena *a, yyjson_val *m) {
    int64_t at = json_get_int(m, "expires_at", -1);
    return at > 0 ? text_duration(a, at - clock_wall_s()) : at == 0 ? "-" : "never";
}

static const char *memory(struct arena *a, yyjson_val *m) {
    int64_t bytes = json_get_int(m, "memory_bytes", 0);
    return bytes > 0 ? text_bytes(a, bytes)
                     : text_printf(a, "~%s", text_bytes(a, json_get_int(m, "estimated_bytes", 0)));
}

static const char *share(struct arena *a, int64_t part, int64_t whole) {
    return whole > 0 ? text_printf(a, "%.0f %%", 100.0 * (double)part / (double)whole) : "-";
}

static const char *draft(struct arena *a, yyjson_val *m) {
    yyjson_val *d = yyjson_obj_get(m, "draft");
    if (slice_is(json_get_str(d, "state"), "refused"))
        return "refused";
    return share(a, json_get_int(d, "accepted", 0), json_get_int(d, "tokens", 0));
}

static const char *speed(struct arena *a, yyjson_val *m) {
    yyjson_val *v = yyjson_obj_get(m, "tokens_per_s");
    return yyjson_is_num(v) ? text_printf(a, "%.1f", yyjson_get_num(v)) : "-";
}

static void ps_show(struct arena *a, yyjson_val *root) {
    static const char *const heads[] = {"MODEL",     "STATE",   ">PID",   ">MEMORY",   ">VRAM",       ">SLOTS",
                                        ">TOKENS/S", ">CACHED", ">DRAFT", ">REQUESTS", "UNLOADED IN", NULL};
    static const char *const heads_without_cards[] = {"MODEL",     "STATE",       ">PID",    ">MEMORY",
                                                      ">SLOTS",    ">TOKENS/S",   ">CACHED", ">DRAFT",
                                                      ">REQUESTS", "UNLOADED IN", NULL};
    yyjson_val *models = yyjson_obj_get(root, "models"), *m;
    struct table t;
    size_t i, n;
    int64_t used = 0, on_card = 0, card_bytes = json_get_int(root, "vram_budget_bytes", 0);
    if (yyjson_arr_size(models) == 0) {
        (void)puts("no model is in memory");
        return;
    }
    table_init(&t, a, card_bytes > 0 ? heads : heads_without_cards);
    yyjson_arr_foreach(models, i, n, m) {
        used += json_get_int(m, "memory_bytes", 0);
        on_card += json_get_int(m, "vram_bytes", 0);
        table_add(&t, json_get_str(m, "name"));
        table_add(&t, json_get_str(m, "state"));
        table_add_str(&t, text_count(a, yyjson_obj_get(m, "pid")));
        table_add_str(&t, memory(a, m));
        if (card_bytes > 0)
            table_add_str(&t, text_bytes(a, json_get_int(m, "vram_bytes", 0)));
        table_add_str(&t, text_printf(a, "%lld/%lld", (long long)json_get_int(m, "slots_busy", 0),
                                      (long long)json_get_int(m, "slots", 0)));
        table_add_str(&t, speed(a, m));
        table_add_str(&t, share(a, json_get_int(m, "cached_tokens", 0), json_get_int(m, "input_tokens", 0)));
        table_add_str(&t, draft(a, m));
        table_add_str(&t, text_count(a, yyjson_obj_get(m, "requests")));
        table_add_str(&t, until(a, m));
    }
    table_print(&t);
    (void)printf("%s of %s for models", text_bytes(a, used), text_bytes(a, json_get_int(root, "budget_bytes", 0)));
    if (card_bytes > 0)
        (void)printf(", %s of %s of graphics memory", text_bytes(a, on_card), text_bytes(a, card_bytes));
    (void)puts("");
}

static int ps_run(const struct cli *c) {
    return talk_show(c, "/gridtie/v1/ps", ps_show);
}

const struct command command_ps = {
    .name = "ps",
    .operands = "",
    .summary = "the local models that are in memory",
    .text = "Shows the local models that are loaded or loading, and when they will be unloaded.\n"
            "MEMORY is what the kernel counts, with ~ what is estimated before the load; VRAM what lies on graphics\n"
            "cards. SLOTS: busy ones of all.\n"
            "CACHED: the share of prompts that was not read anew. DRAFT: the share of guessed tokens that held, or\n"
            "refused where the draft does not fit its model (speculative decoding).\n",
    .options = OPT(JSON) | OPTS_DAEMON,
    .most_args = 0,
    .examples = {"gridtie ps", "gridtie ps --json"},
    .run = ps_run,
};
