// SPDX-License-Identifier: Apache-2.0
// The table of providers: providers.def as an array, found by name. A provider is a row of data: a new one needs a row
// there and nothing here. Read-only, any thread, no memory.
#include "grid/grid.h"

#define LACKS(...) ((const char *const[]){__VA_ARGS__, NULL})

const struct provider providers[] = {
#define PROVIDER(...) {__VA_ARGS__},
#include "grid/providers.def"
#undef PROVIDER
};
const size_t n_providers = sizeof providers / sizeof providers[0];

const struct auth_header *auth_header(enum auth a) {
    static const struct auth_header rows[] = {
        [AUTH_NONE] = {{NULL, 0}, {NULL, 0}},
        [AUTH_BEARER] = {{"authorization", 13}, {"Bearer ", 7}},
        [AUTH_X_API_KEY] = {{"x-api-key", 9}, {NULL, 0}},
        [AUTH_X_GOOG_API_KEY] = {{"x-goog-api-key", 14}, {NULL, 0}},
        [AUTH_API_KEY] = {{"api-key", 7}, {NULL, 0}},
    };
    return &rows[a];
}

const struct provider *provider_by_name(struct slice name) {
    for (size_t i = 0; i < n_providers; i++)
        if (slice_is(name, providers[i].name))
            return &providers[i];
    return NULL;
}
