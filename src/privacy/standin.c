// SPDX-License-Identifier: Apache-2.0
// One function a kind of value, all fed by the same stream of bytes: HMAC-SHA-256 of the scope's key over what it is,
// the normalised value and a count. A number keeps its length and its separators, so that a model sees what it expects;
// it is out of a range that nobody can own, or where an authority has set none aside, its check digit is wrong. Pure
// but for OpenSSL's hashing; any thread.
#include "privacy/standin.h"
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include "base/mem.h"
#include "privacy/check.h"
#include "privacy/fold.h"

#define STREAM_BYTES 32
#define NUMBER_MOST 40

struct stream { // of bytes that nobody can foresee without the key
    uint8_t bytes[STREAM_BYTES];
    size_t at;
};

void standin_key_of(struct slice master, struct slice scope, struct standin_key *ret) {
    unsigned n = sizeof ret->bytes;
    (void)HMAC(EVP_sha256(), master.p, (int)master.n, (const unsigned char *)(scope.n ? scope.p : ""), scope.n,
               ret->bytes, &n);
}

static struct stream stream_of(const struct standin_key *key, enum entity e, struct slice normal, unsigned again) {
    struct stream s = {{0}, 0};
    unsigned n = STREAM_BYTES;
    struct buf text = BUF_INIT(normal.n + 64);
    buf_printf(&text, "%s %u ", entity_name(e), again);
    buf_append(&text, normal);
    // Without memory the bytes stay 0; the buf that the caller writes to has none either, and says so.
    if (!text.failed)
        (void)HMAC(EVP_sha256(), key->bytes, sizeof key->bytes, (const unsigned char *)text.p, text.len, s.bytes, &n);
    buf_done(&text);
    return s;
}

static unsigned take(struct stream *s, unsigned below) {
    size_t i = s->at % (STREAM_BYTES - 1);
    s->at += 2;
    return (s->bytes[i] | (unsigned)s->bytes[i + 1] << 8) % below;
}

static void take_digits(struct stream *s, char *to, size_t n) {
    for (size_t i = 0; i < n; i++)
        to[i] = (char)('0' + take(s, 10));
}

// ---- what matters of a value

bool entity_is_number(enum entity e) {
    switch (e) {
    case ENTITY_SECRET:
    case ENTITY_CREDENTIAL:
    case ENTITY_EMAIL:
    case ENTITY_IP:
    case ENTITY_WORD:
    case ENTITY_COUNT:
        return false;
    case ENTITY_PHONE:
    case ENTITY_CARD:
    case ENTITY_IBAN:
    case ENTITY_US_SSN:
    case ENTITY_UK_NINO:
    case ENTITY_UK_NHS:
    case ENTITY_DE_TAX:
    case ENTITY_DE_SOCIAL:
    case ENTITY_FR_NIR:
    case ENTITY_FR_TAX:
    case ENTITY_ES_ID:
    case ENTITY_IT_FISCAL:
    case ENTITY_IT_VAT:
    case ENTITY_NL_BSN:
    case ENTITY_PL_PESEL:
    case ENTITY_PL_NIP:
    case ENTITY_MAC:
        return true;
    }
    return false;
}

static void append_lower(struct buf *out, struct slice s) {
    for (size_t i = 0; i < s.n; i++)
        buf_append_char(out, s.p[i] >= 'A' && s.p[i] <= 'Z' ? (char)(s.p[i] | 32) : s.p[i]);
}

bool standin_normalise(enum entity e, struct slice value, struct buf *out) {
    struct folded f;
    char number[NUMBER_MOST];
    if (entity_is_secret(e)) {
        buf_append(out, value);
        return !out->failed;
    }
    bool ok = fold(value, &f) == ERR_OK;
    size_t n = ok && entity_is_number(e) ? check_significant(f.text, number, sizeof number) : 0;
    if (ok && n > 0 && n <= sizeof number)
        buf_append_mem(out, number, n);
    else if (ok)
        append_lower(out, f.text);
    fold_done(&f);
    return ok && !out->failed;
}

// ---- numbers: `to` has as many characters as `from`

static void card_digits(struct stream *s, const char *from, size_t n, char *to) {
    // Of the test numbers that the networks and their acquirers publish.
    const char *head = "400000";
    if (from[0] == '5' || from[0] == '2')
        head = "555555";
    else if (from[0] == '3' && n == 15)
        head = "378282";
    else if (from[0] == '3')
        head = n == 14 ? "305693" : "356600";
    else if (from[0] == '6')
        head = "601111";
    take_digits(s, to, n);
    memcpy(to, head, 6);
    for (int digit = 0; digit < 10; digit++) {
        to[n - 1] = (char)('0' + digit);
        if (luhn_ok(to, n))
            return;
    }
}

