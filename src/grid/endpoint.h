// SPDX-License-Identifier: Apache-2.0
#ifndef GRID_ENDPOINT_H
#define GRID_ENDPOINT_H
#include "grid/grid.h"

// The name of the endpoint that stands for the supervised engine; config can't take it.
#define ENDPOINT_ENGINE "local"

// One reference, owned. ERR_BAD_FIELD with *problem appended ("line N: endpoint 'x': …"), ERR_NO_MEMORY.
MUST_CHECK enum err endpoint_new(const struct config_endpoint *c, struct endpoint **ret, struct buf *problem);
MUST_CHECK enum err endpoint_new_engine(struct endpoint **ret);
struct endpoint *endpoint_ref(struct endpoint *e);
void endpoint_unref(struct endpoint *e); // any thread; NULL is allowed
// Is this endpoint of config on that port of this machine?
bool endpoint_config_on_port(const struct config_endpoint *c, uint16_t port);
// Does url lead to the provider's own host?
bool endpoint_url_is_default(const struct provider *p, const char *url);
// Same place, credential and zone: what was discovered about the one holds for the other.
bool endpoint_same_place(const struct endpoint *a, const struct endpoint *b);

#endif
