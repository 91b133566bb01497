// SPDX-License-Identifier: Apache-2.0
// Phone numbers: the international form by the calling code's own lengths (phones.def), national forms by what is
// common: North America's ten digits in groups, and the rest of the world's trunk 0. A bare run of digits is a phone
// number only beside a word that says so (the table of patterns asks for it). Pure, any thread.
#include "privacy/check.h"

#define DIGITS_MOST 15 // E.164

static const struct plan {
    char code[8];
    char lengths[8];
} plans[] = {
#define PHONES(code, lengths) {code, lengths},
#include "privacy/phones.def"
#undef PHONES
};

static size_t digits_of(struct slice s, char *to) {
    size_t n = 0;
    for (size_t i = 0; i < s.n; i++) {
        if (s.p[i] < '0' || s.p[i] > '9')
            continue;
        if (n < DIGITS_MOST + 4)
            to[n] = s.p[i];
        n++;
    }
    return n;
}

static const struct plan *plan_of(const char *digits, size_t n) {
    const struct plan *best = NULL;
    size_t longest = 0;
    for (size_t i = 0; i < sizeof plans / sizeof plans[0]; i++) {
        size_t len = strlen(plans[i].code);
        if (len > longest && len < n && memcmp(digits, plans[i].code, len) == 0) {
            best = &plans[i];
            longest = len;
        }
    }
    return best;
}

static bool nanp_ok(const char d[10]) {
    bool service = d[1] == '1' && d[2] == '1';
    return d[0] >= '2' && d[3] >= '2' && !service;
}

bool check_phone_international(const struct found *f) {
    char d[DIGITS_MOST + 4], *number = d;
    size_t n = digits_of(f->span, d);
    size_t prefix = slice_starts(f->span, "011") ? 3 : slice_starts(f->span, "00") ? 2 : 0;
    if (n > DIGITS_MOST + prefix || n < 7 + prefix)
        return false;
    number += prefix;
    n -= prefix;
    const struct plan *plan = plan_of(number, n);
    if (!plan)
        return false;
    size_t code = strlen(plan->code), rest = n - code;
    // "+44 (0)20 …": the 0 in brackets is not dialled with the code.
    if (slice_search(f->span, SLICE("(0)")) != SIZE_MAX)
        rest--;
    if (rest > 15 || !strchr(plan->lengths, "0123456789ABCDEF"[rest]))
        return false;
    return plan->code[0] != '1' || nanp_ok(number + code);
}

bool check_phone_nanp(const struct found *f) {
    char d[DIGITS_MOST + 4], *number = d;
    size_t n = digits_of(f->span, d);
    if (n == 11 && d[0] == '1') {
        number++;
        n--;
    }
    return n == 10 && nanp_ok(number);
}

// "01.02.2023", "01/02/23", "2024-06-05"
static bool is_date(struct slice s) {
    size_t groups = 1, n[8] = {0};
    for (size_t i = 0; i < s.n && groups < 8; i++) {
        if (s.p[i] >= '0' && s.p[i] <= '9')
            n[groups - 1]++;
        else if (n[groups - 1])
            groups++;
    }
    if (groups != 3 || n[1] != 2)
        return false;
    return (n[0] == 2 && (n[2] == 2 || n[2] == 4)) || (n[0] == 4 && n[2] == 2);
}

static bool is_counting(const char *d, size_t n) {
    for (size_t i = 1; i < n; i++)
        if (d[i] != d[i - 1] + 1)
            return false;
    return true;
}

static bool is_one_digit(const char *d, size_t n) {
    for (size_t i = 2; i < n; i++)
        if (d[i] != d[1])
            return false;
    return true;
}

bool check_phone_trunk(const struct found *f) {
    char d[DIGITS_MOST + 4];
    size_t n = digits_of(f->span, d);
    if (n < 9 || n > 12 || is_date(f->span))
        return false;
    return !is_counting(d, n) && !is_one_digit(d, n);
}

// "86400000" is a day, and no phone.
static bool is_round(const char *d, size_t n) {
    return n >= 4 && memcmp(d + n - 4, "0000", 4) == 0;
}

bool check_phone_near(const struct found *f) {
    char d[DIGITS_MOST + 4];
    size_t n = digits_of(f->span, d);
    return n >= 7 && n <= 12 && !is_date(f->span) && !is_one_digit(d, n) && !is_round(d, n);
}
