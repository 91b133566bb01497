// SPDX-License-Identifier: Apache-2.0
// Addresses: e-mail, IP, MAC. What has the shape and can't tell of anybody is left alone: loopback, netmasks, versions,
// files named "icon@2x.png", the git@ of a forge. Pure, any thread.
#include <arpa/inet.h>
#include <netinet/in.h>
#include "privacy/check.h"

#define ADDRESS_ROOM 64

static bool span_text(const struct found *f, char to[ADDRESS_ROOM]) {
    if (f->span.n >= ADDRESS_ROOM)
        return false;
    memcpy(to, f->span.p, f->span.n);
    to[f->span.n] = 0;
    return true;
}

static struct slice before(const struct found *f, size_t n) {
    size_t at = (size_t)(f->span.p - f->text.p);
    return slice_of(f->span.p - (n < at ? n : at), n < at ? n : at);
}

// "postgres://user:word@host": what stands before the @ is a credential, which another pattern finds.
static bool in_url(const struct found *f) {
    struct slice s = before(f, 200);
    if (!s.n || s.p[s.n - 1] != ':')
        return false;
    while (s.n > 3 && !strchr(" \t\r\n\"'<>", s.p[s.n - 1])) {
        if (slice_ends(s, "://"))
            return true;
        s.n--;
    }
    return false;
}

bool check_email(const struct found *f) {
    static const char *const files[] = {"png", "jpg", "jpeg", "gif", "webp", "svg", "js", "ts", "css", "py"};
    struct slice domain = f->span, local = slice_split(&domain, '@'), top = domain;
    while (slice_find(top, '.') != SIZE_MAX)
        (void)slice_split(&top, '.');
    for (size_t i = 0; i < sizeof files / sizeof files[0]; i++)
        if (slice_eq_nocase(top, slice_str(files[i])))
            return false;
    if (local.n > 64 || domain.n > 253 || local.p[local.n - 1] == '.')
        return false;
    return !slice_is(local, "git") && !in_url(f);
}

// "version 1.2.3.4", "v1.2.3.4": the pattern refuses the latter by itself.
static bool after_version(const struct found *f) {
    struct slice s = slice_trim(before(f, 12));
    for (size_t i = 0; i + 7 <= s.n; i++)
        if (slice_eq_nocase(slice_of(s.p + i, 7), SLICE("version")))
            return true;
    return false;
}

bool check_ipv4(const struct found *f) {
    char text[ADDRESS_ROOM];
    struct in_addr a;
    if (!span_text(f, text) || inet_pton(AF_INET, text, &a) != 1)
        return false;
    uint32_t v = ntohl(a.s_addr);
    bool says_nothing = v >> 24 == 127 || v >> 24 == 0 || v >> 24 == 255;
    return !says_nothing && !after_version(f);
}

// "1::2" is a slice in some languages, "ab::cd" a name in others; neither is what one writes for an address.
static bool looks_like_v6(const char *text) {
    size_t hex = 0, digits = 0;
    for (const char *c = text; *c; c++) {
        hex += *c != ':';
        digits += *c >= '0' && *c <= '9';
    }
    return hex >= 5 && digits > 0;
}

bool check_ipv6(const struct found *f) {
    char text[ADDRESS_ROOM];
    struct in6_addr a;
    if (!span_text(f, text) || inet_pton(AF_INET6, text, &a) != 1)
        return false;
    return looks_like_v6(text) && !IN6_IS_ADDR_LOOPBACK(&a) && !IN6_IS_ADDR_UNSPECIFIED(&a);
}

bool check_mac(const struct found *f) {
    char s[12];
    if (check_significant(f->span, s, sizeof s) != sizeof s)
        return false;
    return memcmp(s, "000000000000", 12) != 0 && memcmp(s, "FFFFFFFFFFFF", 12) != 0;
}