static void iban_letters(struct stream *s, const char *from, size_t n, char *to) {
    for (size_t i = 4; i < n; i++) {
        bool digit = from[i] >= '0' && from[i] <= '9';
        to[i] = (char)(digit ? '0' + take(s, 10) : 'A' + take(s, 26));
        if (i < 8)
            to[i] = digit ? '0' : 'X';
    }
    memcpy(to, from, 2);
    to[2] = to[3] = '0';
    unsigned check = 98 - iban_mod97(to, n);
    to[2] = (char)('0' + check / 10);
    to[3] = (char)('0' + check % 10);
}

static void nhs_digits(struct stream *s, char *to) {
    unsigned check = 10;
    for (int tries = 0; check == 10 && tries < STREAM_BYTES; tries++) { // one that would need a 10 is not given out
        unsigned sum = 0;
        memcpy(to, "999", 3);
        take_digits(s, to + 3, 6);
        for (size_t i = 0; i < 9; i++)
            sum += (unsigned)(to[i] - '0') * (unsigned)(10 - i);
        check = (11 - sum % 11) % 11;
    }
    to[9] = (char)('0' + check % 10);
}

// A 0 in front stays one and no other becomes one: a number of JSON may not begin with it.
static void phone_digits(struct stream *s, const char *from, size_t n, bool plus, char *to) {
    take_digits(s, to, n);
    if (!plus && n > 5 && from[0] == '0' && from[1] == '0') {
        memcpy(to, "00999", 5); // a code that the ITU keeps for no country
    } else if (!plus && n > 4 && from[0] == '0') {
        memcpy(to, "0999", 4);
    } else if (!plus && (n == 10 || (n == 11 && from[0] == '1'))) {
        char *area = to + (n - 10); // an area code N9X is kept for a longer numbering plan
        to[0] = '1';
        area[0] = (char)('2' + take(s, 8));
        area[1] = '9';
        memcpy(area + 3, "555", 3);
    } else if (n > 3) {
        memcpy(to, "999", 3);
    }
}

static bool check_of(enum entity e, struct slice s) {
    const struct found f = {s, s};
    for (size_t i = 0; i < n_patterns; i++)
        if (patterns[i].entity == e && patterns[i].check && patterns[i].check(&f))
            return true;
    return false;
}

// Of the same kinds of characters, and nobody's: the check at its end does not hold.
static void broken_number(struct stream *s, enum entity e, const char *from, size_t n, char *to) {
    if (n == 0)
        return;
    for (size_t i = 0; i < n; i++)
        to[i] = (char)(from[i] <= '9' ? '0' + take(s, 10) : 'A' + take(s, 26));
    if (to[0] == '0' && from[0] != '0')
        to[0] = (char)('1' + take(s, 9));
    while (check_of(e, slice_of(to, n)))
        to[n - 1] = to[n - 1] == '9' ? '0' : to[n - 1] == 'Z' ? 'A' : (char)(to[n - 1] + 1);
}

static void mac_digits(struct stream *s, char *to) {
    memcpy(to, "02005E", 6); // locally administered: no maker's
    for (size_t i = 6; i < 12; i++)
        to[i] = "0123456789ABCDEF"[take(s, 16)];
}

// The length that the kind's own writer counts on; what has another is written like any number.
static bool has_its_length(enum entity e, size_t n) {
    switch ((int)e) {
    case ENTITY_CARD:
    case ENTITY_IBAN:
        return n >= 12;
    case ENTITY_US_SSN:
    case ENTITY_UK_NINO:
        return n == 9;
    case ENTITY_UK_NHS:
        return n == 10;
    case ENTITY_MAC:
        return n == 12;
    default:
        return true;
    }
}

static void number_write(struct stream *s, enum entity e, struct slice from, bool plus, char *to) {
    switch (has_its_length(e, from.n) ? (int)e : ENTITY_COUNT) {
    case ENTITY_CARD:
        card_digits(s, from.p, from.n, to);
        return;
    case ENTITY_IBAN:
        iban_letters(s, from.p, from.n, to);
        return;
    case ENTITY_PHONE:
        phone_digits(s, from.p, from.n, plus, to);
        return;
    case ENTITY_US_SSN:
        take_digits(s, to, 9);
        to[0] = '9';
        if (to[3] >= '5') // a group of 50 and above would be an ITIN
            to[3] = (char)(to[3] - 5);
        return;
    case ENTITY_UK_NINO:
        take_digits(s, to, from.n);
        memcpy(to, "QQ", 2);
        to[8] = (char)('A' + take(s, 4));
        return;
    case ENTITY_UK_NHS:
        nhs_digits(s, to);
        return;
    case ENTITY_MAC:
        mac_digits(s, to);
        return;
    default:
        broken_number(s, e, from.p, from.n, to);
    }
}

