// SPDX-License-Identifier: Apache-2.0
#ifndef BASE_ZONE_H
#define BASE_ZONE_H
// Where a target stands, how private a request is, and what the one asks of the other (design: zones and labels).
#include "base/slice.h"

enum zone { ZONE_DEVICE, ZONE_EDGE, ZONE_SEALED, ZONE_CLOUD, ZONE_COUNT };
enum label { LABEL_PUBLIC, LABEL_INTERNAL, LABEL_PERSONAL, LABEL_SECRET, LABEL_COUNT };
// From narrow to wide. BOTH: pseudonymised, and only where nothing is kept.
enum condition { COND_NO, COND_BOTH, COND_PSEUDONYMISED, COND_NO_RETENTION, COND_YES, COND_COUNT };

const char *zone_name(enum zone z);
const char *label_name(enum label l);
const char *condition_name(
    enum condition c); // "no", "pseudonymised_no_retention", "pseudonymised", "no_retention", "yes"
// False: no such name; *ret is untouched.
bool zone_parse(struct slice s, enum zone *ret);
bool label_parse(struct slice s, enum label *ret);
bool condition_parse(struct slice s, enum condition *ret);

// What a label may do in a zone when config says nothing.
extern const enum condition reach_default_matrix[LABEL_COUNT][ZONE_COUNT];

#endif
