// SPDX-License-Identifier: Apache-2.0
// Names: what is one, what is none, and that no name leads out of its folder.
#include "store/name.h"
#include "unit.h"

static const char *parsed(const char *given) {
    static char name[NAME_BYTES];
    struct buf problem = BUF_INIT(512);
    bool ok = name_parse(slice_str(given), name, &problem);
    bool said = problem.len > 0;
    buf_done(&problem);
    return ok ? name : said ? NULL : "refused without a word";
}

TEST(store_names_get_their_tag) {
    CHECK_STREQ(parsed("smollm2"), "smollm2:latest");
    CHECK_STREQ(parsed("smollm2:135m"), "smollm2:135m");
    CHECK_STREQ(parsed("hf.co/org/Repo-GGUF:Q4_K_M"), "hf.co/org/Repo-GGUF:Q4_K_M");
}

TEST(store_names_that_are_none) {
    static const char *const bad[] = {"",     ":",   "a:",      ":b",       "..",   "../x",     "a/../b", "/etc/passwd",
                                      "a//b", "a/",  ".hidden", "a\nb",     "a b",  "a\x1b[2J", "a:b:c",  "a:b/c",
                                      "-rf",  "a+b", "a@b",     "\xc3\xbc", "a/./b"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        CHECK_STREQ(parsed(bad[i]), NULL);
    char nul[] = {'a', 0, 'b'}, name[NAME_BYTES], longest[NAME_BYTES + 40];
    struct buf problem = BUF_INIT(512);
    CHECK(!name_parse(slice_of(nul, 3), name, &problem));
    memset(longest, 'a', sizeof longest);
    size_t most = NAME_BYTES - 1 - (sizeof ":latest" - 1);
    CHECK(name_parse(slice_of(longest, most), name, &problem));
    CHECK(!name_parse(slice_of(longest, most + 1), name, &problem));
    buf_done(&problem);
}

TEST(store_names_of_files_hold_no_slash) {
    struct buf out = BUF_INIT(512);
    name_file("hf.co/org/repo:Q4_0", &out);
    CHECK_STREQ(buf_cstr(&out), "hf.co+org+repo@Q4_0");
    buf_done(&out);
}

TEST(store_names_made_of_anything) {
    char name[NAME_BYTES];
    CHECK(name_make(SLICE("../My Model (v2)"), SLICE("q4"), name));
    CHECK_STREQ(name, "My-Model--v2:q4");
    CHECK(name_make(SLICE("org//re\x01po/"), SLICE_NONE, name));
    CHECK_STREQ(name, "org/re-po:latest");
    CHECK(!name_make(SLICE("../.."), SLICE_NONE, name));
    CHECK(!name_make(SLICE("a"), SLICE("b/c"), name));
}

TEST(store_names_are_the_same_without_latest) {
    CHECK(model_name_same(SLICE("a:latest"), SLICE("a")) && model_name_same(SLICE("a:b"), SLICE("a:b")));
    CHECK(!model_name_same(SLICE("a:b"), SLICE("a")) && !model_name_same(SLICE("a:latest"), SLICE("")));
}

TEST(store_split_names) {
    struct split_name s;
    CHECK(split_name_parse(SLICE("dir/big-00002-of-00013.gguf"), &s));
    CHECK_EQ(s.part, 2);
    CHECK_EQ(s.of, 13);
    CHECK_EQ(s.stem_bytes, 7);
    static const char *const none[] = {"big.gguf",
                                       "-00001-of-00002.gguf",
                                       "x-00003-of-00002.gguf",
                                       "x-00000-of-00002.gguf",
                                       "x-0001-of-0002.gguf",
                                       "x-0000a-of-00002.gguf",
                                       "x-00001-of-00002.ggu"};
    for (size_t i = 0; i < sizeof none / sizeof none[0]; i++)
        CHECK(!split_name_parse(slice_str(none[i]), &s));
}
