// SPDX-License-Identifier: Apache-2.0
// What codecs share: paths in messages, splicing, data URLs, levels of thinking.
#include "base/mem.h"
#include "dialect/codec.h"
#include "unit.h"

static struct arena arena;

static void fresh(void) {
    arena_done(&arena);
    arena_init(&arena, 64 << 20, 0);
}

static enum err open_reader(struct field_reader *rd, struct problem *p, const char *body) {
    fresh();
    return field_reader_open(rd, &arena, slice_str(body), p);
}

#define CHECK_SLICE(s, text) CHECK_STREQ(arena_cstr(&arena, (s)), (text))

TEST(field_path_names_members_and_elements) {
    struct field_reader rd;
    struct problem p;
    CHECK_EQ(open_reader(&rd, &p, "{\"a\":[1,{\"b\":2}]}"), ERR_OK);
    yyjson_val *v = yyjson_doc_get_root(rd.doc.doc);
    const struct field_at root = FIELD_ROOT(v), a = FIELD_MEMBER(&root, "a", yyjson_obj_get(v, "a"));
    const struct field_at item = FIELD_ELEMENT(&a, 1, yyjson_arr_get(a.val, 1));
    struct slice s = SLICE_NONE;
    CHECK_EQ(field_str(&rd, &item, "b", &s), ERR_BAD_FIELD);
    CHECK_SLICE(p.param, "a[1].b");
    CHECK_SLICE(p.message, "a[1].b: expected a string, got a number");
    CHECK_EQ(field_missing(&rd, &root, "model"), ERR_MISSING_FIELD);
    CHECK_SLICE(p.message, "model: this field is required");
    fresh();
}

TEST(field_reader_refuses_what_is_no_object) {
    struct field_reader rd;
    struct problem p;
    CHECK_EQ(open_reader(&rd, &p, ""), ERR_BAD_JSON);
    CHECK_EQ(open_reader(&rd, &p, "{\"a\":"), ERR_BAD_JSON);
    CHECK(p.message.n > 0);
    CHECK_EQ(open_reader(&rd, &p, "[]"), ERR_BAD_FIELD);
    CHECK_SLICE(p.message, "the body: expected an object, got an array");
    fresh();
}

TEST(field_numbers_know_their_bounds) {
    struct field_reader rd;
    struct problem p;
    int64_t i = 7;
    double d = 7;
    CHECK_EQ(open_reader(&rd, &p, "{\"a\":2.0,\"b\":2.5,\"c\":99,\"d\":18446744073709551615,\"e\":null}"), ERR_OK);
    const struct field_at root = FIELD_ROOT(yyjson_doc_get_root(rd.doc.doc));
    CHECK_EQ(field_int(&rd, &root, "e", 0, 10, &i), ERR_OK);
    CHECK_EQ(field_int(&rd, &root, "absent", 0, 10, &i), ERR_OK);
    CHECK_EQ(i, 7);
    CHECK_EQ(field_int(&rd, &root, "a", 0, 10, &i), ERR_OK);
    CHECK_EQ(i, 2);
    CHECK_EQ(field_int(&rd, &root, "b", 0, 10, &i), ERR_BAD_FIELD);
    CHECK_EQ(field_int(&rd, &root, "c", 0, 10, &i), ERR_BAD_FIELD);
    CHECK_SLICE(p.message, "c: expected an integer from 0 to 10");
    CHECK_EQ(field_int(&rd, &root, "d", 0, INT64_MAX, &i), ERR_BAD_FIELD);
    CHECK_EQ(field_num(&rd, &root, "b", 0, 1, &d), ERR_BAD_FIELD);
    CHECK_EQ(i, 2);
    fresh();
}

TEST(field_check_once_finds_a_double) {
    static const char *const names[] = {"model", "n", NULL};
    struct field_reader rd;
    struct problem p;
    CHECK_EQ(open_reader(&rd, &p, "{\"x\":1,\"model\":\"a\",\"x\":2,\"model\":\"b\"}"), ERR_OK);
    const struct field_at root = FIELD_ROOT(yyjson_doc_get_root(rd.doc.doc));
    CHECK_EQ(field_check_once(&rd, &root, names), ERR_BAD_FIELD);
    CHECK_SLICE(p.param, "model");
    struct slice *list;
    size_t n;
    CHECK_EQ(field_unmodelled(&rd, root.val, names, &list, &n), ERR_OK);
    CHECK_EQ(n, 2);
    CHECK_SLICE(list[0], "x");
    fresh();
}