// The number with the separators of the spelling, letters in its case.
static void number_spell(struct slice number, struct slice spelling, struct buf *out) {
    size_t k = 0;
    for (size_t i = 0; i < spelling.n; i++) {
        char c = spelling.p[i];
        bool lower = c >= 'a' && c <= 'z';
        if (!lower && !(c >= 'A' && c <= 'Z') && !(c >= '0' && c <= '9')) {
            bool escapes = (unsigned char)c <= ' ' || (unsigned char)c >= 0x7f || c == '"' || c == '\\';
            buf_append_char(out, escapes ? ' ' : c);
            continue;
        }
        char to = k < number.n ? number.p[k] : '0';
        k++;
        buf_append_char(out, lower && to >= 'A' && to <= 'Z' ? (char)(to | 32) : to);
    }
}

// ---- the others

static void syllables(struct stream *s, size_t n, struct buf *out) {
    for (size_t i = 0; i < n; i++) {
        buf_append_char(out, "bdfgklmnprstvwzh"[take(s, 16)]);
        buf_append_char(out, "aeiou"[take(s, 5)]);
    }
}

// Letter by letter in the case of the spelling's letters, over and over: another spelling is another text.
static void case_take(struct buf *out, size_t from, struct slice spelling) {
    size_t k = 0;
    bool any = false;
    for (size_t i = 0; i < spelling.n; i++)
        any |= spelling.p[i] >= 'A' && spelling.p[i] <= 'Z';
    for (size_t i = from; any && i < out->len; i++) {
        char c = out->p[i];
        if (c < 'a' || c > 'z')
            continue;
        for (size_t guard = 0; guard < spelling.n; guard++, k++) {
            char like = spelling.p[k % spelling.n];
            if ((like >= 'a' && like <= 'z') || (like >= 'A' && like <= 'Z')) {
                out->p[i] = like < 'a' ? (char)(c - 32) : c;
                k++;
                break;
            }
        }
    }
}

static void email_write(struct stream *s, struct slice spelling, struct buf *out) {
    size_t from = out->len;
    syllables(s, 4, out);
    buf_append_char(out, '.');
    syllables(s, 4, out);
    buf_append_str(out, "@example.com");
    if (!out->failed)
        case_take(out, from, spelling);
}

static void word_write(struct stream *s, struct slice spelling, struct buf *out) {
    size_t from = out->len;
    syllables(s, 5, out);
    if (out->failed)
        return;
    bool upper = spelling.p[0] >= 'A' && spelling.p[0] <= 'Z';
    bool all = upper;
    for (size_t i = 0; i < spelling.n; i++)
        all &= !(spelling.p[i] >= 'a' && spelling.p[i] <= 'z');
    for (size_t i = from; i < out->len; i++)
        if (all || (upper && i == from))
            out->p[i] = (char)(out->p[i] - 32);
}

static void ip_write(struct stream *s, struct slice normal, unsigned again, struct buf *out) {
    static const char *const nets[] = {"192.0.2.", "198.51.100.", "203.0.113."};
    if (slice_find(normal, ':') != SIZE_MAX) {
        buf_printf(out, "2001:db8:%x:%x::%x", take(s, 65535) + 1, take(s, 65535) + 1, take(s, 65535) + 1);
    } else if (again < 4) {
        buf_append_str(out, nets[take(s, 3)]);
        buf_append_u64(out, 1 + take(s, 254));
    } else if (again < 8) {
        buf_printf(out, "198.%u.%u.%u", 18 + take(s, 2), take(s, 256), 1 + take(s, 254));
    } else {
        buf_printf(out, "%u.%u.%u.%u", 240 + take(s, 14), take(s, 256), take(s, 256), 1 + take(s, 254));
    }
}

static void secret_write(struct stream *s, struct buf *out) {
    buf_append_str(out, STANDIN_SECRET_MARK);
    for (size_t i = 0; i < 16; i++)
        buf_append_char(out, "abcdefghijkmnpqrstuvwxyz23456789"[s->bytes[i] % 32]);
}

void standin_write(const struct standin_key *key, enum entity e, struct slice normal, struct slice spelling,
                   unsigned again, struct buf *out) {
    struct stream s = stream_of(key, e, normal, again);
    char number[NUMBER_MOST];
    struct folded f;
    if (entity_is_secret(e)) {
        secret_write(&s, out);
        return;
    }
    if (fold(spelling, &f)) {
        out->failed = true;
    } else if (entity_is_number(e) && normal.n <= sizeof number) {
        number_write(&s, e, normal, slice_starts(f.text, "+"), number);
        number_spell(slice_of(number, normal.n), f.text, out);
    } else if (e == ENTITY_EMAIL) {
        email_write(&s, f.text, out);
    } else if (e == ENTITY_IP) {
        ip_write(&s, normal, again, out);
    } else {
        word_write(&s, f.text, out);
    }
    fold_done(&f);
}
