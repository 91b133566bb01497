// SPDX-License-Identifier: Apache-2.0
// Checksums of payment and of persons' numbers. Each function takes one candidate that has the right shape and says
// whether it can be one. Rules are those that the standard or the authority publishes; a number that fails its own
// check is no one's, and is left alone. Pure functions over a handful of bytes: no memory, no locale, any thread.
#include "privacy/check.h"

#define NUMBER_ROOM 40

struct number {
    char s[NUMBER_ROOM];
    size_t n;
};

static bool is_digit(char c) {
    return c >= '0' && c <= '9';
}

static bool is_letter(char c) {
    return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');
}

static char upper(char c) {
    return c >= 'a' && c <= 'z' ? (char)(c - 'a' + 'A') : c;
}

size_t check_significant(struct slice s, char *to, size_t room) {
    size_t n = 0;
    for (size_t i = 0; i < s.n; i++) {
        if (!is_digit(s.p[i]) && !is_letter(s.p[i]))
            continue;
        if (n < room)
            to[n] = upper(s.p[i]);
        n++;
    }
    return n;
}

static struct number number_of(const struct found *f) {
    struct number v;
    v.n = check_significant(f->span, v.s, sizeof v.s);
    if (v.n > sizeof v.s)
        v.n = 0;
    return v;
}

static unsigned digit(const struct number *v, size_t i) {
    return (unsigned)(v->s[i] - '0');
}

static bool all_digits(const struct number *v) {
    for (size_t i = 0; i < v->n; i++)
        if (!is_digit(v->s[i]))
            return false;
    return v->n > 0;
}

static bool all_same(const struct number *v) {
    for (size_t i = 1; i < v->n; i++)
        if (v->s[i] != v->s[0])
            return false;
    return true;
}

static bool is_bare(const struct found *f, const struct number *v) {
    return f->span.n == v->n;
}

// ---- what stands before

bool near_begins(struct slice text, const char *near) {
    for (struct slice words = slice_str(near[0] == '-' ? near + 2 : near); words.n;) {
        struct slice word = slice_split(&words, ',');
        bool same = text.n >= word.n && upper(text.p[0]) == upper(word.p[0]);
        if (same && slice_eq_nocase(slice_first(text, word.n), word))
            return true;
    }
    return false;
}

bool near_has(struct slice window, const char *near) {
    for (size_t at = 0; at < window.n; at++)
        if (near_begins(slice_from(window, at), near))
            return true;
    return false;
}

bool check_near(const struct found *f, const char *near) {
    size_t at = (size_t)(f->span.p - f->text.p), from = at > NEAR_BYTES ? at - NEAR_BYTES : 0;
    bool alone = near[0] != '-' && slice_trim(f->text).n == f->span.n;
    return alone || near_has(slice_of(f->text.p + from, at - from), near);
}

