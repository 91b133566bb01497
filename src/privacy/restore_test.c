// SPDX-License-Identifier: Apache-2.0
// Stand-ins come back as what they stand for: in every channel, at every cut, in other manners of writing; and what
// only looks like one is left alone. A second, slow and simple, reading of the rules is the judge of random texts.
#include "privacy/restore.h"
#include <stdio.h>
#include "base/json.h"
#include "base/mem.h"
#include "unit.h"

static const struct standin_key key = {"thirty-two bytes of a test's key"};

// A map of a few values, each taken once.
struct map {
    struct arena a;
    struct aliases aliases;
    struct matcher *standins;
    struct slice email, phone, card, secret, word, nanp; // stand-ins
};

static const char secret_real[] = "pa\"ss\\w\nord";

static bool map_make(struct map *m) {
    arena_init(&m->a, 1u << 20, 0);
    if (!aliases_init(&m->aliases, &m->a, &key))
        return false;
    m->email = aliases_take(&m->aliases, ENTITY_EMAIL, SLICE("jane.doe@corp.com"), false);
    m->phone = aliases_take(&m->aliases, ENTITY_PHONE, SLICE("+49 30 1234567"), false);
    m->card = aliases_take(&m->aliases, ENTITY_CARD, SLICE("4111 1111 1111 1111"), false);
    m->secret = aliases_take(&m->aliases, ENTITY_SECRET, slice_str(secret_real), false);
    m->word = aliases_take(&m->aliases, ENTITY_WORD, SLICE("Acme"), false);
    m->nanp = aliases_take(&m->aliases, ENTITY_PHONE, SLICE("(415) 555-2671"), false);
    m->standins = aliases_find_standin(&m->aliases);
    return m->standins && m->nanp.p;
}

static struct slice restored(struct map *m, struct slice text, bool json) {
    struct buf out = BUF_INIT(1u << 20);
    struct slice s = SLICE_NONE;
    if (restore_text(&m->aliases, m->standins, text, json, false, &out) == ERR_OK)
        s = arena_copy(&m->a, buf_slice(&out));
    buf_done(&out);
    return s;
}

static struct slice upper(struct map *m, struct slice s) {
    char *p = arena_cstr(&m->a, s);
    for (size_t i = 0; i < s.n; i++)
        p[i] = p[i] >= 'a' && p[i] <= 'z' ? (char)(p[i] - 32) : p[i];
    return slice_of(p, s.n);
}

static struct slice bare(struct map *m, struct slice s) {
    char *p = arena_cstr(&m->a, s);
    size_t n = 0;
    for (size_t i = 0; i < s.n; i++)
        if ((s.p[i] >= '0' && s.p[i] <= '9') || s.p[i] == '+')
            p[n++] = s.p[i];
    return slice_of(p, n);
}

#define SAYS(text, want)                                                     \
    do {                                                                     \
        struct slice got_ = restored(&m, (text), false), want_ = (want);     \
        if (!slice_eq(got_, want_))                                          \
            FAIL("'%.*s' is not '%.*s'", SLICE_FMT(got_), SLICE_FMT(want_)); \
    } while (0)
#define J_OF(map, ...) ARENA_JOIN(&(map)->a, __VA_ARGS__)
#define J(...) J_OF(&m, __VA_ARGS__)

