// SPDX-License-Identifier: Apache-2.0
#ifndef PRIVACY_CHECK_H
#define PRIVACY_CHECK_H
// What a regular expression can't tell: checksums, ranges, lengths, entropy. Pure; called from inside a match, so that
// a refusal makes the expression look for another one.
#include "base/slice.h"

struct found {
    struct slice text; // all of it
    struct slice span; // inside text
};

// Letters and digits of s, upper case, at most `room` of them; returns how many there are (it may be more).
size_t check_significant(struct slice s, char *to, size_t room);
// One of the words of `near` ("phone,tel,mobile"), case aside, stands within NEAR_BYTES before the span, or the span is
// all that the text says (unless the first word is "-").
bool check_near(const struct found *f, const char *near);
#define NEAR_BYTES 48
// One of them stands in the window; the text begins with one.
bool near_has(struct slice window, const char *near);
bool near_begins(struct slice text, const char *near);

// --- numbers of payment
bool check_card(const struct found *f); // ISO/IEC 7812: Luhn, the brands' ranges and lengths, their grouping
bool check_iban(const struct found *f); // ISO 13616: the country's length, mod 97
// The length of an IBAN of this country, 0 if it has none.
size_t iban_length(const char country[2]);
bool luhn_ok(const char *digits, size_t n);
// Of an IBAN's letters and digits, upper case.
unsigned iban_mod97(const char *s, size_t n);

// --- numbers of persons; each by the rule that its authority publishes
bool check_us_ssn(const struct found *f);
bool check_uk_nino(const struct found *f);
bool check_uk_nhs(const struct found *f); // mod 11; bare ones in ranges that are given out only
bool check_de_tax(const struct found *f); // ISO 7064 mod 11,10, and how often digits repeat
bool check_de_social(const struct found *f);
bool check_fr_nir(const struct found *f); // key 97
bool check_fr_tax(const struct found *f); // mod 511
bool check_es_id(const struct found *f);  // DNI and NIE, mod 23
bool check_it_fiscal(const struct found *f);
bool check_it_vat(const struct found *f);
bool check_nl_bsn(const struct found *f);   // the eleven test
bool check_pl_pesel(const struct found *f); // date and weights
bool check_pl_nip(const struct found *f);

// --- phones (check_phone.c)
bool check_phone_international(const struct found *f); // +, 00 or 011 in front; lengths by calling code (phones.def)
bool check_phone_nanp(const struct found *f);
bool check_phone_trunk(const struct found *f); // a leading 0, 9 to 12 digits, no date
bool check_phone_near(const struct found *f);

// --- addresses (check_net.c)
bool check_email(const struct found *f);
bool check_ipv4(const struct found *f); // neither loopback nor netmask nor a version
bool check_ipv6(const struct found *f);
bool check_mac(const struct found *f);

// --- secrets (check_secret.c)
bool check_random(const struct found *f);     // looks drawn, not written: entropy, digits
bool check_assigned(const struct found *f);   // the value of key = value
bool check_vendor(const struct found *f);     // the value of a name with a service in it
bool check_password(const struct found *f);   // the value of password = value, where less entropy is usual
bool check_credential(const struct found *f); // user:password of a URL, no placeholder
double entropy_bits(struct slice s);          // Shannon's, per byte

#endif
