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

const char *dialect_stream_type(const struct dialect *d, const struct request *r) {
    return r->stream_array ? "application/json" : d->stream_content_type;
}

bool dialect_path_split(const char *pattern, struct slice path, struct slice *ret_model) {
    size_t before = slice_search(slice_str(pattern), SLICE(MODEL_IN_PATH)), after = before + sizeof MODEL_IN_PATH - 1;
    *ret_model = SLICE_NONE;
    if (before == SIZE_MAX)
        return slice_is(path, pattern);
    struct slice tail = slice_str(pattern + after);
    if (path.n <= before + tail.n || memcmp(path.p, pattern, before) != 0 || !slice_ends(path, pattern + after))
        return false;
    *ret_model = slice_of(path.p + before, path.n - before - tail.n);
    return true;
}

static const struct dialect_address *address_in(const struct dialect *d, struct slice path,
                                                const struct slice *method) {
    struct slice model;
    for (const struct dialect_address *at = d->addresses; at->method; at++)
        if (dialect_path_split(at->path, path, &model) && (!method || slice_is(*method, at->method)))
            return at;
    return NULL;
}

const struct dialect *dialect_for(struct slice method, struct slice path, enum op *ret_op, bool *ret_known_path) {
    *ret_known_path = false;
    for (int i = 0; i < DIALECT_COUNT; i++) {
        *ret_known_path |= address_in(dialects[i], path, NULL) != NULL;
        const struct dialect_address *at = address_in(dialects[i], path, &method);
        if (!at)
            continue;
        *ret_op = at->op;
        return dialects[i];
    }
    return NULL;
}

const struct dialect *dialect_for_error(struct slice path) {
    for (int i = 0; i < DIALECT_COUNT; i++)
        if (address_in(dialects[i], path, NULL))
            return dialects[i];
    if (slice_starts(path, "/api/"))
        return dialect_get(DIALECT_OLLAMA);
    if (slice_starts(path, "/v1beta/"))
        return dialect_get(DIALECT_GEMINI);
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
