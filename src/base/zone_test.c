// SPDX-License-Identifier: Apache-2.0
// Names go both ways; the default matrix is the one of the design.
#include "base/zone.h"
#include "unit.h"

TEST(zone_names_go_both_ways) {
    for (int i = 0; i < ZONE_COUNT; i++) {
        enum zone z;
        CHECK(zone_parse(slice_str(zone_name((enum zone)i)), &z));
        CHECK_EQ(z, i);
    }
    for (int i = 0; i < LABEL_COUNT; i++) {
        enum label l;
        CHECK(label_parse(slice_str(label_name((enum label)i)), &l));
        CHECK_EQ(l, i);
    }
    for (int i = 0; i < COND_COUNT; i++) {
        enum condition c;
        CHECK(condition_parse(slice_str(condition_name((enum condition)i)), &c));
        CHECK_EQ(c, i);
    }
}

TEST(zone_refuses_other_names) {
    enum zone z = ZONE_EDGE;
    enum label l = LABEL_SECRET;
    enum condition c = COND_YES;
    CHECK(!zone_parse(SLICE("Device"), &z) && !zone_parse(SLICE_NONE, &z) && !zone_parse(SLICE("clouds"), &z));
    CHECK(!label_parse(SLICE("private"), &l) && !condition_parse(SLICE("maybe"), &c));
    CHECK(z == ZONE_EDGE && l == LABEL_SECRET && c == COND_YES);
    CHECK_STREQ(zone_name(ZONE_COUNT), "");
    CHECK_STREQ(label_name((enum label)77), "");
    CHECK_STREQ(condition_name((enum condition)77), "");
}

TEST(zone_default_matrix_is_the_designs) {
    for (int z = 0; z < ZONE_COUNT; z++)
        CHECK_EQ(reach_default_matrix[LABEL_PUBLIC][z], COND_YES);
    for (int l = 0; l < LABEL_COUNT; l++)
        CHECK_EQ(reach_default_matrix[l][ZONE_DEVICE], COND_YES);
    CHECK_EQ(reach_default_matrix[LABEL_INTERNAL][ZONE_CLOUD], COND_NO_RETENTION);
    CHECK_EQ(reach_default_matrix[LABEL_PERSONAL][ZONE_CLOUD], COND_PSEUDONYMISED);
    CHECK_EQ(reach_default_matrix[LABEL_PERSONAL][ZONE_SEALED], COND_YES);
    CHECK_EQ(reach_default_matrix[LABEL_SECRET][ZONE_EDGE], COND_NO);
    CHECK_EQ(reach_default_matrix[LABEL_SECRET][ZONE_CLOUD], COND_NO);
}
