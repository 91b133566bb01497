// SPDX-License-Identifier: Apache-2.0
#ifndef STORE_FOREIGN_H
#define STORE_FOREIGN_H
#include "store/models.h"

// Adds what other programs' stores on this disk hold and nobody has named yet. Reads only.
void foreign_add(struct models *m);

#endif
