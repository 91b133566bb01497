// SPDX-License-Identifier: Apache-2.0
// What leaves holds nothing private, what is not private leaves byte for byte, and what comes back is what went.
#include "privacy/body.h"
#include "base/json.h"
#include "base/mem.h"
#include "privacy/restore.h"
#include "privacy/samples.h"
#include "unit.h"

static const struct standin_key key = {"thirty-two bytes of a test's key"};

static struct slice replace(struct arena *a, struct slice json, struct replaced *ret) {
    struct body b = {.a = a, .detector = detector_of_tests(), .json = json};
    bool more;
    *ret = (struct replaced){0};
    if (body_find(&b, SIZE_MAX, &more) || more || body_replace(&b, &key, false, ret))
        return SLICE_NONE;
    return ret->json;
}

static bool holds(struct slice text, const char *what) {
    return slice_search(text, slice_str(what)) != SIZE_MAX;
}

static const char chat[] =
    "{\"model\":\"m\",\"messages\":[{\"role\":\"system\",\"content\":\"You serve jane.doe@corp.com.\"},\n"
    " {\"role\":\"user\",\"content\":\"Card 4111 1111 1111 1111, IBAN DE89 3704 0044 0532 0130 00, "
    "phone +49 30 1234567, SSN 078-05-1120, host 10.1.2.3, key AKIAIOSFODNN7EXAMPLE.\\nMail Jane.Doe@corp.com"
    "\\u0020too\"}],\"temperature\":0.5}";

static const char *const private_texts[] = {"jane.doe", "4111",     "3704", "1234567",
                                            "078-05",   "10.1.2.3", "AKIA", "Jane.Doe"};

// The same values: on the way back an escape that is not needed is undone.
static bool same_json(struct arena *a, struct slice one, struct slice other) {
    struct json_doc x, y;
    struct json_error why;
    return json_read(a, one, &x, &why) == ERR_OK && json_read(a, other, &y, &why) == ERR_OK &&
           yyjson_equals(yyjson_doc_get_root(x.doc), yyjson_doc_get_root(y.doc));
}

TEST(body_lets_nothing_private_out_and_all_else_as_it_is) {
    struct arena a;
    struct replaced r;
    arena_init(&a, 64u << 20, 0);
    struct slice out = replace(&a, slice_str(chat), &r);
    CHECK(out.p != NULL);
    for (size_t i = 0; i < sizeof private_texts / sizeof private_texts[0]; i++)
        if (holds(out, private_texts[i]))
            FAIL("'%s' is in %.*s", private_texts[i], SLICE_FMT(out));
    CHECK(holds(out, "{\"model\":\"m\",\"messages\":[{\"role\":\"system\",\"content\":\"You serve "));
    CHECK(holds(out, "\\u0020too\"}],\"temperature\":0.5}"));
    CHECK(holds(out, STANDIN_SECRET_MARK));
    struct buf back = BUF_INIT(1u << 20);
    CHECK_EQ(restore_text(&r.aliases, r.standins, out, true, false, &back), ERR_OK);
    CHECK(same_json(&a, buf_slice(&back), slice_str(chat)));
    buf_done(&back);
    arena_done(&a);
}

TEST(body_without_anything_private_is_the_same_bytes) {
    struct arena a;
    struct replaced r;
    struct slice json = SLICE("{\"messages\":[{\"role\":\"user\",\"content\":\"Why is the sky blue?\"}]}");
    arena_init(&a, 1u << 20, 0);
    struct slice out = replace(&a, json, &r);
    CHECK(out.p == json.p && out.n == json.n && !r.standins);
    arena_done(&a);
}

// A conversation grows: what was sent before is sent the same again.
TEST(body_prefix_stays_the_same_turn_to_turn) {
    static const char *const turns[] = {"call bob@x.org or 078-05-1120", "and jane@corp.com with 4111111111111111",
                                        "bob@x.org again, 10.0.0.1, 10.0.0.2, 10.0.0.3", "nothing new",
                                        "password: s3cr3t-pw for jane@corp.com"};
    struct buf json = BUF_INIT(1u << 20), before = BUF_INIT(1u << 20);
    buf_append_str(&json, "{\"messages\":[");
    for (size_t i = 0; i < sizeof turns / sizeof turns[0]; i++) {
        struct arena a;
        struct replaced r;
        arena_init(&a, 1u << 20, 0);
        buf_printf(&json, "%s{\"role\":\"%s\",\"content\":\"%s\"}", i ? "," : "", i % 2 ? "assistant" : "user",
                   turns[i]);
        size_t open = json.len;
        buf_append_str(&json, "]}");
        struct slice out = replace(&a, buf_slice(&json), &r);
        CHECK(out.p && out.n > before.len && (!before.p || memcmp(out.p, before.p, before.len) == 0));
        buf_clear(&before);
        buf_append(&before, slice_first(out, out.n - 2));
        json.len = open;
        arena_done(&a);
    }
    buf_done(&json);
    buf_done(&before);
}

