// SPDX-License-Identifier: Apache-2.0
// A request's bytes come from strangers, JSON or not. Whatever they are: what is found lies inside, in order and apart; what
// the memo says is what a look says; replaced bytes are no longer found with the values that were; JSON stays JSON.
#include <stdlib.h>
#include "base/json.h"
#include "privacy/body.h"
#include "privacy/samples.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n);

static const struct standin_key key = {{1, 2, 3}};

static void marks_check(const struct body *b) {
    size_t end = 0;
    for (size_t i = 0; i < b->n; i++) {
        if (b->marks[i].at < end || b->marks[i].n == 0 || b->marks[i].n > b->json.n - b->marks[i].at)
            abort();
        if (!b->marks[i].rest && !b->marks[i].value.n)
            abort();
        end = b->marks[i].at + b->marks[i].n;
    }
}

static bool is_json(struct arena *a, struct slice s) {
    struct json_doc doc;
    struct json_error why;
    return json_read(a, s, &doc, &why) == ERR_OK;
}

static void body_check(struct slice s, bool plain) {
    static struct memo *memo;
    struct arena a;
    struct replaced r;
    bool more;
    if (!memo)
        memo = memo_new(1024);
    arena_init(&a, 64u << 20, 0);
    struct body b = {.a = &a, .detector = detector_of_tests(), .memo = memo, .json = s, .plain = plain};
    enum err e = body_find(&b, SIZE_MAX, &more);
    if (e == ERR_OK) {
        size_t found = b.n;
        marks_check(&b);
        if (body_find(&b, SIZE_MAX, &more) || b.n != found)
            abort();
        e = body_replace(&b, &key, false, &r);
    }
    if (e && e != ERR_LIMIT)
        abort();
    if (!e && b.n && r.json.p == s.p)
        abort();
    if (!e && !plain && is_json(&a, s) && !is_json(&a, r.json))
        abort();
    arena_done(&a);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n) {
    char *copy = malloc(n ? n : 1); // of exact size, so that a read beyond it is seen
    if (!copy)
        return 0;
    memcpy(copy, n ? (const char *)bytes : "", n);
    body_check(slice_of(copy, n), true);
    body_check(slice_of(copy, n), false);
    free(copy);
    return 0;
}
