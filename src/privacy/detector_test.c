// SPDX-License-Identifier: Apache-2.0
// What is found where, with its exact bounds, and what is left alone.
#include "privacy/detector.h"
#include "base/fs.h"
#include "base/mem.h"
#include "privacy/database.h"
#include "privacy/samples.h"
#include "unit.h"

static const struct finding {
    const char *text, *found;
} findings[] = {
    {"mail jane.doe+tag@mail.example.co.uk.", "email=jane.doe+tag@mail.example.co.uk"},
    {"mail-jane@corp.com-x id-4111111111111111-x host-203.0.113.77-x",
     "email=mail-jane@corp.com card=4111111111111111 ip=203.0.113.77"},
    {"user_jane@corp.com_x mac-00:1b:44:11:3a:b7-x not 00-1b-44-11-3a-b7-cd-ef",
     "email=user_jane@corp.com mac=00:1b:44:11:3a:b7"},
    {"<jane@corp.com>,'bob@x.org'", "email=jane@corp.com email=bob@x.org"},
    {"j\xc3\xb6rg@m\xc3\xbcller.de", "email=j\xc3\xb6rg@m\xc3\xbcller.de"},
    {"\xe8\xaf\xb7\xe8\x81\x94\xe7\xb3\xbbjane@corp.com\xe8\xb0\xa2\xe8\xb0\xa2", "email=jane@corp.com"},
    {"git@github.com:a/b.git icon@2x.png @decorator a@b", ""},
    {"pay 12 4111 1111 1111 1111 12/27", "card=4111 1111 1111 1111"},
    {"5500-0000-0000-0004,378282246310005", "card=5500-0000-0000-0004 card=378282246310005"},
    {"3782 822463 10005", "card=3782 822463 10005"},
    {"4111 1111 1111 1112", ""},
    {"0.4111111111111111 x4111111111111111 1700000000123456", ""},
    {"DE89 3704 0044 0532 0130 00 BIC COBADEFF", "iban=DE89 3704 0044 0532 0130 00"},
    {"gb82west12345698765432", "iban=gb82west12345698765432"},
    {"DE88 3704 0044 0532 0130 00", ""},
    {"SSN 078-05-1120, 078 05 1120", "us_ssn=078-05-1120 us_ssn=078 05 1120"},
    {"my social security number is 078051120", "us_ssn=078051120"},
    {"000-12-3456 666-12-3456 123-00-4567 123-45-0000", ""},
    {"AB 12 34 56 C and ab123456c, not BG123456A", "uk_nino=AB 12 34 56 C uk_nino=ab123456c"},
    {"NHS 943 476 5919 not 143 476 5918", "uk_nhs=943 476 5919"},
    {"IdNr. 86 095 742 719", "de_tax=86 095 742 719"},
    {"15070649C103", "de_social=15070649C103"},
    {"2 55 08 14 168 025 38 et 185052A00408495, non 2 55 08 14 168 025 39",
     "fr_nir=2 55 08 14 168 025 38 fr_nir=185052A00408495"},
    {"12345678Z X1234567L 12345678A", "es_id=12345678Z es_id=X1234567L"},
    {"RSSMRA85T10A562S", "it_fiscal=RSSMRA85T10A562S"},
    {"123456782 of anything at all; and, in another sentence that is long enough, the BSN 123456782",
     "nl_bsn=123456782"},
    {"PESEL 44051401359 44051401358", "pl_pesel=44051401359"},
    {"+1 (415) 555-2671, (415) 555-2671, 415-555-2671, 415.555.2671",
     "phone=+1 (415) 555-2671 phone=(415) 555-2671 phone=415-555-2671 phone=415.555.2671"},
    {"+44 (0)20 7946 0958 / 020 7946 0958", "phone=+44 (0)20 7946 0958 phone=020 7946 0958"},
    {"+49 30 1234567, 0049 30 1234567; 06 12 34 56 78",
     "phone=+49 30 1234567 phone=0049 30 1234567 phone=06 12 34 56 78"},
    {"tel:+376-712-345 tel:+376-7123", "phone=+376-712-345"},
    {"2024-06-05 01.02.2023 12:30:45 0123456789 10 000 000", ""},
    {"from 203.0.113.7:8080, 10.0.0.0/8; 127.0.0.1 255.255.255.0 version 1.2.3.4 v1.2.3.4 1.2.3.4.5",
     "ip=203.0.113.7 ip=10.0.0.0"},
    {"[2001:db8::1]:80 fe80::1 ::1 std::vector a[1::2] dead::beef", "ip=2001:db8::1 ip=fe80::1"},
    {"00:1A:2B:3C:4D:5E aabb.ccdd.eeff 00:00:00:00:00:00", "mac=00:1A:2B:3C:4D:5E mac=aabb.ccdd.eeff"},
    {"AKIAIOSFODNN7EXAMPLE", "secret=AKIAIOSFODNN7EXAMPLE"},
    {"postgres://user:p%40ss@db.example.com:5432/x", "url_credential=user:p%40ss"},
    {"https://db.example.com/x?a=b:c@d", ""},
    {"aws_secret_access_key = wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
     "secret=wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"},
    {"DB_PASSWORD=\"s3cr3t-pw\" and {\\\"password\\\": \\\"hunter22x\\\"}", "secret=s3cr3t-pw secret=hunter22x"},
    {"password: 'correct horse battery 9'", "secret=correct horse battery 9"},
    {"Server=a;User Id=b;Password=p@ss1;", "secret=p@ss1"},
    {"token = getToken(), \"key\": \"value\", max_tokens: 4096, secret = os.environ[\"X\"], password = password", ""},
    {"Authorization: Bearer abcdef1234567890abcdef", "secret=abcdef1234567890abcdef"},
    {"for Acme's blue heron, not for ACMES", "word=Acme word=blue heron"},
    {"sign in as bob@x.org/4111111111111111", "email=bob@x.org card=4111111111111111"},
    // one right behind the other
    {"4111 1111 1111 1111; 078-05-1120 203.0.113.77", "card=4111 1111 1111 1111 us_ssn=078-05-1120 ip=203.0.113.77"},
    {"4111 1111 1111 1111 078-05-1120 203.0.113.77", "word=4111 1111 1111 1111 078-05-1120 ip=203.0.113.77"},
    {"jane@corp.com-4111111111111111", "email=jane@corp.com card=4111111111111111"},
    {"DE89 3704 0044 0532 0130 00-jane@corp.com", "word=DE89 3704 0044 0532 0130 00-jane@corp.com"},
    {"see corp.com-internal, jane@corp.com-internal.net", "email=jane@corp.com-internal.net"},
};