// Each way back up: [what the fields are, what must leave as it came, what must not leave].
static const struct field_case {
    const char *json, *stays, *goes;
} field_cases[] = {
    // ids and signatures by field, also when they look like something
    {"{\"messages\":[{\"content\":[{\"type\":\"tool_use\",\"id\":\"4111111111111111\",\"name\":\"f\",\"input\":"
     "{\"id\":\"jane@corp.com\"}},{\"signature\":\"AKIAIOSFODNN7EXAMPLE\"}]}]}",
     "\"id\":\"4111111111111111\"", "jane@corp"},
    {"{\"messages\":[{\"content\":[{\"signature\":\"AKIAIOSFODNN7EXAMPLE\",\"thinking\":\"jane@corp.com\"}]}]}",
     "AKIAIOSFODNN7EXAMPLE", "jane@corp"},
    {"{\"input\":[{\"type\":\"reasoning\",\"encrypted_content\":\"gAAAAjane@corp.com\"},{\"call_id\":\"c4111111111111111\"},"
     "{\"type\":\"function_call_output\",\"output\":\"bob@x.org\"}]}",
     "gAAAAjane@corp.com", "bob@x.org"},
    // arguments as an object, with the name telling, keys and numbers too
    {"{\"input\":{\"password\":\"hunter22x\",\"n\":1}}", "\"n\":1", "hunter22x"},
    {"{\"args\":{\"card\":4111111111111111,\"count\":12}}", "\"count\":12", "4111111111111111"},
    {"{\"input\":{\"jane@corp.com\":{\"role\":\"admin\"}}}", "\"role\":\"admin\"", "jane@corp"},
    {"{\"input\":{\"bsn\":123456782}}", "\"bsn\":", "123456782"},
    // arguments as text in JSON
    {"{\"arguments\":\"{\\\"to\\\":\\\"jane@corp.com\\\",\\\"pin\\\":\\\"a\\\\\\\"b\\\"}\"}",
     "\\\"pin\\\":\\\"a\\\\\\\"b\\\"", "jane@corp"},
    // definitions of tools, metadata, the user's name, stop words
    {"{\"tools\":[{\"description\":\"mails jane@corp.com\",\"input_schema\":{\"enum\":[\"bob@x.org\"]}}]}",
     "{\"tools\":[{\"description\":\"mails ", "bob@x.org"},
    {"{\"metadata\":{\"user_id\":\"jane@corp.com\"},\"user\":\"bob@x.org\"}", "\"user_id\":\"", "bob@x.org"},
    {"{\"stop\":[\"jane@corp.com\"],\"model\":\"jane@corp.com\"}", "\"model\":\"jane@corp.com\"", "stop\":[\"jane"},
    // pictures are not looked into, texts in their place are
    {"{\"source\":{\"type\":\"base64\",\"data\":\"AKIAIOSFODNN7EXAMPLEAKIAIOSFODNN7EXAMPLEAKIAIOSFODNN7EXAMPLEAKIAIOSF\"},"
     "\"source2\":{\"type\":\"text\",\"data\":\"mail jane@corp.com\"}}",
     "AKIAIOSFODNN7EXAMPLEAKIA", "jane@corp"},
    {"{\"image_url\":{\"url\":\"data:image/png;base64,AKIAIOSFODNN7EXAMPLE\"},\"url\":\"https://u:p4ssw0rd@x.org/\"}",
     "base64,AKIAIOSFODNN7EXAMPLE", "u:p4ssw0rd"},
    // escapes
    {"{\"content\":\"a\\tjane\\u0040corp.com\\n\"}", "{\"content\":\"a\\t", "corp.com"},
    {"{\"content\":\"\\ud83d\\ude00 jane@corp.com\"}", "\\ud83d\\ude00 ", "jane@corp"},
};

TEST(body_looks_where_it_must_and_nowhere_else) {
    for (size_t i = 0; i < sizeof field_cases / sizeof field_cases[0]; i++) {
        const struct field_case *c = &field_cases[i];
        struct arena a;
        struct replaced r;
        struct buf back = BUF_INIT(1u << 20);
        arena_init(&a, 1u << 20, 0);
        struct slice out = replace(&a, slice_str(c->json), &r);
        if (!holds(out, c->stays) || holds(out, c->goes))
            FAIL("case %zu: %.*s", i, SLICE_FMT(out));
        struct json_doc doc;
        struct json_error why;
        CHECK_EQ(json_read(&a, out, &doc, &why), ERR_OK);
        buf_done(&back);
        arena_done(&a);
    }
}

