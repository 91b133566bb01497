// SPDX-License-Identifier: Apache-2.0
// Health as it is seen in passing: what requests and discovery ran into, nothing is sent to find out. An endpoint fails
// when its last three attempts at some target did, or when its list of models can't be read. Shown to people; nothing is
// decided by it yet. Any thread, atomics only.
#include "grid/health.h"

#define FAILING_AFTER 3

const char *health_name(enum health h) {
    static const char *const names[] = {"unknown", "ok", "failing"};
    return names[h];
}

const char *engine_state_name(int state) {
    static const char *const names[] = {"off", "starting", "ready", "failed"};
    return state >= ENGINE_OFF && state <= ENGINE_FAILED ? names[state] : "off";
}

enum health endpoint_health(const struct snapshot *s, size_t endpoint) {
    const struct endpoint_live *live = snapshot_endpoint_live(s, endpoint);
    enum health h = HEALTH_UNKNOWN;
    if (atomic_load_explicit(&live->last_ok_us, memory_order_relaxed) > 0)
        h = HEALTH_OK;
    if (atomic_load_explicit(&live->probe_failures, memory_order_relaxed) > 0)
        h = HEALTH_FAILING;
    for (size_t i = 0; i < s->n_targets; i++) {
        const struct target *t = &s->targets[i];
        if (t->endpoint != s->endpoints[endpoint])
            continue;
        int failed = atomic_load_explicit(&t->live->consecutive_failures, memory_order_relaxed);
        bool used = atomic_load_explicit(&t->live->requests, memory_order_relaxed) > 0;
        if (failed >= FAILING_AFTER)
            return HEALTH_FAILING;
        if (used && failed == 0 && h == HEALTH_UNKNOWN)
            h = HEALTH_OK;
    }
    return h;
}