TEST(detector_finds_what_is_there_and_no_more) {
    char got[2048];
    for (size_t i = 0; i < sizeof findings / sizeof findings[0]; i++)
        CHECK_STREQ(found_in(slice_str(findings[i].text), got, sizeof got), findings[i].found);
}

TEST(detector_sees_through_disguise) {
    char got[256];
    CHECK_STREQ(found_in(SLICE("\xef\xbd\x8a\xef\xbd\x81ne\xef\xbc\xa0"
                               "corp.com"),
                         got, sizeof got),
                "email=\xef\xbd\x8a\xef\xbd\x81ne\xef\xbc\xa0"
                "corp.com");
    CHECK_STREQ(found_in(SLICE("ja\xe2\x80\x8bne@co\xc2\xadrp.com"), got, sizeof got),
                "email=ja\xe2\x80\x8bne@co\xc2\xadrp.com");
    // Arabic digits, between marks that turn the direction of writing
    CHECK_STREQ(found_in(SLICE("\xe2\x80\x8f\xd9\xa4\xd9\xa1\xd9\xa1\xd9\xa1 \xd9\xa1\xd9\xa1\xd9\xa1\xd9\xa1 "
                               "\xd9\xa1\xd9\xa1\xd9\xa1\xd9\xa1 \xd9\xa1\xd9\xa1\xd9\xa1\xd9\xa1\xe2\x80\x8f"),
                         got, sizeof got),
                "card=\xd9\xa4\xd9\xa1\xd9\xa1\xd9\xa1 \xd9\xa1\xd9\xa1\xd9\xa1\xd9\xa1 "
                "\xd9\xa1\xd9\xa1\xd9\xa1\xd9\xa1 \xd9\xa1\xd9\xa1\xd9\xa1\xd9\xa1\xe2\x80\x8f");
    // Cyrillic a and o, no-break space, non-breaking hyphen
    CHECK_STREQ(found_in(SLICE("j\xd0\xb0ne@c\xd0\xberp.com"), got, sizeof got), "email=j\xd0\xb0ne@c\xd0\xberp.com");
    CHECK_STREQ(found_in(SLICE("+49\xc2\xa0"
                               "30\xe2\x80\x91"
                               "1234567"),
                         got, sizeof got),
                "phone=+49\xc2\xa0"
                "30\xe2\x80\x91"
                "1234567");
}

TEST(detector_finds_whole_private_keys) {
    struct buf text = BUF_INIT(65536);
    char got[8192];
    buf_append_str(&text, "key:\n");
    size_t at = text.len;
    buf_append_str(&text, "-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\n\n");
    for (int i = 0; i < 50; i++)
        buf_append_str(&text, "MIIEowIBAAKCAQEAx7Zq0m1f8s9d7f6g5h4j3k2l1zXcVbNmQwErTyUiOpAsDfGh\n");
    buf_append_str(&text, "-----END RSA PRIVATE KEY-----");
    size_t end = text.len;
    buf_append_str(&text, "\nbye");
    struct spans s = {0};
    CHECK_EQ(detector_scan(detector_of_tests(), buf_slice(&text), &s), ERR_OK);
    CHECK_EQ(s.n, 1);
    CHECK_EQ(s.v[0].at, at);
    CHECK_EQ(s.v[0].n, end - at);
    spans_done(&s);
    buf_clear(&text); // as it stands in JSON inside JSON, and cut
    buf_append_str(&text, "-----BEGIN PRIVATE KEY-----\\nMIIEvQIBADANBgkqhkiG9w0BAQEFAASCBKcw\\nggSjAgEAAoIB");
    CHECK(strncmp(found_in(buf_slice(&text), got, sizeof got), "secret=-----BEGIN PRIVATE KEY-----\\nMIIEvQ", 39) == 0);
    buf_done(&text);
}

