// SPDX-License-Identifier: Apache-2.0
#ifndef SWITCH_ADMIT_H
#define SWITCH_ADMIT_H
#include "config/config.h"
#include "net/http.h"

// query: the raw query of the address, in which Gemini's clients may put a key. Who sends these headers? *ret_key is NULL where no key is needed. ERR_UNAUTHORIZED when a key is needed (any key is
// configured, unless the peer is on loopback and `loopback: owner` is set) and none that is given is one of them.
MUST_CHECK enum err admit_credential(const struct config *c, const struct headers *h, struct slice query, bool loopback,
                                     const struct config_key **ret_key);

#endif
