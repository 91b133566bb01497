// SPDX-License-Identifier: Apache-2.0
#ifndef PRIVACY_SAMPLES_IDS_H
#define PRIVACY_SAMPLES_IDS_H
// For tests: numbers of persons, made by each authority's rule, written here a second time so that a mistake in check.c
// shows. Seeded; the same on every machine.
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

static uint64_t sample_state = 88172645463325252ull;

static inline unsigned sample_below(unsigned n) {
    sample_state ^= sample_state << 13;
    sample_state ^= sample_state >> 7;
    sample_state ^= sample_state << 17;
    return (unsigned)(sample_state >> 33) % n;
}

static inline void sample_digits(char *to, int n) {
    for (int i = 0; i < n; i++)
        to[i] = (char)('0' + sample_below(10));
    to[n] = 0;
}

static inline void sample_end(char *to, int digit) {
    to[0] = (char)('0' + digit);
    to[1] = 0;
}

static inline int sample_weighted(const char *s, const char *weights) {
    int sum = 0;
    for (int i = 0; weights[i]; i++)
        sum += (s[i] - '0') * (weights[i] == 'A' ? 10 : weights[i] - '0');
    return sum;
}

static inline void sample_us_ssn(char *to) {
    unsigned area;
    do
        area = 1 + sample_below(899);
    while (area == 666);
    (void)snprintf(to, 32, "%03u-%02u-%04u", area, 1 + sample_below(99), 1 + sample_below(9999));
}

static inline void sample_us_ssn_broken(char *to) {
    unsigned form = sample_below(5), a = 10 + sample_below(90), b = 1000 + sample_below(9000);
    if (form == 0)
        (void)snprintf(to, 32, "000-%02u-%04u", a, b);
    else if (form == 1)
        (void)snprintf(to, 32, "666-%02u-%04u", a, b);
    else if (form == 2)
        (void)snprintf(to, 32, "9%02u-31-%04u", a, b);
    else if (form == 3)
        (void)snprintf(to, 32, "321-00-%04u", b);
    else
        (void)snprintf(to, 32, "321-%02u-0000", a);
}

static inline void sample_uk_nino(char *to) {
    static const char first[] = "ABCEGHJKLMNOPRSTWXYZ", second[] = "ABCEGHJKLMNPRSTWXYZ";
    static const char never[] = "BG GB NK KN TN NT ZZ";
    char pair[3] = "";
    do {
        pair[0] = first[sample_below(20)];
        pair[1] = second[sample_below(19)];
    } while (strstr(never, pair));
    (void)snprintf(to, 32, "%s%06u%c", pair, sample_below(1000000), "ABCD"[sample_below(4)]);
}

static inline void sample_uk_nino_broken(char *to) {
    static const char *const pairs[] = {"BG", "GB", "NK", "KN", "TN", "NT", "ZZ", "DA", "AF", "QA", "AO", "IV"};
    bool pair = sample_below(2);
    (void)snprintf(to, 32, "%s%06u%c", pair ? pairs[sample_below(12)] : "AB", sample_below(1000000),
                   pair ? 'A' : "EFGHXYZ"[sample_below(7)]);
}

static inline void sample_uk_nhs(char *to) {
    int check;
    do {
        sample_digits(to, 9);
        to[0] = "46"[sample_below(2)];
        check = 11 - sample_weighted(to, "A98765432") % 11;
    } while (check == 10);
    sample_end(to + 9, check == 11 ? 0 : check);
}

static inline void sample_de_tax(char *to) {
    char digits[] = "0123456789";
    int product = 10;
    do {
        for (int i = 9; i > 0; i--) {
            int j = (int)sample_below((unsigned)i + 1);
            char c = digits[i];
            digits[i] = digits[j];
            digits[j] = c;
        }
        memcpy(to, digits, 9);
        to[9] = digits[sample_below(9)];
    } while (to[0] == '0');
    for (int i = 0; i < 10; i++) {
        int sum = (to[i] - '0' + product) % 10;
        product = 2 * (sum == 0 ? 10 : sum) % 11;
    }
    sample_end(to + 10, product == 1 ? 0 : 11 - product);
}

static inline void sample_de_social(char *to) {
    char flat[16];
    int sum = 0;
    unsigned letter = sample_below(26);
    (void)snprintf(to, 32, "%02u%02u%02u%02u%c%02u", 2 + sample_below(88), 1 + sample_below(28), 1 + sample_below(12),
                   sample_below(100), 'A' + letter, sample_below(100));
    (void)snprintf(flat, sizeof flat, "%.8s%02u%s", to, letter + 1, to + 9);
    for (int i = 0; i < 12; i++) {
        int p = (flat[i] - '0') * ("212571212121"[i] - '0');
        sum += p / 10 + p % 10;
    }
    sample_end(to + 11, sum % 10);
}