TEST(restore_finds_other_manners_of_writing) {
    struct map m;
    CHECK(map_make(&m));
    SAYS(J(SLICE("Write to "), m.email, SLICE(".")), SLICE("Write to jane.doe@corp.com."));
    SAYS(J(m.email, SLICE("'s mail, <"), m.email, SLICE(">")), SLICE("jane.doe@corp.com's mail, <jane.doe@corp.com>"));
    SAYS(upper(&m, m.email), SLICE("JANE.DOE@CORP.COM"));
    struct slice host = m.email, user = slice_split(&host, '@');
    SAYS(J(SLICE("user "), user, SLICE(" at ")), SLICE("user jane.doe at "));
    SAYS(J(SLICE("?to="), user, SLICE("%40"), host, SLICE("&x")), SLICE("?to=jane.doe%40corp.com&x"));
    SAYS(J(SLICE("tel:"), bare(&m, m.phone)), SLICE("tel:+49301234567"));
    SAYS(slice_from(bare(&m, m.phone), 1), SLICE("49301234567"));
    SAYS(bare(&m, m.card), SLICE("4111111111111111"));
    SAYS(J(SLICE("("), bare(&m, m.card), SLICE(")")), SLICE("(4111111111111111)"));
    SAYS(J(m.word, SLICE("'s and "), upper(&m, m.word)), SLICE("Acme's and ACME"));
    SAYS(J(SLICE("key="), m.secret, SLICE(";")), J(SLICE("key="), slice_str(secret_real), SLICE(";")));
    SAYS(J(SLICE("call "), m.nanp, SLICE(" or +1 "), bare(&m, m.nanp)), SLICE("call (415) 555-2671 or +1 4155552671"));
    // the card with no-break spaces, line by line with hyphens
    char dashed[64];
    (void)snprintf(dashed, sizeof dashed, "%.4s-%.4s\xe2\x80\x91%.4s\xc2\xa0%.4s", m.card.p, m.card.p + 5,
                   m.card.p + 10, m.card.p + 15);
    SAYS(slice_str(dashed), SLICE("4111 1111 1111 1111"));
    arena_done(&m.a);
}

TEST(restore_leaves_alone_what_is_none) {
    struct map m;
    CHECK(map_make(&m));
    struct slice others[] = {
        J(SLICE("x"), m.email),
        J(SLICE("a."), m.email),
        J(m.email, SLICE("x")),
        J(m.email, SLICE(".org")),
        J(SLICE("1"), m.card),
        J(m.card, SLICE("1")),
        J(m.card, SLICE("a")),
        slice_first(m.email, m.email.n - 1),
        slice_first(m.card, m.card.n - 1),
        J(m.secret, SLICE("9")),
        J(m.word, SLICE("s")),
        J(SLICE("+"), bare(&m, m.card)),
        SLICE("GRIDTIE_SECRET_aaaaaaaaaaaaaaaa made.up@example.com +999 12 345"),
    };
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++)
        if (i != 11)
            SAYS(others[i], others[i]);
    SAYS(others[11], SLICE("+4111111111111111")); // the + is the sentence's
    // what comes back is not looked at again
    struct aliases two;
    struct arena a;
    arena_init(&a, 1u << 20, 0);
    CHECK(aliases_init(&two, &a, &key));
    struct slice first = aliases_take(&two, ENTITY_EMAIL, SLICE("a@b.org"), false);
    struct slice second = aliases_take(&two, ENTITY_EMAIL, first, false);
    struct matcher *both = aliases_find_standin(&two);
    struct buf out = BUF_INIT(4096);
    CHECK(second.p && both && !slice_eq(first, second));
    CHECK_EQ(restore_text(&two, both, second, false, false, &out), ERR_OK);
    CHECK(slice_eq(buf_slice(&out), first));
    buf_done(&out);
    arena_done(&a);
    arena_done(&m.a);
}

// Each character that stands in `which` as an escape of JSON.
static struct slice escaped(struct map *m, struct slice s, const char *which) {
    struct buf out = BUF_INIT(1u << 16);
    for (size_t i = 0; i < s.n; i++)
        if (strchr(which, s.p[i]))
            buf_printf(&out, i % 2 ? "\\u%04x" : "\\u%04X", (unsigned)(unsigned char)s.p[i]);
        else
            buf_append_char(&out, s.p[i]);
    struct slice text = arena_copy(&m->a, buf_slice(&out));
    buf_done(&out);
    return text;
}

