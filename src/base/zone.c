// SPDX-License-Identifier: Apache-2.0
// Names of zones, labels and conditions, and the default matrix: the words of config, headers, records and `why`. Tables
// only. What they mean for a request is decided in ir/reach.c; nothing here widens anything.
#include "base/zone.h"

static const char *const zones[ZONE_COUNT] = {"device", "edge", "sealed", "cloud"};
static const char *const labels[LABEL_COUNT] = {"public", "internal", "personal", "secret"};
static const char *const conditions[COND_COUNT] = {"no", "pseudonymised_no_retention", "pseudonymised", "no_retention",
                                                   "yes"};

const enum condition reach_default_matrix[LABEL_COUNT][ZONE_COUNT] = {
    [LABEL_PUBLIC] = {COND_YES, COND_YES, COND_YES, COND_YES},
    [LABEL_INTERNAL] = {COND_YES, COND_YES, COND_YES, COND_NO_RETENTION},
    [LABEL_PERSONAL] = {COND_YES, COND_YES, COND_YES, COND_PSEUDONYMISED},
    [LABEL_SECRET] = {COND_YES, COND_NO, COND_NO, COND_NO},
};

const char *zone_name(enum zone z) {
    return (unsigned)z < ZONE_COUNT ? zones[z] : "";
}

const char *label_name(enum label l) {
    return (unsigned)l < LABEL_COUNT ? labels[l] : "";
}

const char *condition_name(enum condition c) {
    return (unsigned)c < COND_COUNT ? conditions[c] : "";
}

static bool name_find(const char *const *names, int n, struct slice s, int *ret) {
    for (int i = 0; i < n; i++) {
        if (!slice_is(s, names[i]))
            continue;
        *ret = i;
        return true;
    }
    return false;
}

bool zone_parse(struct slice s, enum zone *ret) {
    int i;
    if (!name_find(zones, ZONE_COUNT, s, &i))
        return false;
    *ret = (enum zone)i;
    return true;
}

bool label_parse(struct slice s, enum label *ret) {
    int i;
    if (!name_find(labels, LABEL_COUNT, s, &i))
        return false;
    *ret = (enum label)i;
    return true;
}

bool condition_parse(struct slice s, enum condition *ret) {
    int i;
    if (!name_find(conditions, COND_COUNT, s, &i))
        return false;
    *ret = (enum condition)i;
    return true;
}