// The last group of a UUID is twelve digits once in 300 times.
static bool in_uuid(const struct found *f) {
    size_t at = (size_t)(f->span.p - f->text.p);
    for (size_t i = 1; i <= 24; i++) { // 8-4-4-4-
        char c = at < i ? 0 : f->text.p[at - i];
        bool dash = i == 1 || i == 6 || i == 11 || i == 16;
        if (dash ? c != '-' : !((c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F')))
            return false;
    }
    return true;
}

// ---- cards

bool luhn_ok(const char *digits, size_t n) {
    unsigned sum = 0;
    for (size_t i = 0; i < n; i++) {
        unsigned d = (unsigned)(digits[n - 1 - i] - '0');
        if (i % 2)
            d = d * 2 > 9 ? d * 2 - 9 : d * 2;
        sum += d;
    }
    return n > 0 && sum % 10 == 0;
}

static const struct brand {
    unsigned from, to; // of the first six digits
    unsigned lengths;  // bit n: n digits
} brands[] = {
#define DIGITS(n) (1u << (n))
    {400000, 499999, DIGITS(13) | DIGITS(16) | DIGITS(19)},                           // Visa
    {510000, 559999, DIGITS(16)},                                                     // Mastercard
    {222100, 272099, DIGITS(16)},                                                     // Mastercard
    {340000, 349999, DIGITS(15)},                                                     // American Express
    {370000, 379999, DIGITS(15)},                                                     // American Express
    {300000, 305999, DIGITS(14) | DIGITS(16)},                                        // Diners Club
    {309500, 309599, DIGITS(14) | DIGITS(16)},                                        // Diners Club
    {360000, 369999, DIGITS(14) | DIGITS(16) | DIGITS(19)},                           // Diners Club
    {380000, 399999, DIGITS(14) | DIGITS(16) | DIGITS(19)},                           // Diners Club
    {350000, 359999, DIGITS(16) | DIGITS(17) | DIGITS(18) | DIGITS(19)},              // JCB
    {601100, 601199, DIGITS(16) | DIGITS(19)},                                        // Discover
    {622126, 622925, DIGITS(16) | DIGITS(17) | DIGITS(18) | DIGITS(19)},              // Discover, UnionPay
    {644000, 659999, DIGITS(16) | DIGITS(19)},                                        // Discover
    {620000, 629999, DIGITS(16) | DIGITS(17) | DIGITS(18) | DIGITS(19)},              // UnionPay
    {500000, 509999, DIGITS(12) | DIGITS(13) | DIGITS(15) | DIGITS(16) | DIGITS(19)}, // Maestro
    {560000, 589999, DIGITS(12) | DIGITS(13) | DIGITS(15) | DIGITS(16) | DIGITS(19)}, // Maestro
    {630000, 639999, DIGITS(12) | DIGITS(13) | DIGITS(15) | DIGITS(16) | DIGITS(19)}, // Maestro
    {670000, 679999, DIGITS(12) | DIGITS(13) | DIGITS(15) | DIGITS(16) | DIGITS(19)}, // Maestro
#undef DIGITS
};

static bool brand_has(const struct number *v) {
    unsigned head = 0;
    for (size_t i = 0; i < 6; i++)
        head = head * 10 + digit(v, i);
    for (size_t i = 0; i < sizeof brands / sizeof brands[0]; i++)
        if (head >= brands[i].from && head <= brands[i].to && brands[i].lengths & 1u << v->n)
            return true;
    return false;
}

bool check_card(const struct found *f) {
    struct number v = number_of(f);
    if (v.n < 12 || v.n > 19 || !all_digits(&v) || in_uuid(f))
        return false;
    return brand_has(&v) && luhn_ok(v.s, v.n) && !all_same(&v);
}

// ---- IBAN

// Country and length: the IBAN registry, the territories that use their country's form under their own code, and the
// countries that use IBANs without having registered them.
static const char ibans[][5] = {
    "AD24", "AE23", "AL28", "AO25", "AT20", "AX18", "AZ28", "BA20", "BE16", "BF28", "BG22", "BH22", "BI27",
    "BJ28", "BL27", "BR29", "BY28", "CF27", "CG27", "CH21", "CI28", "CM27", "CR22", "CV25", "CY28", "CZ24",
    "DE22", "DJ27", "DK18", "DO28", "DZ26", "EE20", "EG29", "ES24", "FI18", "FK18", "FO18", "FR27", "GA27",
    "GB22", "GE22", "GF27", "GG22", "GI23", "GL18", "GP27", "GQ27", "GR27", "GT28", "GW25", "HN28", "HR21",
    "HU28", "IE22", "IL23", "IM22", "IQ23", "IR26", "IS26", "IT27", "JE22", "JO30", "KM27", "KW30", "KZ20",
    "LB28", "LC32", "LI21", "LT20", "LU20", "LV21", "LY25", "MA28", "MC27", "MD24", "ME22", "MF27", "MG27",
    "MK19", "ML28", "MN20", "MQ27", "MR27", "MT31", "MU30", "MZ25", "NC27", "NE28", "NI28", "NL18", "NO15",
    "OM23", "PF27", "PK24", "PL28", "PM27", "PS29", "PT25", "QA29", "RE27", "RO24", "RS22", "RU33", "SA24",
    "SC31", "SD18", "SE24", "SI19", "SK24", "SM27", "SN28", "SO23", "ST25", "SV28", "TD27", "TF27", "TG28",
    "TL23", "TN24", "TR26", "UA29", "VA22", "VG24", "WF27", "XK20", "YE30", "YT27",
};

size_t iban_length(const char country[2]) {
    for (size_t i = 0; i < sizeof ibans / sizeof ibans[0]; i++)
        if (ibans[i][0] == country[0] && ibans[i][1] == country[1])
            return (size_t)(ibans[i][2] - '0') * 10 + (size_t)(ibans[i][3] - '0');
    return 0;
}

unsigned iban_mod97(const char *s, size_t n) {
    unsigned rest = 0;
    for (size_t i = 0; i < n; i++) {
        char c = s[(i + 4) % n]; // country and check digits move to the end
        unsigned v = is_digit(c) ? (unsigned)(c - '0') : (unsigned)(c - 'A') + 10;
        rest = (rest * (v > 9 ? 100 : 10) + v) % 97;
    }
    return rest;
}

bool check_iban(const struct found *f) {
    struct number v = number_of(f);
    if (v.n < 15 || v.n != iban_length(v.s))
        return false;
    return iban_mod97(v.s, v.n) == 1;
}

// ---- United States, United Kingdom

// Social Security Administration: no area 000, 666 or 9xx, no group 00, no serial 0000. 9xx with a group that the tax
// office gives out is an ITIN.
bool check_us_ssn(const struct found *f) {
    struct number v = number_of(f);
    if (v.n != 9 || !all_digits(&v) || all_same(&v))
        return false;
    unsigned area = digit(&v, 0) * 100 + digit(&v, 1) * 10 + digit(&v, 2), group = digit(&v, 3) * 10 + digit(&v, 4);
    if (memcmp(v.s + 5, "0000", 4) == 0 || group == 0 || area == 0 || area == 666)
        return false;
    if (area < 900)
        return memcmp(v.s, "123456789", 9) != 0 || !is_bare(f, &v);
    return (group >= 50 && group <= 65) || (group >= 70 && group <= 88) || (group >= 90 && group != 93);
}

// HMRC, National Insurance Manual NIM39110.
bool check_uk_nino(const struct found *f) {
    static const char never[][3] = {"BG", "GB", "KN", "NK", "NT", "TN", "ZZ"};
    struct number v = number_of(f);
    if (v.n != 9 || strchr("DFIQUV", v.s[0]) || strchr("DFIOQUV", v.s[1]) || v.s[8] < 'A' || v.s[8] > 'D')
        return false;
    for (size_t i = 0; i < sizeof never / sizeof never[0]; i++)
        if (memcmp(v.s, never[i], 2) == 0)
            return false;
    return true;
}

// NHS Data Dictionary. Ten bare digits are many things; numbers in use begin as listed there.
bool check_uk_nhs(const struct found *f) {
    struct number v = number_of(f);
    unsigned sum = 0;
    if (v.n != 10 || !all_digits(&v) || all_same(&v))
        return false;
    for (size_t i = 0; i < 9; i++)
        sum += digit(&v, i) * (unsigned)(10 - i);
    unsigned check = (11 - sum % 11) % 11;
    if (check == 10 || check != digit(&v, 9))
        return false;
    return !is_bare(f, &v) || strchr("46789", v.s[0]) || (v.s[0] == '3' && v.s[1] >= '2');
}

// ---- Germany

// Identifikationsnummer, § 139b AO: check digit by ISO 7064 mod 11,10; of the first ten digits one stands there twice
// or three times, the others at most once.
bool check_de_tax(const struct found *f) {
    struct number v = number_of(f);
    unsigned count[10] = {0}, pairs = 0, triples = 0, product = 10;
    if (v.n != 11 || !all_digits(&v) || v.s[0] == '0')
        return false;
    for (size_t i = 0; i < 10; i++) {
        unsigned sum = (digit(&v, i) + product) % 10;
        product = (sum ? sum : 10) * 2 % 11;
        count[digit(&v, i)]++;
    }
    for (size_t d = 0; d < 10; d++) {
        pairs += count[d] == 2;
        triples += count[d] == 3;
        if (count[d] > 3)
            return false;
    }
    return pairs + triples == 1 && (11 - product) % 10 == digit(&v, 10);
}

// Versicherungsnummer, VKVV § 4: area, date of birth, letter, serial, check digit.
bool check_de_social(const struct found *f) {
    static const unsigned weights[] = {2, 1, 2, 5, 7, 1, 2, 1, 2, 1, 2, 1};
    struct number v = number_of(f);
    char s[12];
    unsigned sum = 0;
    if (v.n != 12 || !is_letter(v.s[8]))
        return false;
    unsigned letter = (unsigned)(v.s[8] - 'A') + 1;
    memcpy(s, v.s, 8);
    s[8] = (char)('0' + letter / 10);
    s[9] = (char)('0' + letter % 10);
    memcpy(s + 10, v.s + 9, 2);
    for (size_t i = 0; i < 12; i++) {
        unsigned p = (unsigned)(s[i] - '0') * weights[i];
        sum += p / 10 + p % 10;
    }
    unsigned month = digit(&v, 4) * 10 + digit(&v, 5);
    return sum % 10 == digit(&v, 11) && month >= 1 && month <= 12;
}

// ---- France

static uint64_t number_value(const char *s, size_t n) {
    uint64_t x = 0;
    for (size_t i = 0; i < n; i++)
        x = x * 10 + (uint64_t)(s[i] - '0');
    return x;
}

// Numéro d'inscription au répertoire (INSEE): key = 97 - number mod 97; Corsica's 2A counts as 19, 2B as 18.
bool check_fr_nir(const struct found *f) {
    struct number v = number_of(f);
    if (v.n != 15)
        return false;
    if (v.s[5] == '2' && (v.s[6] == 'A' || v.s[6] == 'B')) {
        v.s[5] = '1';
        v.s[6] = v.s[6] == 'A' ? '9' : '8';
    }
    unsigned month = digit(&v, 3) * 10 + digit(&v, 4);
    if (!all_digits(&v) || month == 0 || (month > 12 && month < 20))
        return false;
    return 97 - number_value(v.s, 13) % 97 == number_value(v.s + 13, 2);
}

// Numéro fiscal de référence: the last three digits are the first ten mod 511.
bool check_fr_tax(const struct found *f) {
    struct number v = number_of(f);
    return v.n == 13 && all_digits(&v) && v.s[0] <= '3' && !all_same(&v) &&
           number_value(v.s, 10) % 511 == number_value(v.s + 10, 3);
}

// ---- Spain, Italy

// DNI and NIE: the letter is the number mod 23; X, Y, Z in front count as 0, 1, 2.
bool check_es_id(const struct found *f) {
    static const char letters[] = "TRWAGMYFPDXBNJZSQVHLCKE";
    struct number v = number_of(f);
    if (v.n != 9)
        return false;
    if (v.s[0] >= 'X' && v.s[0] <= 'Z')
        v.s[0] = (char)(v.s[0] - 'X' + '0');
    char letter = v.s[8];
    v.n = 8;
    return all_digits(&v) && letter == letters[number_value(v.s, 8) % 23];
}

// Codice fiscale (D.M. 23/12/1976): odd places by a table of their own, even ones as they are, mod 26.
bool check_it_fiscal(const struct found *f) {
    static const unsigned char odd[] = {1,  0,  5, 7, 9, 13, 15, 17, 19, 21, 2,  4,  18,
                                        20, 11, 3, 6, 8, 12, 14, 16, 10, 22, 25, 24, 23};
    struct number v = number_of(f);
    unsigned sum = 0;
    if (v.n != 16)
        return false;
    for (size_t i = 0; i < 15; i++) {
        unsigned value = is_digit(v.s[i]) ? digit(&v, i) : (unsigned)(v.s[i] - 'A');
        sum += i % 2 ? value : odd[value];
    }
    return v.s[15] == (char)('A' + sum % 26);
}

bool check_it_vat(const struct found *f) {
    struct number v = number_of(f);
    return v.n == 11 && all_digits(&v) && !all_same(&v) && luhn_ok(v.s, v.n);
}

// ---- Netherlands, Poland

bool check_nl_bsn(const struct found *f) {
    struct number v = number_of(f);
    unsigned sum = 0;
    if (v.n != 9 || !all_digits(&v) || all_same(&v))
        return false;
    for (size_t i = 0; i < 8; i++)
        sum += digit(&v, i) * (unsigned)(9 - i);
    return sum > 0 && (sum + 11 * 9 - digit(&v, 8)) % 11 == 0;
}

static bool weighted(const struct number *v, const unsigned char *weights, unsigned mod, unsigned *ret) {
    unsigned sum = 0;
    if (!all_digits(v) || all_same(v))
        return false;
    for (size_t i = 0; i + 1 < v->n; i++)
        sum += digit(v, i) * weights[i];
    *ret = sum % mod;
    return true;
}

// PESEL: the month carries the century, weights 1 3 7 9.
bool check_pl_pesel(const struct found *f) {
    static const unsigned char weights[] = {1, 3, 7, 9, 1, 3, 7, 9, 1, 3};
    struct number v = number_of(f);
    unsigned sum;
    if (v.n != 11 || !weighted(&v, weights, 10, &sum))
        return false;
    unsigned month = (digit(&v, 2) * 10 + digit(&v, 3)) % 20, day = digit(&v, 4) * 10 + digit(&v, 5);
    return (10 - sum) % 10 == digit(&v, 10) && month >= 1 && month <= 12 && day >= 1 && day <= 31;
}

bool check_pl_nip(const struct found *f) {
    static const unsigned char weights[] = {6, 5, 7, 2, 3, 4, 5, 6, 7};
    struct number v = number_of(f);
    unsigned sum;
    return v.n == 10 && v.s[0] != '0' && weighted(&v, weights, 11, &sum) && sum == digit(&v, 9);
}