TEST(restore_reads_needless_escapes_in_json) {
    struct map m;
    struct json_doc doc;
    struct json_error why;
    CHECK(map_make(&m));
    struct slice all = escaped(&m, m.email, "abcdefghijklmnopqrstuvwxyz.@-0123456789");
    struct slice text = J(SLICE("{\"a\":\""), escaped(&m, m.email, "@"), SLICE("\",\"b\":\""), all,
                          SLICE("\",\"c\":\"a\\\\u0040 \\u0022\\u005c \\/ \\u00e4 \\n\",\"d\":\"\\ud83d\\ude00\"}"));
    struct slice got = restored(&m, text, true);
    CHECK_EQ(json_read(&m.a, got, &doc, &why), ERR_OK);
    yyjson_val *root = yyjson_doc_get_root(doc.doc);
    CHECK(slice_is(json_get_str(root, "a"), "jane.doe@corp.com"));
    CHECK(slice_is(json_get_str(root, "b"), "jane.doe@corp.com"));
    CHECK(slice_is(json_get_str(root, "c"), "a\\u0040 \"\\ / \xc3\xa4 \n"));
    CHECK(slice_is(json_get_str(root, "d"), "\xf0\x9f\x98\x80"));
    CHECK(slice_is(restored(&m, SLICE("\"\\u00"), true), "\"\\u00")); // a torn one stays
    arena_done(&m.a);
}

TEST(restore_keeps_json_valid) {
    struct map m;
    struct json_doc doc;
    struct json_error why;
    CHECK(map_make(&m));
    struct slice text = J(SLICE("{\"p\":\""), m.secret, SLICE("\",\"n\":"), bare(&m, m.card), SLICE(",\"q\":\"\\\""),
                          m.email, SLICE("\\\"\"}"));
    struct slice got = restored(&m, text, true);
    CHECK_EQ(json_read(&m.a, got, &doc, &why), ERR_OK);
    yyjson_val *root = yyjson_doc_get_root(doc.doc);
    CHECK(slice_is(json_get_str(root, "p"), secret_real));
    CHECK_EQ(json_get_int(root, "n", 0), 4111111111111111);
    CHECK(slice_is(json_get_str(root, "q"), "\"jane.doe@corp.com\""));
    arena_done(&m.a);
}

// ---- streams

struct heard {
    struct buf text[4]; // by block
    struct buf order;
    bool failed;
};

static enum err hear(void *ctx, const struct event *ev) {
    struct heard *h = ctx;
    buf_append_str(&h->order, event_kind_name(ev->kind));
    buf_append_char(&h->order, ' ');
    if (ev->kind == EV_DELTA)
        buf_append(&h->text[ev->block & 3], ev->text);
    return ERR_OK;
}

static void heard_init(struct heard *h) {
    for (size_t i = 0; i < 4; i++)
        h->text[i] = BUF_INIT(1u << 20);
    h->order = BUF_INIT(1u << 20);
    h->failed = false;
}

static void heard_done(struct heard *h) {
    for (size_t i = 0; i < 4; i++)
        buf_done(&h->text[i]);
    buf_done(&h->order);
}

static bool say(struct restorer *r, struct event_sink *sink, struct event ev) {
    return restorer_event(r, &ev, sink) == ERR_OK;
}

// The texts of three blocks, block after block or turn by turn, in pieces that end where `cuts` says.
static bool speak(struct map *m, const struct slice texts[3], const size_t *cuts, size_t n_cuts, bool mixed,
                  struct heard *h) {
    static const enum block_kind kinds[] = {BLOCK_TEXT, BLOCK_TOOL, BLOCK_THINK};
    struct arena a;
    struct event_sink sink = {hear, h};
    arena_init(&a, 1u << 20, 0);
    struct restorer *r = restorer_new(&a, &m->aliases, m->standins, &(struct restore_options){0});
    bool ok = r && say(r, &sink, (struct event){.kind = EV_START});
    for (uint32_t b = 0; b < 3 && ok; b++)
        ok = say(r, &sink, (struct event){.kind = EV_BLOCK_BEGIN, .block = b, .block_kind = kinds[b]});
    for (size_t turn = 0; turn < (mixed ? 1u : 3u) && ok; turn++) {
        for (size_t i = 0; i <= n_cuts && ok; i++) {
            for (uint32_t b = mixed ? 0 : (uint32_t)turn; b < (mixed ? 3 : (uint32_t)turn + 1) && ok; b++) {
                size_t from = i ? cuts[i - 1] : 0, to = i < n_cuts ? cuts[i] : texts[b].n;
                from = from < texts[b].n ? from : texts[b].n;
                to = to < texts[b].n ? to : texts[b].n;
                struct event ev = {.kind = EV_DELTA, .block = b, .block_kind = kinds[b]};
                ev.text = slice_of(texts[b].p + from, to - from);
                ok = say(r, &sink, ev);
            }
        }
    }
    for (uint32_t b = 0; b < 3 && ok; b++)
        ok = say(r, &sink, (struct event){.kind = EV_BLOCK_END, .block = b, .block_kind = kinds[b]});
    ok = ok && say(r, &sink, (struct event){.kind = EV_END});
    arena_done(&a);
    return ok;
}

