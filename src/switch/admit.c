// SPDX-License-Identifier: Apache-2.0
// Admit: who is it, is the key good, did the request pass here before, by when must it be answered. The same check of
// the credential runs when only the head is there, so that a stranger can't make us hold a large body.
#include "switch/admit.h"
#include "base/clock.h"
#include "ledger/keyring.h"
#include "switch/money.h"
#include "switch/worker.h"

static struct slice query_key(struct slice query) {
    while (query.n) {
        struct slice pair = slice_split(&query, '&');
        if (slice_starts(pair, "key="))
            return slice_from(pair, 4);
    }
    return SLICE_NONE;
}

// The credential as each dialect's clients send it; empty if there is none.
static struct slice credential_of(const struct headers *h, struct slice query) {
    struct slice v = headers_get(h, "authorization");
    if (v.n > 7 && slice_eq_nocase(slice_first(v, 7), SLICE("bearer ")))
        return slice_trim(slice_from(v, 7));
    v = headers_get(h, "x-api-key");
    if (!v.p)
        v = headers_get(h, "x-goog-api-key");
    return v.p ? v : query_key(query);
}

static const struct config_key *key_of(const struct config *c, const struct keyring *ring, struct slice given) {
    const struct config_key *found = keyring_find(ring, given);
    for (size_t i = 0; i < c->n_keys; i++) // all of them, so that time does not tell which
        if (secret_equals(&c->keys[i].secret, given))
            found = &c->keys[i];
    return found;
}

enum err admit_credential(const struct config *c, const struct keyring *ring, const struct headers *h,
                          struct slice query, bool loopback, struct caller *ret) {
    struct slice given = credential_of(h, query);
    const struct config_key *key = key_of(c, ring, given);
    bool any = c->n_keys > 0 || keyring_any(ring);
    bool owner = !key && (!any || keyring_is_owner(ring, given) || (loopback && c->loopback == LOOPBACK_OWNER));
    if (!key && !owner)
        return ERR_UNAUTHORIZED;
    *ret = (struct caller){key, owner};
    return ERR_OK;
}

static bool header_number(const struct exchange *x, const char *name, uint64_t most, uint64_t *ret, bool *ret_bad) {
    struct slice v = headers_get(x->in.headers, name);
    if (!v.p)
        return false;
    *ret_bad = !slice_u64(slice_trim(v), ret) || *ret > most;
    return !*ret_bad;
}

// How many gateways it came through. More than any number of ours can say is a loop too.
static bool read_hops(struct exchange *x) {
    struct slice v = slice_trim(headers_get(x->in.headers, "x-gridtie-hop"));
    uint64_t n = LIMIT_HOPS;
    size_t digits = 0;
    while (digits < v.n && v.p[digits] >= '0' && v.p[digits] <= '9')
        digits++;
    if (digits < v.n || (v.p && !v.n))
        return false;
    x->hops = !v.p ? 0 : slice_u64(v, &n) && n < LIMIT_HOPS ? (unsigned)n : LIMIT_HOPS;
    return true;
}

enum step_result step_admit(struct exchange *x) {
    bool bad = false;
    uint64_t v = 0;
    struct caller caller;
    if (admit_credential(x->snap->config, x->w->keyring, x->in.headers, x->in.query, x->in.loopback, &caller))
        return exchange_refuse(x, ERR_UNAUTHORIZED, NULL);
    x->key = caller.key;
    if (!read_hops(x))
        return exchange_refuse(x, ERR_BAD_FIELD, "x-gridtie-hop: expected a number");
    if (x->hops >= LIMIT_HOPS)
        return exchange_refuse(x, ERR_LOOP, NULL);
    if (header_number(x, "x-gridtie-deadline-ms", 86400000, &v, &bad))
        x->deadline_ms = clock_mono_ms() + v;
    if (bad)
        return exchange_refuse(x, ERR_BAD_FIELD, "x-gridtie-deadline-ms: expected milliseconds, at most a day");
    return money_admit(x);
}
