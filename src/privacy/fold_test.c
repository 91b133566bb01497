// SPDX-License-Identifier: Apache-2.0
#include "privacy/fold.h"
#include "base/mem.h"
#include "unit.h"

static bool folds_to(const char *given, const char *wanted) {
    struct folded f;
    bool ok = fold(slice_str(given), &f) == ERR_OK && slice_is(f.text, wanted);
    for (size_t i = 0; ok && f.at && i < f.text.n; i++)
        ok = f.at[i] < f.at[i + 1] || (f.at[i] == f.at[i + 1]); // never back
    if (ok && f.at)
        ok = f.at[f.text.n] == strlen(given);
    fold_done(&f);
    return ok;
}

TEST(fold_makes_ascii_of_what_looks_like_it) {
    CHECK(folds_to("plain", "plain"));
    CHECK(folds_to("", ""));
    CHECK(folds_to("\xef\xbc\x91\xef\xbc\xa1\xef\xbd\x9a\xef\xbc\xa0", "1Az@")); // full width
    CHECK(folds_to("\xd9\xa0\xd9\xa9\xdb\xb0\xdb\xb9\xe0\xa5\xaf", "09099"));    // Arabic, Persian, Devanagari
    CHECK(folds_to("\xf0\x9d\x90\x80\xf0\x9d\x9f\x97", "A9"));                   // mathematical
    CHECK(folds_to("a\xe2\x80\x8b\xe2\x81\xa0\xef\xbb\xbf"
                   "b\xcc\x88",
                   "ab")); // joints, marks
    CHECK(folds_to("1\xc2\xa0"
                   "2\xe2\x80\x93"
                   "3",
                   "1 2-3"));
    CHECK(folds_to("\xd0\xb0\xce\x9f\xd0\xb1", "aO\xd0\xb1")); // letters without a twin stay
    CHECK(folds_to("\xe6\xbc\xa2 \xc3\xa4 \xf0\x9f\x98\x80", "\xe6\xbc\xa2 \xc3\xa4 \xf0\x9f\x98\x80"));
    CHECK(folds_to("\xff\xfe\xe2\x80", "\xff\xfe\xe2\x80")); // no UTF-8
}

TEST(fold_copies_only_what_it_must) {
    struct folded f;
    struct slice s = SLICE("na\xc3\xafve \xe6\xbc\xa2");
    CHECK_EQ(fold(s, &f), ERR_OK);
    CHECK(f.text.p == s.p && !f.at);
    fold_done(&f);
    mem_fail_at(1);
    CHECK_EQ(fold(SLICE("a\xc2\xa0"
                        "b"),
                  &f),
             ERR_NO_MEMORY);
    mem_fail_at(0);
    fold_done(&f);
}