static bool speaks_right(struct map *m, const struct slice texts[3], const struct slice want[3], const size_t *cuts,
                         size_t n_cuts, bool mixed) {
    struct heard h;
    heard_init(&h);
    bool ok = speak(m, texts, cuts, n_cuts, mixed, &h);
    for (size_t b = 0; b < 3; b++)
        ok = ok && slice_eq(buf_slice(&h.text[b]), want[b]);
    heard_done(&h);
    return ok;
}

static void texts_make(struct map *mp, struct slice texts[3], struct slice want[3]) {
    struct map m = *mp;
    texts[0] = J(SLICE("To "), m.email, SLICE(", (call "), m.phone, SLICE(") \xc3\xa4 "), bare(&m, m.card), SLICE(". "),
                 slice_first(m.email, 9), SLICE("! "), m.nanp, SLICE("+"));
    texts[1] = J(SLICE("{\"to\":[\""), m.email, SLICE("\",\"x\\\\\",\""), escaped(&m, m.email, "@.j"),
                 SLICE("\"],\"p\":\""), m.secret, SLICE("\",\"n\":"), bare(&m, m.card), SLICE("}"));
    texts[2] = J(m.word, SLICE("'s "), m.secret, SLICE(" "), m.card, SLICE("1 "), m.email);
    mp->a = m.a;
    want[0] = restored(mp, texts[0], false);
    want[1] = restored(mp, texts[1], true);
    want[2] = restored(mp, texts[2], false);
}

TEST(restore_is_the_same_at_every_cut) {
    struct map m;
    struct slice texts[3], want[3];
    CHECK(map_make(&m));
    texts_make(&m, texts, want);
    CHECK(slice_search(want[0], SLICE("jane.doe@corp.com")) != SIZE_MAX && slice_ends(want[0], "(415) 555-2671+"));
    size_t longest = texts[0].n > texts[1].n ? texts[0].n : texts[1].n, all[512];
    for (size_t cut = 0; cut <= longest; cut++) {
        CHECK(speaks_right(&m, texts, want, &cut, 1, false));
        CHECK(speaks_right(&m, texts, want, &cut, 1, true));
    }
    for (size_t step = 1; step < 12; step++) {
        size_t n = 0;
        for (size_t at = step; at < longest && n < 512; at += step)
            all[n++] = at;
        CHECK(speaks_right(&m, texts, want, all, n, false));
        CHECK(speaks_right(&m, texts, want, all, n, true));
    }
    arena_done(&m.a);
}

// ---- the judge: every alias tried at every place of the whole text, by the rules as matcher.h and alias.h state them

static bool is_word(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

static bool glues(const struct alias *one, char c) {
    return is_word(c) || c == '_' || (one->entity == ENTITY_EMAIL && c && strchr(".%+-@", c));
}

static bool ends_alone(const struct alias *one, struct slice text, size_t to) {
    if (to == text.n)
        return true;
    char c = text.p[to], then = to + 1 < text.n ? text.p[to + 1] : 0;
    if (one->entity == ENTITY_EMAIL && strchr(".-+", c) && c)
        return !is_word(then);
    return !is_word(c) && c != '_' && !(one->entity == ENTITY_EMAIL && c == '@');
}

static bool same_letter(char a, char b) {
    return is_word(a) ? is_word(b) && (a | 32) == (b | 32) : a == b;
}

static size_t judge_separator(struct slice s) {
    static const char *const all[] = {
        " ",           "-", ".", "/", "(", ")", "\\", ":", "\xc2\xa0", "\xe2\x80\x90", "\xe2\x80\x91", "\xe2\x80\x93",
        "\xe2\x80\xaf"};
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++)
        if (slice_starts(s, all[i]))
            return strlen(all[i]);
    return 0;
}