TEST(body_finds_over_the_borders_of_parts) {
    static const char *const cases[] = {
        "[{\"type\":\"text\",\"text\":\"mail jane@\"},{\"type\":\"text\",\"text\":\"corp.com now\"}]",
        "[{\"text\":\"mail ja\"},{\"text\":\"ne@\"},{\"text\":\"corp\"},{\"text\":\".com now\"}]",
        "[{\"text\":\"mail jane@corp.co\"},{\"text\":\"m.au now\"}]",
        "[{\"text\":\"4111 11\"},{\"text\":\"\\u00311 1111 1111\"}]",
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct arena a;
        struct replaced r;
        arena_init(&a, 1u << 20, 0);
        char json[256];
        (void)snprintf(json, sizeof json, "{\"content\":%s}", cases[i]);
        struct slice out = replace(&a, slice_str(json), &r);
        if (holds(out, "jane@") || holds(out, "corp") || holds(out, "4111") ||
            r.counts[ENTITY_EMAIL] + r.counts[ENTITY_CARD] != 1)
            FAIL("case %zu: %.*s", i, SLICE_FMT(out));
        arena_done(&a);
    }
    // Not joined where something else stands between.
    struct arena a;
    struct replaced r;
    arena_init(&a, 1u << 20, 0);
    CHECK(!(replace(&a, SLICE("{\"content\":[{\"text\":\"jane@\"},{\"type\":\"image\"},{\"text\":\"corp.com\"}]}"), &r),
            r.standins));
    arena_done(&a);
}

TEST(body_replaces_a_value_wherever_it_stands) {
    struct arena a;
    struct replaced r;
    struct buf back = BUF_INIT(1u << 20);
    static const char json[] = "{\"messages\":[{\"content\":\"my BSN is 123456782, password: Tr0ub4dor&3\"},"
                               "{\"content\":\"I used Tr0ub4dor&3 and 123456782 (1234.56.782), not 1234567820\"}]}";
    arena_init(&a, 1u << 20, 0);
    struct slice out = replace(&a, slice_str(json), &r);
    CHECK(!holds(out, "Tr0ub4dor") && !holds(out, "123456782,") && !holds(out, "123456782 ") &&
          !holds(out, "1234.56.782"));
    CHECK(holds(out, "1234567820"));
    CHECK_EQ(restore_text(&r.aliases, r.standins, out, true, false, &back), ERR_OK);
    CHECK_MEM(back.p, back.len, json, sizeof json - 1);
    buf_done(&back);
    arena_done(&a);
}

TEST(body_masks_secrets_only_where_that_is_asked) {
    struct arena a;
    struct replaced r;
    struct body b = {.a = &a, .detector = detector_of_tests(), .json = slice_str(chat)};
    bool more;
    arena_init(&a, 1u << 20, 0);
    CHECK_EQ(body_find(&b, SIZE_MAX, &more), ERR_OK);
    CHECK(body_has_personal(&b) && body_has_secret(&b));
    CHECK_EQ(body_replace(&b, &key, true, &r), ERR_OK);
    CHECK(holds(r.json, "jane.doe@corp.com") && holds(r.json, "4111 1111") && !holds(r.json, "AKIA"));
    arena_done(&a);
}

TEST(body_scans_only_what_is_new) {
    struct memo *memo = memo_new(1024);
    struct arena a;
    bool more;
    arena_init(&a, 1u << 20, 0);
    CHECK(memo != NULL);
    struct body b = {.a = &a, .detector = detector_of_tests(), .memo = memo, .json = slice_str(chat)};
    CHECK_EQ(body_find(&b, 64, &more), ERR_OK);
    CHECK(more && b.n == 0); // too much for so few bytes: the second text did not fit
    CHECK_EQ(body_find(&b, SIZE_MAX, &more), ERR_OK);
    size_t found = b.n;
    CHECK(!more && found > 6);
    CHECK_EQ(body_find(&b, 64, &more), ERR_OK);
    CHECK(!more && b.n == found && b.scanned_bytes < 64);
    arena_done(&a);
    memo_free(memo);
}

TEST(body_survives_each_failed_allocation) {
    struct arena a;
    CHECK(detector_of_tests() != NULL);
    for (unsigned long k = 1; k < 2000; k++) {
        struct replaced r;
        arena_init(&a, 1u << 20, 0);
        mem_fail_at(k);
        struct slice out = replace(&a, slice_str(chat), &r);
        unsigned long used = mem_count();
        mem_fail_at(0);
        // Either it failed, or nothing private is in it.
        for (size_t i = 0; out.p && i < sizeof private_texts / sizeof private_texts[0]; i++)
            CHECK(!holds(out, private_texts[i]));
        arena_done(&a);
        if (used < k)
            break;
    }
}

TEST(body_reads_broken_json_only_inside) {
    struct slice json = slice_str(chat);
    for (size_t n = 0; n < json.n; n++) {
        struct arena a;
        struct replaced r;
        char *copy = mem_alloc(n + 1);
        arena_init(&a, 1u << 20, 0);
        memcpy(copy, json.p, n);
        CHECK(n == 0 || replace(&a, slice_of(copy, n), &r).p != NULL);
        arena_done(&a);
        mem_free(copy);
    }
}