static inline void sample_fr_nir(char *to) {
    char rest[8];
    unsigned place = sample_below(97), sex = 1 + sample_below(2), year = sample_below(100),
             month = 1 + sample_below(12);
    sample_digits(rest, 6);
    uint64_t n = sex * 100 + year;
    bool corsica = place == 96;
    n = ((n * 100 + month) * 100 + (corsica ? 19 : place)) * 1000000;
    for (int i = 0; i < 6; i++)
        n += (uint64_t)(rest[i] - '0') * (uint64_t[]){100000, 10000, 1000, 100, 10, 1}[i];
    if (corsica)
        (void)snprintf(to, 32, "%u%02u%02u2A%s%02u", sex, year, month, rest, (unsigned)(97 - n % 97));
    else
        (void)snprintf(to, 32, "%u%02u%02u%02u%s%02u", sex, year, month, place, rest, (unsigned)(97 - n % 97));
}

static inline void sample_fr_tax(char *to) {
    uint64_t n = 1 + sample_below(400) * 10000000ull + sample_below(10000000);
    (void)snprintf(to, 32, "%010llu%03u", (unsigned long long)n, (unsigned)(n % 511));
}

static inline void sample_es_id(char *to) {
    unsigned lead = sample_below(4), n = sample_below(lead < 3 ? 10000000 : 100000000);
    unsigned value = lead < 3 ? lead * 10000000 + n : n;
    char letter = "TRWAGMYFPDXBNJZSQVHLCKE"[value % 23];
    if (lead < 3)
        (void)snprintf(to, 32, "%c%07u%c", "XYZ"[lead], n, letter);
    else
        (void)snprintf(to, 32, "%08u%c", n, letter);
}

static inline void sample_it_fiscal(char *to) {
    static const char odd_order[] = "BAKPLCQDREVOSFTGUHMINJWZYX"; // the letter whose value in an odd place is 0, 1, 2 …
    int sum = 0;
    for (int i = 0; i < 6; i++)
        to[i] = "BCDFGLMNPRSTVZ"[sample_below(14)];
    (void)snprintf(to + 6, 26, "%02u%c%02u%c%03u", sample_below(100), "ABCDEHLMPRST"[sample_below(12)],
                   1 + sample_below(28) + 40 * sample_below(2), "ABCDEFGHIL"[sample_below(10)], sample_below(1000));
    for (int i = 0; i < 15; i++) {
        char letter = to[i] <= '9' ? (char)('A' + to[i] - '0') : to[i];
        sum += i % 2 ? letter - 'A' : (int)(strchr(odd_order, letter) - odd_order);
    }
    to[15] = (char)('A' + sum % 26);
    to[16] = 0;
}

static inline void sample_nl_bsn(char *to) {
    int check;
    do {
        sample_digits(to, 8);
        to[0] = (char)('1' + sample_below(9));
        check = sample_weighted(to, "98765432") % 11;
    } while (check == 10);
    sample_end(to + 8, check);
}

static inline void sample_pl_pesel(char *to) {
    (void)snprintf(to, 32, "%02u%02u%02u%04u", sample_below(100), 1 + sample_below(12) + 20 * sample_below(2),
                   1 + sample_below(28), sample_below(10000));
    sample_end(to + 10, (10 - sample_weighted(to, "1379137913") % 10) % 10);
}

static inline void sample_pl_nip(char *to) {
    int check;
    do {
        sample_digits(to, 9);
        to[0] = (char)('1' + sample_below(9));
        check = sample_weighted(to, "657234567") % 11;
    } while (check == 10);
    sample_end(to + 9, check);
}

// The Luhn check digit behind n digits.
static inline void sample_luhn(char *to, int n) {
    int sum = 0;
    for (int i = 0; i < n; i++) {
        int d = to[n - 1 - i] - '0', twice = i % 2 == 0 ? 2 * d : d;
        sum += twice > 9 ? twice - 9 : twice;
    }
    sample_end(to + n, (10 - sum % 10) % 10);
}

static inline void sample_card(char *to) {
    sample_digits(to, 15);
    to[0] = sample_below(2) ? '4' : '5';
    to[1] = (char)('1' + sample_below(5));
    sample_luhn(to, 15);
}

static inline void sample_it_vat(char *to) {
    sample_digits(to, 7);
    (void)snprintf(to + 7, 16, "%03u", 1 + sample_below(100));
    sample_luhn(to, 10);
}

static inline void sample_iban(char *to) {
    bool german = sample_below(2);
    unsigned rest = 0;
    (void)snprintf(to, 32, "%s", german ? "DE00" : "GB00WXYZ");
    if (!german)
        for (int i = 4; i < 8; i++)
            to[i] = (char)('A' + sample_below(26));
    sample_digits(to + strlen(to), german ? 18 : 14);
    for (size_t i = 0, n = strlen(to); i < n; i++) {
        char c = to[(i + 4) % n];
        unsigned v = c <= '9' ? (unsigned)(c - '0') : (unsigned)(c - 'A') + 10;
        rest = (rest * (v > 9 ? 100 : 10) + v) % 97;
    }
    to[2] = (char)('0' + (98 - rest) / 10);
    to[3] = (char)('0' + (98 - rest) % 10);
}

// One character, the last, is another of its kind.
static inline void sample_break(char *s) {
    char *c = s + strlen(s) - 1, was = *c;
    do
        *c = was <= '9' ? (char)('0' + sample_below(10)) : (char)('A' + sample_below(26));
    while (*c == was);
}

#endif
