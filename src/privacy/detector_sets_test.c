// SPDX-License-Identifier: Apache-2.0
// Detection in numbers: generated sets, half of each with a broken check digit or shape, and the sets of real shapes that lie
// outside the tree (skipped without them). F1 of the exact span must be .99 or more.
#include <stdlib.h>
#include "base/json.h"
#include "privacy/samples.h"
#include "unit.h"
#include "privacy/samples_ids.h"

struct score {
    unsigned right, wrong, missed;
};

static void judge(struct score *s, struct slice text, struct slice value, enum entity what, bool valid) {
    struct spans found = {0};
    bool hit = false, any = false;
    if (detector_scan(detector_of_tests(), text, &found))
        s->missed++;
    for (size_t i = 0; i < found.n; i++) {
        bool same = span_entity(&found.v[i]) == what;
        any |= same;
        hit |= same && slice_eq(slice_of(text.p + found.v[i].at, found.v[i].n), value);
    }
    spans_done(&found);
    s->right += valid && hit;
    s->missed += valid && !hit;
    s->wrong += !valid && any;
}

static double f1(const struct score *s) {
    return s->right ? 2.0 * s->right / (2.0 * s->right + s->wrong + s->missed) : 0;
}

// Groups of a number, "3,3,4" with a separator.
static void grouped(const char *value, const char *groups, char separator, char *to) {
    for (const char *g = groups; *g && *value; g++) {
        for (int i = 0; i < *g - '0' && *value; i++)
            *to++ = *value++;
        if (g[1] && *value)
            *to++ = separator;
    }
    *to = 0;
}

static const struct set {
    enum entity what;
    void (*make)(char *to);
    void (*make_broken)(char *to); // NULL: the last character is changed
    const char *groups;            // NULL: in one
    char separator;
    const char *called;
} sets[] = {
    {ENTITY_US_SSN, sample_us_ssn, sample_us_ssn_broken, NULL, 0, "SSN"},
    {ENTITY_UK_NINO, sample_uk_nino, sample_uk_nino_broken, "22221", ' ', "NI number"},
    {ENTITY_UK_NHS, sample_uk_nhs, NULL, "334", ' ', "NHS number"},
    {ENTITY_DE_TAX, sample_de_tax, NULL, "2333", ' ', "Steuer-ID"},
    {ENTITY_DE_SOCIAL, sample_de_social, NULL, "2613", ' ', "Rentenversicherungsnummer"},
    {ENTITY_FR_NIR, sample_fr_nir, NULL, "1222332", ' ',
     "num\xc3\xa9ro de s\xc3\xa9"
     "curit\xc3\xa9 sociale"},
    {ENTITY_FR_TAX, sample_fr_tax, NULL, "22333", ' ', "num\xc3\xa9ro fiscal"},
    {ENTITY_ES_ID, sample_es_id, NULL, "81", '-', "DNI"},
    {ENTITY_IT_FISCAL, sample_it_fiscal, NULL, "3355", ' ', "codice fiscale"},
    {ENTITY_NL_BSN, sample_nl_bsn, NULL, "423", '.', "BSN"},
    {ENTITY_PL_PESEL, sample_pl_pesel, NULL, NULL, 0, "PESEL"},
    {ENTITY_PL_NIP, sample_pl_nip, NULL, "3322", '-', "NIP"},
    {ENTITY_IT_VAT, sample_it_vat, NULL, NULL, 0, "partita IVA"},
    {ENTITY_CARD, sample_card, NULL, "4444", ' ', "card"},
    {ENTITY_IBAN, sample_iban, NULL, "444444", ' ', "account"},
};

