// SPDX-License-Identifier: Apache-2.0
#ifndef GRID_DISCOVERY_H
#define GRID_DISCOVERY_H
// Asking an endpoint which models it has. Main thread.
#include "grid/snapshot.h"

struct found_model {
    struct slice name;
    struct slice owner; // `owned_by`
    bool cloud;         // Ollama passes it on to a cloud
    bool has_zone;      // another gridtie says where it stands
    enum zone zone;
    int64_t context;             // 0 unknown
    struct price price;          // what OpenRouter says; else unknown
    int vision, tools, thinking; // -1 not said, 0, 1
    int64_t size_bytes;
    struct slice family, quantization, parameter_size, digest;
};

// Reads a list of models by the endpoint's dialect; slices in the arena. ERR_UP_PROTOCOL: it is none.
MUST_CHECK enum err found_read(enum dialect_id dialect, struct slice body, struct arena *a, struct found_model **ret,
                               size_t *ret_n);

struct probe;
// health_only: it is asked only while it is sick, and its list is not read.
// changed(ctx) is called when the list is another one (the first success included), and when the place is lost. Takes a
// reference of e.
MUST_CHECK enum err probe_new(struct loop *l, struct client *c, struct endpoint *e, struct endpoint_live *live,
                              bool health_only, void (*changed)(void *ctx), void *ctx, struct probe **ret);
// Every second or so: asks where traffic gave a reason. It may call changed.
void probe_tick(struct probe *p, uint64_t now_ms);
bool probe_is_for_health(const struct probe *p);
void probe_close(struct probe *p, void (*closed)(void *ctx), void *ctx);
struct endpoint *probe_endpoint(const struct probe *p);
void probe_set_endpoint(struct probe *p, struct endpoint *e); // the same place, after a reload
// Nobody answers there any more: the connection was refused, more than once.
bool probe_lost(const struct probe *p);
// False: nothing is known yet. The list is borrowed until the loop's next turn.
bool probe_found(const struct probe *p, const struct found_model **ret, size_t *ret_n);

#endif