static const char *spliced(const char *src, const struct edit *edits, size_t n) {
    struct field_reader rd;
    struct problem p;
    struct slice out = SLICE_NONE;
    if (open_reader(&rd, &p, src) || splice(&arena, &rd.doc, edits, n, NULL, 0, &out))
        return "error";
    return out.p == rd.doc.src.p ? "same" : arena_cstr(&arena, out);
}

TEST(splice_replaces_adds_and_removes) {
    const struct edit set[] = {{"model", SLICE("\"b\"")}};
    CHECK_STREQ(spliced("{ \"model\" : \"a\" , \"n\":1 }", set, 1), "{ \"model\" : \"b\" , \"n\":1 }");
    CHECK_STREQ(spliced("{}", set, 1), "{\"model\":\"b\"}");
    CHECK_STREQ(spliced(" {\"n\" : [1, 2] } ", set, 1), " {\"n\" : [1, 2],\"model\":\"b\" } ");
    CHECK_STREQ(spliced("{\"model\":\"b\"}", set, 1), "same");
    CHECK_STREQ(spliced("{\"model\":\"a\",\"model\":\"c\"}", set, 1), "{\"model\":\"b\",\"model\":\"b\"}");
    const struct edit cut[] = {{"a", SLICE_NONE}, {"c", SLICE_NONE}};
    CHECK_STREQ(spliced("{\"a\":1, \"b\":2, \"c\":3}", cut, 2), "{\"b\":2}");
    CHECK_STREQ(spliced("{\"a\":1,\"c\":3}", cut, 2), "{}");
    CHECK_STREQ(spliced("{\"b\":1}", cut, 2), "same");
    const struct edit both[] = {{"a", SLICE_NONE}, {"x", SLICE("true")}};
    CHECK_STREQ(spliced("{\"a\":{\"a\":1}}", both, 2), "{\"x\":true}");
    CHECK_STREQ(spliced("{\"\\u0061\":1,\"b\":\"}\\\"\"}", both, 2), "{\"b\":\"}\\\"\",\"x\":true}");
    fresh();
}

TEST(splice_patches_inner_bytes) {
    struct field_reader rd;
    struct problem p;
    struct slice out = SLICE_NONE;
    CHECK_EQ(open_reader(&rd, &p, "{\"a\":{\"r\":\"x\"},\"b\":{\"r\":\"y\"},\"c\":1}"), ERR_OK);
    yyjson_val *root = yyjson_doc_get_root(rd.doc.doc);
    const struct patch patches[] = {
        {json_get_src(&rd.doc, yyjson_obj_get(root, "a"), "r"), SLICE("\"longer\"")},
        {json_get_src(&rd.doc, yyjson_obj_get(root, "b"), "r"), SLICE("0")},
    };
    const struct edit edits[] = {{"c", SLICE("2")}};
    CHECK_EQ(splice(&arena, &rd.doc, edits, 1, patches, 2, &out), ERR_OK);
    CHECK_SLICE(out, "{\"a\":{\"r\":\"longer\"},\"b\":{\"r\":0},\"c\":2}");
    fresh();
}

TEST(src_walk_keeps_step_with_elements) {
    struct src_walk w = src_walk_array(SLICE("[ {\"a\":\"]\"} , 2,\"x,y\"\n]"));
    fresh();
    CHECK_SLICE(src_walk_next(&w), "{\"a\":\"]\"}");
    CHECK_SLICE(src_walk_next(&w), "2");
    CHECK_SLICE(src_walk_next(&w), "\"x,y\"");
    w = src_walk_array(SLICE_NONE);
    CHECK(!src_walk_next(&w).p);
    fresh();
}

