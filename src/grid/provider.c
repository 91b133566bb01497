// SPDX-License-Identifier: Apache-2.0
// The table of providers: providers.def as an array, found by name. A provider is a row of data: a new one needs a row
// there and nothing here. Read-only, any thread, no memory.
#include "grid/grid.h"

const struct provider providers[] = {
#define PROVIDER(name_, dialect_, auth_, url_, zone_, quirks_, models_, needs_key_, env_) \
    {.name = (name_),                                                                     \
     .dialect = DIALECT_##dialect_,                                                       \
     .auth = AUTH_##auth_,                                                                \
     .default_url = (url_),                                                               \
     .zone = ZONE_##zone_,                                                                \
     .quirks = (quirks_),                                                                 \
     .models_path = (models_),                                                            \
     .needs_key = (needs_key_),                                                           \
     .key_env = (env_)},
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
