// SPDX-License-Identifier: Apache-2.0
// What privacy costs, in CPU time of one core: the pattern pass over text (MB/s), what a request pays for each new KB and
// for each KB that is known, with and without something to replace, and what each streamed chunk of an answer pays for the
// way back. Texts are made here: prose with a find now and then, code, and lines of numbers, the worst case that is usual.
//
//   privacy [ROUNDS [KIND]]      default 20, all
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include "base/json.h"
#include "base/log.h"
#include "base/mem.h"
#include "privacy/body.h"
#include "privacy/restore.h"
#include "privacy/samples.h"

#define TEXT_BYTES (1u << 20)
#define CHUNK_BYTES 16 // a token or three

static double cpu_us(void) {
    struct rusage r;
    (void)getrusage(RUSAGE_THREAD, &r);
    return (double)(r.ru_utime.tv_sec + r.ru_stime.tv_sec) * 1e6 + (double)(r.ru_utime.tv_usec + r.ru_stime.tv_usec);
}

static uint32_t dice_state = 1;
static uint32_t dice(uint32_t sides) {
    dice_state = dice_state * 1664525u + 1013904223u;
    return (dice_state >> 8) % sides;
}

// ---- texts

static void prose(struct buf *b) {
    static const char *const words[] = {"the",  "quick",   "brown", "fox",   "jumps",   "over", "a",
                                        "lazy", "dog",     "and",   "says",  "nothing", "of",   "it",
                                        "to",   "anybody", "who",   "would", "listen",  "again"};
    while (b->len < TEXT_BYTES) {
        buf_append_str(b, words[dice(20)]);
        buf_append_str(b, dice(12) ? " " : ". ");
    }
}

// One find in about 2 KB.
static void letters(struct buf *b) {
    struct buf plain = BUF_INIT(2 * TEXT_BYTES);
    prose(&plain);
    for (struct slice s = buf_slice(&plain); s.n; s = slice_from(s, 2000)) {
        buf_append(b, slice_first(s, 2000));
        if (dice(2))
            buf_printf(b, " jane.doe%u@corp.com ", dice(9999));
        else
            buf_printf(b, " +49 30 12%05u ", dice(99999));
    }
    buf_done(&plain);
}

static void code(struct buf *b) {
    static const char *const lines[] = {"    for (size_t i = 0; i < n_patterns && !e; i++)\n",
                                        "static enum err row_compile(struct detector *d) {\n",
                                        "        return (struct found){s->text, slice_of(p, to - n)};\n",
                                        "    if (rc == PCRE2_ERROR_NOMATCH || at >= 4096)\n",
                                        "#include \"base/limits.h\" // 12 of 4096 bytes\n",
                                        "    const token = await user.read(key, 0x7f);\n"};
    while (b->len < TEXT_BYTES)
        buf_append_str(b, lines[dice(6)]);
}

static void numbers(struct buf *b) {
    while (b->len < TEXT_BYTES)
        buf_printf(b, "%u,%u.%02u,%u;", dice(100000), dice(900), dice(100), 1700000000 + dice(9999999));
    buf_append_char(b, '\n');
}

static const struct kind {
    const char *name;
    void (*make)(struct buf *b);
} kinds[] = {{"prose", prose}, {"letters", letters}, {"code", code}, {"numbers", numbers}};

// ---- rows

static void row_pass(const struct kind *k, struct slice text, long rounds) {
    struct spans found = {0};
    double at = cpu_us();
    for (long i = 0; i < rounds; i++) {
        found.n = 0;
        if (detector_scan(detector_of_tests(), text, &found))
            abort();
    }
    double us = (cpu_us() - at) / (double)rounds;
    printf("pattern pass, %-8s %8.1f MB/s  (%zu finds in a MB)\n", k->name, (double)text.n / us, found.n);
    spans_done(&found);
}

struct turn { // a conversation of many messages
    struct buf json;
    struct memo *memo;
};

static void turn_make(struct turn *t, struct slice text) {
    t->json = BUF_INIT(8 * TEXT_BYTES);
    t->memo = memo_new(16384);
    buf_append_str(&t->json, "{\"model\":\"m\",\"messages\":[");
    for (bool first = true; text.n; first = false) {
        buf_append_str(&t->json, first ? "{\"role\":\"user\",\"content\":\"" : ",{\"role\":\"user\",\"content\":\"");
        json_escape(&t->json, slice_first(text, 2000));
        buf_append_str(&t->json, "\"}");
        text = slice_from(text, 2000);
    }
    buf_append_str(&t->json, "]}");
    if (t->json.failed || !t->memo)
        abort();
}

