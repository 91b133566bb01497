// SPDX-License-Identifier: Apache-2.0
// The table of providers: providers.def as an array, found by name. A provider is a row of data: a new one needs a row
// there and nothing here. Read-only, any thread, no memory.
#include "grid/grid.h"

const struct provider providers[] = {
#define PROVIDER(...) {__VA_ARGS__},
#include "grid/providers.def"
#undef PROVIDER
};
const size_t n_providers = sizeof providers / sizeof providers[0];

const struct provider *provider_by_name(struct slice name) {
    for (size_t i = 0; i < n_providers; i++)
        if (slice_is(name, providers[i].name))
            return &providers[i];
    return NULL;
}