TEST(data_url_split_takes_base64_only) {
    struct slice type, data;
    fresh();
    CHECK(data_url_split(SLICE("data:image/png;base64,AA=="), &type, &data));
    CHECK_SLICE(type, "image/png");
    CHECK_SLICE(data, "AA==");
    CHECK(data_url_split(SLICE("DATA:text/plain;charset=utf-8;base64,QQ"), &type, &data));
    CHECK_SLICE(type, "text/plain");
    CHECK(!data_url_split(SLICE("data:text/plain,hello"), &type, &data));
    CHECK(!data_url_split(SLICE("https://x.example/a.png"), &type, &data));
    CHECK(!data_url_split(SLICE("data:image/png;base64"), &type, &data));
    fresh();
}

TEST(thinking_levels_and_budgets_agree) {
    const enum think levels[] = {THINK_OFF, THINK_MINIMAL, THINK_LOW, THINK_MEDIUM, THINK_HIGH, THINK_UNSET};
    for (size_t i = 0; i < sizeof levels / sizeof levels[0]; i++)
        CHECK_EQ(think_of_budget(budget_of_think(levels[i])), levels[i]);
    struct request r;
    request_init(&r);
    CHECK_EQ(request_think_level(&r), THINK_UNSET);
    r.think = THINK_ON;
    CHECK_EQ(request_think_level(&r), THINK_ON);
    r.think_budget = 20000;
    CHECK_EQ(request_think_level(&r), THINK_HIGH);
    r.think = THINK_LOW;
    CHECK_EQ(request_think_level(&r), THINK_LOW);
}

TEST(arguments_object_is_an_object_or_nothing) {
    fresh();
    CHECK_SLICE(arguments_object(&arena, SLICE(" {\"a\":1} ")), "{\"a\":1}");
    CHECK_SLICE(arguments_object(&arena, SLICE("")), "{}");
    CHECK(!arguments_object(&arena, SLICE("[1]")).p);
    CHECK(!arguments_object(&arena, SLICE("{\"a\":")).p);
    fresh();
}

static enum err frame_try(struct slice text) {
    struct frame_json f;
    enum err e = frame_json_open(&f, text);
    frame_json_close(&f);
    return e;
}

TEST(frame_json_takes_memory_for_large_frames_only) {
    unsigned long before = mem_count();
    CHECK_EQ(frame_try(SLICE("{\"a\":[1,2,{\"b\":\"text\"}]}")), ERR_OK);
    CHECK_EQ(frame_try(SLICE("{\"a\":[1,2,")), ERR_UP_PROTOCOL);
    CHECK_EQ(frame_try(SLICE("[]")), ERR_UP_PROTOCOL);
    CHECK_EQ(frame_try(SLICE("")), ERR_UP_PROTOCOL);
    CHECK_EQ(mem_count(), before);
    char large[3 * FRAME_ROOM_BYTES];
    memset(large, 'x', sizeof large);
    const struct slice open = SLICE("{\"a\":\""), close = SLICE("\"}");
    memcpy(large, open.p, open.n);
    memcpy(large + sizeof large - close.n, close.p, close.n);
    CHECK_EQ(frame_try(slice_of(large, sizeof large)), ERR_OK);
    CHECK(mem_count() > before);
    mem_fail_at(1);
    CHECK_EQ(frame_try(slice_of(large, sizeof large)), ERR_NO_MEMORY);
    mem_fail_at(0);
    memset(large, '[', sizeof large); // more values a byte than any valid JSON has
    CHECK_EQ(frame_try(slice_of(large, FRAME_ROOM_BYTES - 1)), ERR_UP_PROTOCOL);
    CHECK_EQ(frame_try(slice_of(large, sizeof large)), ERR_UP_PROTOCOL);
}

TEST(frame_json_finds_its_values_in_the_source) {
    struct frame_json f;
    fresh();
    CHECK_EQ(frame_json_open(&f, SLICE("{\"a\": {\"b\": 1}}")), ERR_OK);
    CHECK_SLICE(json_get_src(&f.doc, f.root, "a"), "{\"b\": 1}");
    frame_json_close(&f);
    fresh();
}