static double turn_run(const struct turn *t, bool replace) {
    static const struct standin_key key = {{1, 2, 3}};
    struct arena a;
    struct replaced replaced;
    bool more;
    arena_init(&a, 256u << 20, 0);
    double at = cpu_us();
    struct body b = {.a = &a, .detector = detector_of_tests(), .memo = t->memo, .json = buf_slice(&t->json)};
    if (body_find(&b, SIZE_MAX, &more) || (replace && body_replace(&b, &key, false, &replaced)))
        abort();
    at = cpu_us() - at;
    arena_done(&a);
    return at / ((double)t->json.len / 1024);
}

static void row_request(const struct kind *k, struct slice text, long rounds) {
    double fresh = 0, known = 0, whole = 0;
    for (long i = 0; i < rounds; i++) {
        struct turn t;
        turn_make(&t, text);
        fresh += turn_run(&t, false);
        known += turn_run(&t, false);
        whole += turn_run(&t, true);
        memo_free(t.memo);
        buf_done(&t.json);
    }
    printf("request, %-8s %8.2f us per new KB, %.2f per known KB, %.2f per known KB with its stand-ins\n", k->name,
           fresh / (double)rounds, known / (double)rounds, whole / (double)rounds);
}

static enum err swallow(void *ctx, const struct event *ev) {
    *(size_t *)ctx += ev->text.n;
    return ERR_OK;
}

// standin: one chunk in 64 holds it; else nothing does. values: how many the request had.
static void row_chunk(unsigned values, bool standin, struct slice text, long rounds) {
    static const struct standin_key key = {{1, 2, 3}};
    struct aliases map;
    struct arena a;
    size_t given = 0, chunks = 0;
    struct event_sink sink = {swallow, &given};
    char real[64];
    arena_init(&a, 256u << 20, 0);
    if (!aliases_init(&map, &a, &key))
        abort();
    for (unsigned i = 0; i < values; i++) {
        if (i % 2)
            (void)snprintf(real, sizeof real, "jane.doe%u@corp.com", i);
        else
            (void)snprintf(real, sizeof real, "+49 30 12%05u", i);
        if (!aliases_take(&map, i % 2 ? ENTITY_EMAIL : ENTITY_PHONE, slice_str(real), false).p)
            abort();
    }
    struct restorer *r = restorer_new(&a, &map, aliases_find_standin(&map), &(struct restore_options){0});
    double at = cpu_us();
    for (long i = 0; i < rounds; i++)
        for (struct slice s = text; s.n; s = slice_from(s, CHUNK_BYTES), chunks++) {
            struct event ev = {.kind = EV_DELTA, .block_kind = BLOCK_TEXT, .text = slice_first(s, CHUNK_BYTES)};
            if (standin && values && chunks % 64 == 0)
                ev.text = map.v[chunks / 64 % values].standin;
            if (restorer_event(r, &ev, &sink))
                abort();
        }
    at = cpu_us() - at;
    printf("chunk of %u bytes, %3u values, %-24s %8.3f us\n", CHUNK_BYTES, values,
           standin ? "one stand-in in 64 chunks" : "no stand-in", at / (double)chunks);
    arena_done(&a);
}

int main(int argc, char **argv) {
    long rounds = argc > 1 ? strtol(argv[1], NULL, 10) : 20;
    struct buf text = BUF_INIT(4 * TEXT_BYTES);
    log_set_level(LOG_ERROR);
    if (rounds < 1 || !detector_of_tests())
        return 2;
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        if (argc > 2 && strcmp(argv[2], kinds[i].name) != 0)
            continue;
        buf_clear(&text);
        kinds[i].make(&text);
        row_pass(&kinds[i], buf_slice(&text), rounds);
        row_request(&kinds[i], buf_slice(&text), rounds);
    }
    buf_clear(&text);
    prose(&text);
    row_chunk(1, false, buf_slice(&text), rounds);
    row_chunk(100, false, buf_slice(&text), rounds);
    row_chunk(100, true, buf_slice(&text), rounds);
    buf_done(&text);
    return 0;
}