// Any neighbour and any cut of the text: what is found stays inside it, in order, without overlaps.
TEST(detector_spans_are_sound_at_every_cut) {
    struct slice text =
        SLICE("a jane@corp.com 4111 1111 1111 1111 postgres://u:p@h/ +49 30 1234567 key=abcd1234efgh5678 "
              "\xd9\xa4\xd9\xa1\xd9\xa1\xd9\xa1 DE89370400440532013000 10.0.0.1 password: x9x9x9x9");
    for (size_t n = 0; n <= text.n; n++) {
        struct spans s = {0};
        CHECK_EQ(detector_scan(detector_of_tests(), slice_first(text, n), &s), ERR_OK);
        size_t end = 0;
        for (size_t i = 0; i < s.n; i++) {
            CHECK(s.v[i].n > 0 && s.v[i].at >= end);
            end = s.v[i].at + s.v[i].n;
        }
        CHECK(end <= n);
        spans_done(&s);
    }
}

// Five megabytes of what looks like numbers: found or not, it ends soon enough and asks for no memory that grows faster
// than the text.
TEST(detector_takes_long_texts_of_digits) {
    static const char *const units[] = {"7",     "1 ",    "12 34 ", "4111 1111 1111 1111 ", "0123-", "1.1.1.1 ",
                                        "a@a.a", "key=1", "+1 "};
    for (size_t i = 0; i < sizeof units / sizeof units[0]; i++) {
        struct buf text = BUF_INIT(6u << 20);
        struct spans s = {0};
        while (text.len < 100000)
            buf_append_str(&text, units[i]);
        enum err e = detector_scan(detector_of_tests(), buf_slice(&text), &s);
        CHECK(e == ERR_OK || e == ERR_LIMIT);
        spans_done(&s);
        buf_done(&text);
    }
}

TEST(detector_survives_each_failed_allocation) {
    struct slice text = SLICE("jane@corp.com \xd9\xa4\xd9\xa1 4111 1111 1111 1111 password=x9x9x9x9 Blue Heron");
    struct spans want = {0};
    CHECK_EQ(detector_scan(detector_of_tests(), text, &want), ERR_OK);
    for (unsigned long k = 1; k < 200; k++) {
        struct spans s = {0};
        mem_fail_at(k);
        enum err e = detector_scan(detector_of_tests(), text, &s);
        unsigned long used = mem_count();
        mem_fail_at(0);
        if (e == ERR_OK)
            CHECK_EQ(s.n, want.n);
        spans_done(&s);
        if (used < k)
            break;
    }
    spans_done(&want);
}

// ---- the compiled table on the disk

static void file_write(const char *path, struct slice s) {
    CHECK_EQ(fs_write_atomic(path, s, 0600), ERR_OK);
}

TEST(database_is_kept_and_a_broken_one_is_not_used) {
    char dir[] = "/tmp/gridtie-patterns-XXXXXX";
    struct buf path = BUF_INIT(4096), problem = BUF_INIT(4096), file = BUF_INIT(64u << 20);
    hs_database_t *db = NULL;
    CHECK(mkdtemp(dir) != NULL);
    database_path(dir, &path);
    CHECK_EQ(database_load(buf_cstr(&path), &db), ERR_NOT_FOUND);
    CHECK_EQ(database_open((const char *[]){dir, NULL}, &db, &problem), ERR_OK);
    CHECK_EQ(hs_free_database(db), HS_SUCCESS);
    CHECK_EQ(database_load(buf_cstr(&path), &db), ERR_OK);
    CHECK_EQ(hs_free_database(db), HS_SUCCESS);
    CHECK_EQ(fs_read_file(buf_cstr(&path), 64u << 20, &file), ERR_OK);
    for (size_t n = 0; n < file.len; n += file.len / 7) {
        file_write(buf_cstr(&path), slice_first(buf_slice(&file), n));
        CHECK_EQ(database_load(buf_cstr(&path), &db), ERR_DISK);
        file.p[n] ^= 1;
        file_write(buf_cstr(&path), buf_slice(&file));
        CHECK_EQ(database_load(buf_cstr(&path), &db), ERR_DISK);
        file.p[n] ^= 1;
    }
    CHECK_EQ(remove(buf_cstr(&path)), 0);
    CHECK_EQ(remove(dir), 0);
    buf_done(&path);
    buf_done(&problem);
    buf_done(&file);
}
