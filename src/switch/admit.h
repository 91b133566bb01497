// SPDX-License-Identifier: Apache-2.0
#ifndef SWITCH_ADMIT_H
#define SWITCH_ADMIT_H
#include "config/config.h"
#include "net/http.h"

struct keyring;

struct caller {
    const struct config_key *key; // NULL: none was needed
    bool owner;                   // may do what clients may not: make keys, stop the runs of others
};

// Who sends these headers? query: the raw query of the address, in which Gemini's clients may put a key. One is needed
// once there is one in the config or was one ever made, unless the peer is on loopback and `loopback: owner` is set. Where
// none is needed, and with the owner's own credential, it is the owner. ERR_UNAUTHORIZED: a key is needed, and what is
// given is none, or was revoked.
MUST_CHECK enum err admit_credential(const struct config *c, const struct keyring *ring, const struct headers *h,
                                     struct slice query, bool loopback, struct caller *ret);

#endif
