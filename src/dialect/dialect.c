// SPDX-License-Identifier: Apache-2.0
// The table of dialects and the look-ups over it: by name, by address, and for errors where no address fits. A dialect is
// added by a row in dialects.def and its files; nobody else asks which one it is. Constant data, nothing is owned.
#include "dialect/dialect.h"

#define DIALECT(id, object) extern const struct dialect object;
#include "dialect/dialects.def"
#undef DIALECT

const struct dialect *const dialects[DIALECT_COUNT] = {
#define DIALECT(id, object) [DIALECT_##id] = &object,
#include "dialect/dialects.def"
#undef DIALECT
};

const struct dialect *dialect_by_name(struct slice name) {
    for (int i = 0; i < DIALECT_COUNT; i++)
        if (slice_is(name, dialects[i]->name))
            return dialects[i];
    return NULL;
}

const struct dialect *dialect_for(struct slice method, struct slice path, enum op *ret_op, bool *ret_known_path) {
    *ret_known_path = false;
    for (int i = 0; i < DIALECT_COUNT; i++) {
        for (const struct dialect_address *at = dialects[i]->addresses; at->method; at++) {
            if (!slice_is(path, at->path))
                continue;
            *ret_known_path = true;
            if (!slice_is(method, at->method))
                continue;
            *ret_op = at->op;
            return dialects[i];
        }
    }
    return NULL;
}

const struct dialect *dialect_for_error(struct slice path) {
    if (slice_starts(path, "/api/"))
        return dialect_get(DIALECT_OLLAMA);
    return dialect_get(slice_starts(path, "/v1/messages") ? DIALECT_ANTHROPIC : DIALECT_OPENAI);
}

enum err dialect_err_of_status(int status) {
    switch (status) {
    case 401:
    case 403:
        return ERR_UP_AUTH;
    case 404:
        return ERR_UP_NOT_FOUND;
    case 408:
        return ERR_UP_TIMEOUT;
    case 413:
        return ERR_TOO_LARGE;
    case 429:
        return ERR_UP_RATE_LIMIT;
    case 503:
    case 529:
        return ERR_UP_OVERLOADED;
    default:
        return status >= 400 && status < 500 ? ERR_UP_REFUSED : ERR_UP_INTERNAL;
    }
}