TEST(detector_scores_on_generated_numbers) {
    static const char *const before[] = {"My ", "", "{\"", "("}, *const between[] = {" is ", ": ", "\":\"", " "},
                             *const after[] = {".", "\nThank you", "\"}", ")"};
    for (size_t k = 0; k < sizeof sets / sizeof sets[0]; k++) {
        const struct set *set = &sets[k];
        struct score s = {0};
        for (unsigned i = 0; i < 1000; i++) {
            char plain[32], value[48], text[128];
            bool valid = i % 2 == 0;
            if (!valid && set->make_broken)
                set->make_broken(plain);
            else
                set->make(plain);
            if (!valid && !set->make_broken)
                sample_break(plain);
            if (i % 3 == 0 && set->groups)
                grouped(plain, set->groups, set->separator, value);
            else
                memcpy(value, plain, sizeof plain);
            (void)snprintf(text, sizeof text, "%s%s%s%s%s", before[i % 4], set->called, between[i % 4], value,
                           after[i % 4]);
            judge(&s, slice_str(text), slice_str(value), set->what, valid);
        }
        if (f1(&s) < 0.99)
            FAIL("%s: F1 %.4f (%u right, %u wrong, %u missed)", entity_name(set->what), f1(&s), s.right, s.wrong,
                 s.missed);
    }
}

// ---- addresses

static const char *pick_of(const char *const *list) {
    unsigned n = 0;
    while (list[n])
        n++;
    return list[sample_below(n)];
}

static void word(char *to, int n) {
    for (int i = 0; i < n; i++)
        to[i] = (char)('a' + sample_below(26));
    to[n] = 0;
}

// Each writes a value, or with `broken` what is none: in a shape that nobody has, or that has another meaning.
static void email_make(char *to, size_t room, bool broken) {
    static const char *const between[] = {".", "_", "+", "-", "", NULL}, *const tops[] = {"com", "de",     "co.uk",
                                                                                          "io",  "museum", NULL};
    static const char *const files[] = {"png", "js", "svg", NULL};
    char a[16], b[16], c[16];
    word(a, 2 + (int)sample_below(8));
    word(b, 2 + (int)sample_below(8));
    word(c, 3 + (int)sample_below(8));
    if (!broken)
        (void)snprintf(to, room, "%s%s%s%s@%s.%s", a, pick_of(between), b, sample_below(3) ? "" : "7", c,
                       pick_of(tops));
    else if (sample_below(2))
        (void)snprintf(to, room, "%s@%s", a, c); // no domain that the world knows
    else
        (void)snprintf(to, room, "%s@%u%s.%s", a, 1 + sample_below(3), "x", pick_of(files));
}

static void ip_make(char *to, size_t room, bool broken) {
    unsigned a = 1 + sample_below(222), b = sample_below(256), c = sample_below(256), d = sample_below(256);
    a += a == 127;
    if (broken && sample_below(2))
        (void)snprintf(to, room, "%u.%u.%u.%u", a, b, 256 + c, d);
    else if (broken)
        (void)snprintf(to, room, "%u.%u.%u.%u.%u", a, b, c, d, sample_below(99));
    else if (sample_below(2))
        (void)snprintf(to, room, "%u.%u.%u.%u", a, b, c, d);
    else
        (void)snprintf(to, room, "2001:db8:%x:%x::%x", b + 1, 4096 + c, 256 + d);
}

static void mac_make(char *to, size_t room, bool broken) {
    char s = sample_below(2) ? ':' : '-', other = s == ':' ? '-' : ':', last = broken && sample_below(2) ? 'g' : '7';
    unsigned v[5];
    for (size_t i = 0; i < 5; i++)
        v[i] = sample_below(256);
    int n = snprintf(to, room, "%02x%c%02x%c%02x%c%02x%c%02x%c3%c", v[0], s, v[1], s, v[2], s, v[3], s, v[4],
                     broken && last != 'g' ? other : s, last);
    if (sample_below(2))
        for (int i = 0; i < n; i++)
            to[i] = (char)(to[i] >= 'a' && to[i] <= 'f' ? to[i] - 32 : to[i]);
}

static void credential_make(char *to, size_t room, bool broken) {
    static const char *const nothing[] = {"", "$PASSWORD", "{{secret}}", "<password>", NULL};
    char user[16], secret[16];
    word(user, 3 + (int)sample_below(6));
    word(secret, 6 + (int)sample_below(6));
    (void)snprintf(to, room, "%s:%s", user, broken ? pick_of(nothing) : secret);
}