// Bytes of text that are `one`, from its beginning; 0: it does not stand there.
static size_t judge_number(const struct alias *one, struct slice text, bool signed_) {
    size_t at = 0, k = signed_;
    for (size_t i = 0; i < one->standin.n; i++) {
        if (!is_word(one->standin.p[i]))
            continue;
        for (int gaps = 0; k > 0 && gaps < 3; gaps++)
            at += judge_separator(slice_from(text, at));
        if (at >= text.n || !same_letter(one->standin.p[i], text.p[at]))
            return 0;
        at++;
        k++;
    }
    return at;
}

static size_t judge_at(const struct alias *one, struct slice text, size_t at) {
    bool number = entity_is_number(one->entity), plus = false;
    size_t signs = 0, n = one->standin.n;
    for (; number && signs < 2 && at + signs < text.n && strchr("+(", text.p[at + signs]); signs++)
        plus |= text.p[at + signs] == '+';
    if (number) {
        n = judge_number(one, slice_from(text, at + signs), signs > 0);
    } else {
        for (size_t i = 0; i < n; i++)
            if (at + i >= text.n || !same_letter(one->standin.p[i], text.p[at + i]))
                return 0;
    }
    bool begins = signs > 0 || at == 0 || !glues(one, text.p[at - 1]);
    if (n == 0 || !begins || (plus && !slice_starts(one->standin, "+")) || !ends_alone(one, text, at + signs + n))
        return 0;
    return signs + n;
}

static void judge_restores(const struct map *m, struct slice text, struct buf *out) {
    for (size_t at = 0; at < text.n;) {
        size_t best = 0;
        uint32_t id = 0;
        bool number = false;
        for (uint32_t i = 0; i < m->aliases.n; i++) {
            size_t n = judge_at(&m->aliases.v[i], text, at);
            bool is_number = entity_is_number(m->aliases.v[i].entity);
            if (n > best || (n && n == best && number && !is_number)) {
                best = n;
                number = is_number;
                id = m->aliases.v[i].family;
            }
        }
        if (best && aliases_restore(&m->aliases, id, slice_of(text.p + at, best), false, out)) {
            at += best;
        } else {
            buf_append_char(out, text.p[at++]);
        }
    }
}

static uint32_t dice_state;
static uint32_t dice(uint32_t sides) {
    dice_state = dice_state * 1664525u + 1013904223u;
    return (dice_state >> 8) % sides;
}

// One word of a random text: a stand-in, a part of one, one in another manner, or what glues.
static struct slice random_word(struct map *m) {
    static const char *const glue[] = {" ",        " ",  "-",   ".",   "+",           "(",
                                       ")",        "x",  "1",   "@",   "_",           "\xc3\xa4",
                                       "\xc2\xa0", ", ", "'s ", "999", "example.com", "GRIDTIE_SECRET_",
                                       "/",        "%40"};
    struct slice s = m->aliases.v[dice(m->aliases.n)].standin;
    switch (dice(8)) {
    case 0:
    case 1:
        return s;
    case 2:
        return upper(m, s);
    case 3:
        return bare(m, s);
    case 4:
        return slice_first(s, dice((uint32_t)s.n + 1));
    case 5: {
        size_t cut = dice((uint32_t)s.n + 1);
        return J_OF(m, slice_first(s, cut), slice_str(glue[dice(13)]), slice_from(s, cut));
    }
    default:
        return slice_str(glue[dice(sizeof glue / sizeof glue[0])]);
    }
}

// What one block's restorer gives for the text in random pieces.
static bool said_in_pieces(struct map *m, struct slice text, struct heard *h) {
    struct arena a;
    struct event_sink sink = {hear, h};
    arena_init(&a, 1u << 20, 0);
    struct restorer *r = restorer_new(&a, &m->aliases, m->standins, &(struct restore_options){0});
    bool ok = r != NULL;
    for (size_t at = 0, n; at < text.n && ok; at += n) {
        n = 1 + dice(dice(2) ? 3 : 40);
        n = n < text.n - at ? n : text.n - at;
        ok = say(r, &sink, (struct event){.kind = EV_DELTA, .text = slice_of(text.p + at, n)});
    }
    ok = ok && say(r, &sink, (struct event){.kind = EV_BLOCK_END});
    arena_done(&a);
    return ok;
}

