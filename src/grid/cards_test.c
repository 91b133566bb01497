// SPDX-License-Identifier: Apache-2.0
// A llama-server's list of cards: its lines, and the question to one (this very program, tests/fault/children.c).
#include "grid/cards.h"
#include <stdlib.h>
#include <unistd.h>
#include "base/clock.h"
#include "fault/children.h"
#include "unit.h"

#define MIB(n) (INT64_C(n) << 20)

TEST(cards_lines_are_read) {
    static const struct {
        const char *line;
        int64_t total, free_bytes; // 0: no card
    } rows[] = {
        {"  CUDA0: NVIDIA H200 (143771 MiB, 143000 MiB free)", MIB(143771), MIB(143000)},
        {"  Vulkan0: AMD Radeon RX 7900 XTX (RADV NAVI31) (24560 MiB, 0 MiB free)", MIB(24560), 0},
        {"Available devices:", 0, 0},
        {"  (none)", 0, 0},
        {"", 0, 0},
        {"(1 MiB, 1 MiB free)", 0, 0},
        {"CUDA0: x (-1 MiB, 1 MiB free)", 0, 0},
        {"CUDA0: x (1 MiB, 99999999999999999999 MiB free)", 0, 0},
        {"CUDA0: x (1073741825 MiB, 1 MiB free)", 0, 0},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        int64_t total = 0, left = 0;
        bool is = cards_line(slice_str(rows[i].line), &total, &left);
        CHECK_EQ(is, rows[i].total > 0);
        if (is && (total != rows[i].total || left != rows[i].free_bytes))
            FAIL("%s: %lld, %lld", rows[i].line, (long long)total, (long long)left);
    }
}

TEST(cards_lines_cut_anywhere_are_no_cards) {
    struct slice whole = SLICE("  CUDA0: NVIDIA H200 (143771 MiB, 143000 MiB free)");
    int64_t total = 0, left = 0;
    for (size_t n = 0; n + 1 < whole.n; n++)
        CHECK(!cards_line(slice_first(whole, n), &total, &left));
    CHECK(cards_line(whole, &total, &left));
}

// ---- asked

struct desk {
    struct loop l;
    struct cards *cards;
    int told;
    bool closed;
};

static void on_told(void *ctx) {
    ((struct desk *)ctx)->told++;
}

static void on_closed(void *ctx) {
    ((struct desk *)ctx)->closed = true;
}

static void turns(struct desk *d, const bool *until_set, int until_told) {
    for (uint64_t end = clock_mono_ms() + 20000; clock_mono_ms() < end;) {
        if ((until_set && *until_set) || (until_told && d->told >= until_told))
            return;
        (void)uv_run(&d->l.uv, UV_RUN_NOWAIT);
        usleep(1000);
    }
}

static bool desk_open(struct desk *d, const char *devices) {
    *d = (struct desk){0};
    (void)setenv("FAKE_DEVICES", devices, 1);
    return loop_init(&d->l, 0) == ERR_OK && cards_new(&d->l, on_told, d, &d->cards) == ERR_OK;
}

static bool desk_close(struct desk *d) {
    cards_close(d->cards, on_closed, d);
    turns(d, &d->closed, 0);
    (void)unsetenv("FAKE_DEVICES");
    loop_done(&d->l);
    return d->closed;
}

TEST(cards_of_a_server_are_summed) {
    struct desk d;
    CHECK(desk_open(&d, "CUDA0: One (1000 MiB, 900 MiB free)\n  CUDA1: Two (500 MiB, 50 MiB free)\n"));
    CHECK(!cards_busy(d.cards) && cards_total(d.cards) == 0);
    cards_ask(d.cards, self_path());
    CHECK(cards_busy(d.cards));
    turns(&d, NULL, 1);
    CHECK_EQ(d.told, 1);
    CHECK(!cards_busy(d.cards));
    CHECK_EQ(cards_total(d.cards), MIB(1500));
    CHECK_EQ(cards_free(d.cards), MIB(950));
    cards_ask(d.cards, self_path()); // it is known
    CHECK(!cards_busy(d.cards));
    CHECK(desk_close(&d));
}

TEST(cards_of_none_and_of_what_is_no_server) {
    struct desk d;
    CHECK(desk_open(&d, "  (none)\n"));
    cards_ask(d.cards, self_path());
    turns(&d, NULL, 1);
    CHECK(d.told == 1 && cards_total(d.cards) == 0);
    cards_ask(d.cards, "/bin/false"); // another one is asked anew
    turns(&d, NULL, 2);
    CHECK(d.told == 2 && cards_total(d.cards) == 0);
    CHECK(desk_close(&d));
}

TEST(cards_closed_while_they_are_asked) {
    struct desk d;
    CHECK(desk_open(&d, "hang"));
    cards_ask(d.cards, self_path());
    CHECK(cards_busy(d.cards));
    CHECK(desk_close(&d));
    CHECK_EQ(d.told, 0);
}
