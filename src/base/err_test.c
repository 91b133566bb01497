// SPDX-License-Identifier: Apache-2.0
// The error table: every row is whole, named as clients and logs see it, and no name is there twice.
#include "base/err.h"
#include "base/slice.h"
#include "unit.h"

TEST(err_rows_are_whole) {
    for (int i = 0; i < ERR_COUNT; i++) {
        const struct err_row *row = err_row((enum err)i);
        CHECK(strspn(row->name, "abcdefghijklmnopqrstuvwxyz_") == strlen(row->name) && row->name[0]);
        CHECK(row->status == 200 || (row->status >= 400 && row->status < 600));
        CHECK(row->text && row->text[0]);
        for (int j = 0; j < i; j++)
            CHECK(strcmp(row->name, err_row((enum err)j)->name) != 0);
    }
    CHECK_STREQ(err_name(ERR_MODEL_NOT_FOUND), "model_not_found");
    CHECK_EQ(err_row(ERR_UP_CONNECT)->retriable, true);
    CHECK_EQ(err_row(ERR_OK)->fault, FAULT_NOBODY);
}

TEST(err_out_of_the_table_is_internal) {
    CHECK_STREQ(err_name((enum err)9999), "internal");
}
