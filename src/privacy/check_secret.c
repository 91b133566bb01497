// SPDX-License-Identifier: Apache-2.0
// What tells a credential from a word that stands in its place: entropy, digits, and that it is no variable, call, type
// or placeholder. Keys of a published shape need none of this; these checks are for "name = value", where any value may
// stand. To leave a value alone costs more than to mask one too many, since what is masked comes back. Pure, any
// thread.
#include <math.h>
#include "privacy/check.h"

double entropy_bits(struct slice s) {
    unsigned count[256] = {0};
    double bits = 0;
    for (size_t i = 0; i < s.n; i++)
        count[(unsigned char)s.p[i]]++;
    for (size_t i = 0; i < 256; i++) {
        double p = (double)count[i] / (double)s.n;
        if (count[i])
            bits -= p * log2(p);
    }
    return bits;
}

static size_t count_digits(struct slice s) {
    size_t n = 0;
    for (size_t i = 0; i < s.n; i++)
        n += s.p[i] >= '0' && s.p[i] <= '9';
    return n;
}

static bool has_symbol(struct slice s) {
    for (size_t i = 0; i < s.n; i++)
        if (strchr("!@#$%^&*+=?~", s.p[i]))
            return true;
    return false;
}

static bool begins_nocase(struct slice s, const char *prefix) {
    return slice_eq_nocase(slice_first(s, strlen(prefix)), slice_str(prefix));
}

// A variable, a template, a call, a path of names: code that gets the secret from elsewhere.
static bool is_reference(struct slice s) {
    static const char *const heads[] = {"process.env", "os.environ", "os.getenv", "getenv",   "env.",   "env[",
                                        "self.",       "this.",      "config.",   "settings", "vault:", "secretkeyref",
                                        "secrets.",    "var.",       "data.",     "local.",   "input.", "request.",
                                        "props.",      "params.",    "args."};
    if (strchr("$<{[(%", s.p[0]) || slice_find(s, '(') != SIZE_MAX)
        return true;
    for (size_t i = 0; i < sizeof heads / sizeof heads[0]; i++)
        if (begins_nocase(s, heads[i]))
            return true;
    return false;
}

static bool is_placeholder(struct slice s) {
    static const char *const words[] = {"your",     "changeme", "change_me", "placeholder", "xxxx",      "example",
                                        "redacted", "dummy",    "sample",    "insert",      "undefined", "string",
                                        "password", "secret",   "required",  "optional",    "enter",     "please",
                                        "forgot",   "boolean",  "default",   "null",        "none"};
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++)
        if (begins_nocase(s, words[i]) && count_digits(s) < 3)
            return true;
    return false;
}

// A path, a type, a constant's name: what code assigns.
static bool is_code(struct slice s) {
    size_t upper = 0, lower = 0;
    for (size_t i = 0; i < s.n; i++) {
        upper += s.p[i] >= 'A' && s.p[i] <= 'Z';
        lower += s.p[i] >= 'a' && s.p[i] <= 'z';
    }
    bool path = (s.p[0] == '/' || s.p[0] == '.') && upper == 0;
    bool constant = lower == 0 && slice_find(s, '_') != SIZE_MAX && count_digits(s) < 4;
    return path || constant || slice_starts(s, "#include") || slice_ends(s, "_t");
}

bool check_random(const struct found *f) {
    size_t digits = count_digits(f->span);
    return digits > 0 && entropy_bits(f->span) >= 3.0;
}

static bool is_name_char(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || strchr("_.-", c);
}

// "public_key = …", "author: …": names that hold a word of secrets and mean something else.
static bool is_public_name(const struct found *f) {
    size_t at = (size_t)(f->span.p - f->text.p), from = at > 64 ? at - 64 : 0;
    while (at > from && !is_name_char(f->text.p[at - 1]))
        at--;
    size_t end = at;
    while (at > from && is_name_char(f->text.p[at - 1]))
        at--;
    struct slice name = slice_of(f->text.p + at, end - at);
    return near_has(name, "public,pubkey,pub_key,monkey,keyword,keyboard,tokeniz,author,signature_alg") &&
           !near_has(name, "authori,secret,private");
}

bool check_assigned(const struct found *f) {
    struct slice s = f->span;
    if (is_public_name(f) || is_code(s) || is_reference(s) || is_placeholder(s) || begins_nocase(s, "http"))
        return false;
    size_t digits = count_digits(s);
    if (digits == s.n)
        return false; // max_tokens = 4096000
    if (digits == 0)
        return s.n >= 20 && entropy_bits(s) >= 4.0;
    return entropy_bits(s) >= (s.n < 16 ? 2.5 : 3.0);
}

bool check_vendor(const struct found *f) {
    struct slice s = f->span;
    return count_digits(s) > 0 && !is_reference(s) && !is_placeholder(s) && entropy_bits(s) >= 2.0;
}

static bool is_quoted(const struct found *f) {
    return f->span.p > f->text.p && strchr("\"'`", f->span.p[-1]);
}

bool check_password(const struct found *f) {
    struct slice s = f->span;
    if (is_code(s) || is_reference(s) || is_placeholder(s))
        return false;
    if (count_digits(s) || has_symbol(s))
        return entropy_bits(s) >= 1.5;
    return is_quoted(f) && s.n >= 6 && entropy_bits(s) >= 2.0;
}

bool check_credential(const struct found *f) {
    struct slice rest = f->span, user = slice_split(&rest, ':');
    (void)user;
    return rest.n > 0 && !strchr("$<{[%*", rest.p[0]);
}
