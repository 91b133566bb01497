// SPDX-License-Identifier: Apache-2.0
// GET /gridtie/v1/store: what the store takes of the disk, and which pulls were cut and can be gone on with or removed. Looked
// up on the pool, since it reads folders; a client that leaves meanwhile only loses its answer.
#include <sys/statvfs.h>
#include "admin/errand.h"
#include "admin/models.h"
#include "base/mem.h"
#include "store/leftovers.h"
#include "store/store.h"

#define ADDRESS "/gridtie/v1/store"

struct look {
    struct errand errand; // first
    const char *data_dir;
};

static void leftover_put(struct json_writer *w, const struct leftover *l) {
    json_obj(w);
    json_kv_cstr(w, "name", l->name);
    json_kv_cstr(w, "source", l->source);
    json_kv_int(w, "bytes", l->bytes);
    rfc3339_json(w, "modified_at", l->modified_s);
    json_kv_bool(w, "running", l->busy);
    json_obj_end(w);
}

static void look_work(struct errand *e) {
    const struct look *k = (struct look *)(void *)e;
    struct arena a;
    struct leftover *v = NULL;
    size_t n = 0;
    struct buf path = BUF_INIT(4096);
    struct statvfs disk;
    struct json_writer w = JSON_WRITER(&e->out);
    arena_init(&a, 16u << 20, 0);
    e->err = leftovers_list(k->data_dir, &a, &v, &n);
    buf_printf(&path, "%s/models", k->data_dir);
    json_obj(&w);
    json_kv_cstr(&w, "path", buf_cstr(&path));
    json_kv_int(&w, "bytes", store_bytes(k->data_dir));
    if (statvfs(buf_cstr(&path), &disk) == 0)
        json_kv_int(&w, "free_bytes", (int64_t)(disk.f_bavail * disk.f_frsize));
    json_key(&w, "unfinished");
    json_arr(&w);
    for (size_t i = 0; !e->err && i < n; i++)
        leftover_put(&w, &v[i]);
    json_arr_end(&w);
    json_obj_end(&w);
    buf_done(&path);
    arena_done(&a);
}

bool store_is_asked(const struct http_request *r) {
    return slice_is(r->method, "GET") && slice_is(r->path, ADDRESS);
}

void store_show(struct shift *s, struct conn *c, const struct http_request *r) {
    struct look *k = mem_zalloc(sizeof *k);
    (void)r;
    if (k) {
        k->errand = (struct errand){.path = ADDRESS, .out = BUF_INIT(4u << 20), .work = look_work};
        k->data_dir = s->d->data_dir;
    }
    errand_start(s, c, k ? &k->errand : NULL);
}