static const struct address_set {
    enum entity what;
    void (*make)(char *to, size_t room, bool broken);
    const char *before, *after;
} address_sets[] = {
    {ENTITY_EMAIL, email_make, "Write to ", " soon"},
    {ENTITY_EMAIL, email_make, "{\"to\":\"", "\"}"},
    {ENTITY_IP, ip_make, "host ", " is down"},
    {ENTITY_IP, ip_make, "[", "]"},
    {ENTITY_MAC, mac_make, "ether ", " txqueuelen"},
    {ENTITY_CREDENTIAL, credential_make, "postgres://", "@db.corp.example:5432/main"},
    {ENTITY_CREDENTIAL, credential_make, "git clone https://", "@git.corp.example/a.git"},
};

TEST(detector_scores_on_generated_addresses) {
    for (size_t k = 0; k < sizeof address_sets / sizeof address_sets[0]; k++) {
        const struct address_set *set = &address_sets[k];
        struct score s = {0};
        for (unsigned i = 0; i < 1000; i++) {
            char value[96], text[256];
            bool valid = i % 2 == 0;
            set->make(value, sizeof value, !valid);
            (void)snprintf(text, sizeof text, "%s%s%s", set->before, value, set->after);
            judge(&s, slice_str(text), slice_str(value), set->what, valid);
        }
        if (f1(&s) < 0.99)
            FAIL("%s: F1 %.4f (%u right, %u wrong, %u missed)", entity_name(set->what), f1(&s), s.right, s.wrong,
                 s.missed);
    }
}

// ---- the sets outside the tree

static struct arena arena;

static struct slice shared_file(const char *name) {
    const char *shared = getenv("GRIDTIE_SHARED");
    char path[1024];
    struct buf b = BUF_INIT(4u << 20);
    (void)snprintf(path, sizeof path, "%s/data/%s", shared ? shared : "../shared", name);
    struct slice s = fs_read_file(path, 4u << 20, &b) ? SLICE_NONE : arena_copy(&arena, buf_slice(&b));
    buf_done(&b);
    return s;
}

static yyjson_val *row_of(struct slice line) {
    struct json_doc doc;
    struct json_error why;
    return json_read(&arena, line, &doc, &why) ? NULL : yyjson_doc_get_root(doc.doc);
}

TEST(detector_scores_on_ibans_and_cards) {
    arena_init(&arena, 64u << 20, 0);
    struct slice rest = shared_file("ids/iban_cards.jsonl");
    struct score iban = {0}, card = {0};
    if (!rest.p)
        SKIP("the sets of identifiers are not there");
    while (rest.n) {
        yyjson_val *row = row_of(slice_split(&rest, '\n'));
        struct slice text = json_get_str(row, "text");
        bool valid = yyjson_is_true(yyjson_obj_get(row, "valid")),
             is_card = slice_is(json_get_str(row, "kind"), "card");
        if (row)
            judge(is_card ? &card : &iban, text, text, is_card ? ENTITY_CARD : ENTITY_IBAN, valid);
    }
    arena_done(&arena);
    CHECK(iban.right > 300 && card.right > 150);
    CHECK(f1(&iban) >= 0.99);
    CHECK(f1(&card) >= 0.99);
}

TEST(detector_scores_on_international_phones) {
    static const char *const forms[] = {"e164", "intl", "rfc3966"};
    arena_init(&arena, 64u << 20, 0);
    struct slice all = shared_file("ids/phones.jsonl");
    if (!all.p)
        SKIP("the sets of identifiers are not there");
    for (size_t i = 0; i < 3; i++) {
        struct slice rest = all;
        struct score s = {0};
        while (rest.n) {
            yyjson_val *row = row_of(slice_split(&rest, '\n'));
            struct slice text = json_get_str(row, forms[i]);
            struct slice value = slice_starts(text, "tel:") ? slice_from(text, 4) : text;
            if (row)
                judge(&s, text, value, ENTITY_PHONE, yyjson_is_true(yyjson_obj_get(row, "valid")));
        }
        CHECK(s.right > 300);
        if (f1(&s) < 0.99)
            FAIL("%s: F1 %.4f (%u right, %u wrong, %u missed)", forms[i], f1(&s), s.right, s.wrong, s.missed);
    }
    arena_done(&arena);
}
