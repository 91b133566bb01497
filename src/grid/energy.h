// SPDX-License-Identifier: Apache-2.0
#ifndef GRID_ENERGY_H
#define GRID_ENERGY_H
#include "grid/grid.h"

// What tokens cost on a machine of one's own: watts while it computes × the price of a kilowatt hour × the measured time
// per token. False: one of them is not known (yet).
bool energy_price(int64_t watts, int64_t kwh_picousd, const struct target_stats *measured, struct price *ret);
// Have measurements moved it so far (a tenth) that targets should get a new one?
bool energy_moved(const struct price *from, const struct price *to);

#endif
