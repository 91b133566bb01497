// SPDX-License-Identifier: Apache-2.0
// Stand-ins: the same each time, another for another key, written the way the value is, and nobody's.
#include "privacy/standin.h"
#include <stdio.h>
#include "privacy/samples_ids.h"
#include "unit.h"

static const struct standin_key one = {{1}}, other = {{2}};

static const char *standin(const struct standin_key *key, enum entity e, const char *value, unsigned again, char *to) {
    struct buf normal = BUF_INIT(4096), out = BUF_INIT(4096);
    bool ok = standin_normalise(e, slice_str(value), &normal);
    standin_write(key, e, buf_slice(&normal), slice_str(value), again, &out);
    (void)snprintf(to, 256, "%s", ok && !out.failed ? buf_cstr(&out) : "failed");
    buf_done(&normal);
    buf_done(&out);
    return to;
}

static const struct value {
    enum entity e;
    const char *value, *begins;
} values[] = {
    {ENTITY_PHONE, "+49 30 1234567", "+99 9"},
    {ENTITY_PHONE, "0049 30 1234567", "0099 9"},
    {ENTITY_PHONE, "030/1234567", "099/9"},
    {ENTITY_CARD, "4111 1111 1111 1111", "4000 00"},
    {ENTITY_CARD, "5500-0000-0000-0004", "5555-55"},
    {ENTITY_CARD, "371449635398431", "378282"},
    {ENTITY_US_SSN, "078-05-1120", "9"},
    {ENTITY_UK_NINO, "AB 12 34 56 C", "QQ "},
    {ENTITY_UK_NHS, "943 476 5919", "999 "},
    {ENTITY_MAC, "3c:22:fb:01:02:03", "02:00:5e"},
};

static char shape_of(char c) {
    return c >= '0' && c <= '9' ? '9' : c >= 'A' && c <= 'Z' ? 'A' : c >= 'a' && c <= 'z' ? 'a' : c;
}

TEST(standins_are_of_ranges_that_are_nobodys) {
    char a[256], b[256];
    for (size_t i = 0; i < sizeof values / sizeof values[0]; i++) {
        const struct value *v = &values[i];
        standin(&one, v->e, v->value, 0, a);
        if (strncmp(a, v->begins, strlen(v->begins)) != 0 || strlen(a) != strlen(v->value))
            FAIL("%s became %s", v->value, a);
        for (size_t k = 0; a[k] && v->e != ENTITY_MAC; k++)
            CHECK_EQ(shape_of(a[k]), shape_of(v->value[k]));
        CHECK_STREQ(standin(&one, v->e, v->value, 0, b), a);
        CHECK(strcmp(standin(&other, v->e, v->value, 0, b), a) != 0);
        CHECK(strcmp(standin(&one, v->e, v->value, 1, b), a) != 0);
    }
    CHECK(strstr(standin(&one, ENTITY_EMAIL, "jane.doe@corp.com", 0, a), "@example.com"));
    CHECK_STREQ(standin(&one, ENTITY_EMAIL, "JANE.DOE@CORP.COM", 0, b),
                standin(&one, ENTITY_EMAIL, "JANE.DOE@CORP.COM", 0, a));
    CHECK(strncmp(standin(&one, ENTITY_SECRET, "AKIAIOSFODNN7EXAMPLE", 0, a), STANDIN_SECRET_MARK, 15) == 0);
}

// Those without a range of their own must not be anybody's: no check of their kind holds.
TEST(standins_of_numbers_have_no_good_check_digit) {
    static const struct {
        enum entity e;
        void (*make)(char *to);
        bool (*check)(const struct found *f);
    } kinds[] = {{ENTITY_DE_TAX, sample_de_tax, check_de_tax},          {ENTITY_ES_ID, sample_es_id, check_es_id},
                 {ENTITY_IT_FISCAL, sample_it_fiscal, check_it_fiscal}, {ENTITY_NL_BSN, sample_nl_bsn, check_nl_bsn},
                 {ENTITY_PL_PESEL, sample_pl_pesel, check_pl_pesel},    {ENTITY_FR_NIR, sample_fr_nir, check_fr_nir}};
    char real[64], a[256];
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        for (unsigned k = 0; k < 200; k++) {
            kinds[i].make(real);
            struct slice s = slice_str(standin(&one, kinds[i].e, real, 0, a));
            const struct found f = {s, s};
            if (kinds[i].check(&f) || s.n != strlen(real) || strcmp(a, real) == 0)
                FAIL("%s became %s", real, a);
        }
    }
}

TEST(standins_of_addresses_are_the_documentations) {
    char a[256], value[32];
    for (unsigned i = 0; i < 300; i++) {
        (void)snprintf(value, sizeof value, "8.8.%u.%u", i / 200, i % 200);
        standin(&one, ENTITY_IP, value, 0, a);
        CHECK(!strncmp(a, "192.0.2.", 8) || !strncmp(a, "198.51.100.", 11) || !strncmp(a, "203.0.113.", 10));
    }
    CHECK(strncmp(standin(&one, ENTITY_IP, "2a00:1450::1", 0, a), "2001:db8:", 9) == 0);
}
