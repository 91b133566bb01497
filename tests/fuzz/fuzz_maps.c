// SPDX-License-Identifier: Apache-2.0
// Values as a stranger may choose them, one a line, the first byte says what each is. Whatever they are: a value always gets
// the same stand-in, two never share one, none is another's real value, none needs JSON's escapes, and each is restored to
// the very bytes that it stands for.
#include <stdlib.h>
#include "privacy/alias.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n);

#define VALUES_MOST 64

static const struct standin_key key = {{1, 2, 3}};

struct value {
    enum entity e;
    struct slice real, standin;
};

static void value_check(struct aliases *m, const struct value *v, size_t n, size_t i) {
    struct slice again = aliases_take(m, v[i].e, v[i].real, false);
    if (!slice_eq(again, v[i].standin) || slice_eq(again, v[i].real))
        abort();
    for (size_t k = 0; k < n; k++) {
        bool same = v[k].e == v[i].e && slice_eq(v[k].real, v[i].real);
        if ((!same && slice_eq(v[k].standin, v[i].standin)) || slice_eq(v[k].real, v[i].standin))
            abort();
    }
    for (size_t k = 0; k < again.n; k++)
        if ((unsigned char)again.p[k] < ' ' || again.p[k] == '"' || again.p[k] == '\\' ||
            (unsigned char)again.p[k] >= 0x7f)
            abort();
}

static void restore_check(const struct aliases *m, const struct value *v, size_t n) {
    for (size_t i = 0; i < n; i++) {
        struct buf out = BUF_INIT(1u << 20);
        uint32_t id = 0;
        while (id < m->n && !(slice_eq(m->v[id].standin, v[i].standin) && m->v[id].entity == v[i].e))
            id++;
        if (id == m->n || !aliases_restore(m, m->v[id].family, v[i].standin, true, &out) ||
            !slice_eq(buf_slice(&out), v[i].real))
            abort();
        buf_done(&out);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n) {
    struct slice rest = slice_of((const char *)bytes, n);
    struct value v[VALUES_MOST];
    struct aliases m;
    struct arena a;
    size_t k = 0;
    arena_init(&a, 64u << 20, 0);
    bool ok = aliases_init(&m, &a, &key);
    while (ok && rest.n && k < VALUES_MOST) {
        struct slice line = slice_split(&rest, '\n');
        if (line.n < 2)
            continue;
        v[k] = (struct value){(enum entity)((unsigned char)line.p[0] % ENTITY_COUNT), slice_from(line, 1), SLICE_NONE};
        ok = aliases_note(&m, v[k].e, v[k].real);
        k++;
    }
    for (size_t i = 0; ok && i < k; i++) {
        v[i].standin = aliases_take(&m, v[i].e, v[i].real, false);
        if (!v[i].standin.p) // no free one is left: the request is refused
            ok = false;
    }
    for (size_t i = 0; ok && i < k; i++)
        value_check(&m, v, k, i);
    if (ok)
        restore_check(&m, v, k);
    arena_done(&a);
    return 0;
}