TEST(restore_agrees_with_a_judge_of_whole_texts) {
    unsigned changed = 0;
    for (dice_state = 1; dice_state < 3000; dice_state++) {
        uint32_t seed = dice_state;
        struct map m;
        struct heard h;
        struct buf text = BUF_INIT(1u << 16), want = BUF_INIT(1u << 16);
        CHECK(map_make(&m));
        for (uint32_t i = 0, n = 1 + dice(12); i < n; i++)
            buf_append(&text, random_word(&m));
        judge_restores(&m, buf_slice(&text), &want);
        heard_init(&h);
        bool ok = said_in_pieces(&m, buf_slice(&text), &h) && slice_eq(buf_slice(&h.text[0]), buf_slice(&want));
        if (!ok)
            FAIL("seed %u: '%.*s' became '%.*s', not '%.*s'", seed, SLICE_FMT(buf_slice(&text)),
                 SLICE_FMT(buf_slice(&h.text[0])), SLICE_FMT(buf_slice(&want)));
        changed += !slice_eq(buf_slice(&text), buf_slice(&want));
        heard_done(&h);
        buf_done(&text);
        buf_done(&want);
        arena_done(&m.a);
        dice_state = seed;
    }
    CHECK(changed > 1000);
}

// Held back is no more than a stand-in's length and what it takes to see its end.
TEST(restore_holds_back_little) {
    struct map m;
    struct heard h;
    CHECK(map_make(&m));
    struct arena a;
    struct event_sink sink = {hear, &h};
    arena_init(&a, 1u << 20, 0);
    heard_init(&h);
    struct restorer *r = restorer_new(&a, &m.aliases, m.standins, &(struct restore_options){0});
    size_t given = 0;
    CHECK(say(r, &sink, (struct event){.kind = EV_BLOCK_BEGIN, .block_kind = BLOCK_TEXT}));
    for (size_t i = 0; i < 4000; i++) {
        struct slice piece = i % 3 ? SLICE("9") : i % 7 ? SLICE(" 9 9-") : slice_first(m.email, i % m.email.n);
        given += piece.n;
        CHECK(say(r, &sink, (struct event){.kind = EV_DELTA, .text = piece}));
        CHECK(given - h.text[0].len <= matcher_reach(m.standins));
    }
    heard_done(&h);
    arena_done(&a);
    arena_done(&m.a);
}

TEST(restore_exactly_for_signed_thinking) {
    struct map m;
    struct heard h;
    CHECK(map_make(&m));
    struct arena a;
    struct event_sink sink = {hear, &h};
    arena_init(&a, 1u << 20, 0);
    heard_init(&h);
    struct restorer *r = restorer_new(&a, &m.aliases, m.standins, &(struct restore_options){.exact_thinking = true});
    struct slice text = J(m.card, SLICE(" "), bare(&m, m.card));
    CHECK(say(r, &sink, (struct event){.kind = EV_BLOCK_BEGIN, .block_kind = BLOCK_THINK}));
    CHECK(say(r, &sink, (struct event){.kind = EV_DELTA, .block_kind = BLOCK_THINK, .text = text}));
    CHECK(say(r, &sink, (struct event){.kind = EV_BLOCK_END, .block_kind = BLOCK_THINK}));
    CHECK(slice_eq(buf_slice(&h.text[0]), J(SLICE("4111 1111 1111 1111 "), bare(&m, m.card))));
    heard_done(&h);
    arena_done(&a);
    arena_done(&m.a);
}

TEST(restore_survives_each_failed_allocation) {
    struct map m;
    struct slice texts[3], want[3];
    size_t cuts[] = {5, 11, 30, 44};
    CHECK(map_make(&m));
    texts_make(&m, texts, want);
    for (unsigned long k = 1; k < 500; k++) {
        struct heard h;
        heard_init(&h);
        mem_fail_at(k);
        bool ok = speak(&m, texts, cuts, 4, true, &h);
        unsigned long used = mem_count();
        mem_fail_at(0);
        (void)ok;
        heard_done(&h);
        if (used < k)
            break;
    }
    arena_done(&m.a);
}
