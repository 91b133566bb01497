// SPDX-License-Identifier: Apache-2.0
// Reach only ever narrows.
#include "ir/reach.h"
#include "base/buf.h"
#include "unit.h"

TEST(reach_up_to_stops_at_the_widest) {
    struct reach r = reach_up_to(ZONE_EDGE);
    CHECK(reach_allows(&r, ZONE_DEVICE, true, false));
    CHECK(reach_allows(&r, ZONE_EDGE, true, false));
    CHECK(!reach_allows(&r, ZONE_CLOUD, false, false));
    CHECK_EQ(reach_mask(&r), (1u << ZONE_DEVICE) | (1u << ZONE_EDGE));
}

TEST(reach_intersect_is_the_stricter_and_never_widens) {
    const enum condition all[] = {COND_NO, COND_BOTH, COND_PSEUDONYMISED, COND_NO_RETENTION, COND_YES};
    for (int i = 0; i < 5; i++) {
        for (int j = 0; j < 5; j++) {
            struct reach a = reach_up_to(ZONE_CLOUD), b = a;
            a.zones[ZONE_CLOUD] = all[i];
            b.zones[ZONE_CLOUD] = all[j];
            struct reach ab = reach_intersect(a, b), ba = reach_intersect(b, a);
            CHECK_EQ(ab.zones[ZONE_CLOUD], ba.zones[ZONE_CLOUD]);
            for (int keeps = 0; keeps < 2; keeps++) {
                for (int done = 0; done < 2; done++)
                    CHECK_EQ(reach_allows(&ab, ZONE_CLOUD, keeps, done),
                             reach_allows(&a, ZONE_CLOUD, keeps, done) && reach_allows(&b, ZONE_CLOUD, keeps, done));
            }
        }
    }
}

TEST(reach_pseudonymised_with_no_retention_needs_both) {
    struct reach a = reach_up_to(ZONE_CLOUD), b = a;
    a.zones[ZONE_CLOUD] = COND_PSEUDONYMISED;
    b.zones[ZONE_CLOUD] = COND_NO_RETENTION;
    struct reach both = reach_intersect(a, b);
    CHECK_EQ(both.zones[ZONE_CLOUD], COND_BOTH);
    CHECK(reach_allows(&both, ZONE_CLOUD, false, true));
    CHECK(!reach_allows(&both, ZONE_CLOUD, true, true) && !reach_allows(&both, ZONE_CLOUD, false, false));
    CHECK(reach_allows(&a, ZONE_CLOUD, true, true) && !reach_allows(&a, ZONE_CLOUD, true, false));
}

TEST(reach_no_retention_asks_for_the_endpoint) {
    struct reach r = reach_up_to(ZONE_CLOUD);
    r.zones[ZONE_CLOUD] = COND_NO_RETENTION;
    CHECK(reach_allows(&r, ZONE_CLOUD, false, false));
    CHECK(!reach_allows(&r, ZONE_CLOUD, true, false));
    CHECK(reach_mask(&r) & (1u << ZONE_CLOUD));
}

TEST(reach_of_label_is_its_row) {
    enum condition matrix[LABEL_COUNT][ZONE_COUNT] = {0};
    matrix[1][ZONE_EDGE] = COND_YES;
    struct reach r = reach_of_label(matrix, (enum label)1);
    CHECK(reach_allows(&r, ZONE_EDGE, true, false));
    CHECK(!reach_allows(&r, ZONE_DEVICE, false, false));
}

TEST(reach_print_names_zones) {
    struct reach r = reach_up_to(ZONE_DEVICE);
    struct buf b = BUF_INIT(256);
    reach_print(&r, &b);
    CHECK(slice_starts(buf_slice(&b), "device=yes edge=no"));
    buf_done(&b);
}
