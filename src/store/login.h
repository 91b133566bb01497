// SPDX-License-Identifier: Apache-2.0
#ifndef STORE_LOGIN_H
#define STORE_LOGIN_H
// Logging in where a registry asks for it.
#include "base/secret.h"
#include "store/wire.h"

// A wire's login_ctx while one registry is spoken to.
struct login {
    struct wire *wire;
    struct secret *token; // what its calls bear; set anew by each login
    bool use_key;         // Ollama's own key may sign
};
// For wire.login: fetches the token that a challenge names.
bool login_by_challenge(void *ctx, const struct wire_call *refused);

// A parameter of `Bearer realm="…",service="…"`; SLICE_NONE: it has none. Borrowed of challenge.
struct slice challenge_get(struct slice challenge, const char *name);
// "PUBLIC:SIGNATURE" of a text by the ed25519 key in a file of OpenSSH's form without a passphrase, both in base64, as
// Ollama's registry wants it. False: no such key.
bool ollama_sign(const char *key_path, struct slice text, struct buf *out);

#endif
