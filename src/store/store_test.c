// SPDX-License-Identifier: Apache-2.0
// Blobs and names on a disk: what is saved is found, blobs go with the last name that uses them and not sooner, a GGUF in
// parts gets the names that llama.cpp looks for, and a damaged name keeps everything.
#include "store/store.h"
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include "base/fs.h"
#include "unit.h"

struct place {
    char dir[64];
    struct arena a;
};

static void place_open(struct place *p) {
    memcpy(p->dir, "/tmp/gridtie-store-XXXXXX", sizeof "/tmp/gridtie-store-XXXXXX");
    CHECK(mkdtemp(p->dir) != NULL);
    arena_init(&p->a, 16u << 20, 0);
    CHECK_EQ(store_make_dirs(p->dir), ERR_OK);
}

static void place_close(struct place *p) {
    int status = -1;
    pid_t pid = fork();
    if (pid == 0) {
        (void)execlp("rm", "rm", "-r", p->dir, NULL);
        _exit(127);
    }
    arena_done(&p->a);
    CHECK(pid > 0 && waitpid(pid, &status, 0) == pid && status == 0);
}

static void save(struct place *p, const char *name, const char *first, const char *second, enum err expect) {
    const char *weights[] = {first, second};
    struct manifest m = {.name = name, .weights = weights, .n_weights = second ? 2 : 1};
    CHECK_EQ(store_save(p->dir, &m), expect);
}

TEST(store_blobs_go_with_their_last_name) {
    struct place p;
    char a[HEX_BYTES], b[HEX_BYTES];
    int64_t freed = 0;
    place_open(&p);
    CHECK_EQ(store_put_blob(p.dir, SLICE("aaaa"), a), ERR_OK);
    CHECK_EQ(store_put_blob(p.dir, SLICE("bb"), b), ERR_OK);
    save(&p, "one:latest", a, NULL, ERR_OK);
    save(&p, "two:latest", a, NULL, ERR_OK);
    CHECK_EQ(store_remove(p.dir, "one:latest", &freed), ERR_OK);
    CHECK_EQ(freed, 0);
    CHECK_EQ(store_blob_bytes(p.dir, a), 4);
    save(&p, "two:latest", b, NULL, ERR_OK); // another in its place: what it had goes
    CHECK_EQ(store_blob_bytes(p.dir, a), -1);
    CHECK_EQ(store_remove(p.dir, "two:latest", &freed), ERR_OK);
    CHECK_EQ(freed, 2);
    CHECK_EQ(store_remove(p.dir, "two:latest", &freed), ERR_NOT_FOUND);
    place_close(&p);
}

TEST(store_names_need_their_blobs) {
    struct place p;
    struct manifest m;
    place_open(&p);
    save(&p, "x:latest", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", NULL, ERR_NOT_FOUND);
    CHECK_EQ(store_load(p.dir, "x:latest", &p.a, &m), ERR_NOT_FOUND);
    place_close(&p);
}

TEST(store_parts_lie_under_the_names_that_are_looked_for) {
    struct place p;
    char a[HEX_BYTES], b[HEX_BYTES];
    int64_t freed = 0;
    struct manifest m;
    struct buf path = BUF_INIT(4096), text = BUF_INIT(4096);
    place_open(&p);
    CHECK_EQ(store_put_blob(p.dir, SLICE("first"), a), ERR_OK);
    CHECK_EQ(store_put_blob(p.dir, SLICE("second"), b), ERR_OK);
    save(&p, "big:latest", a, b, ERR_OK);
    CHECK_EQ(store_load(p.dir, "big:latest", &p.a, &m), ERR_OK);
    store_weights_path(p.dir, &m, &path);
    CHECK(slice_ends(buf_slice(&path), "/model-00001-of-00002.gguf"));
    CHECK_EQ(fs_read_file(buf_cstr(&path), 100, &text), ERR_OK);
    CHECK_STREQ(buf_cstr(&text), "first");
    CHECK_EQ(store_remove(p.dir, "big:latest", &freed), ERR_OK);
    CHECK_EQ(freed, 11);
    CHECK(!fs_exists(buf_cstr(&path)));
    buf_done(&path);
    buf_done(&text);
    place_close(&p);
}

TEST(store_keeps_all_blobs_while_a_name_is_damaged) {
    struct place p;
    char a[HEX_BYTES], file[128];
    int64_t freed = 0;
    unsigned bad = 0;
    size_t n = 0;
    struct manifest *v;
    place_open(&p);
    CHECK_EQ(store_put_blob(p.dir, SLICE("aaaa"), a), ERR_OK);
    save(&p, "one:latest", a, NULL, ERR_OK);
    (void)snprintf(file, sizeof file, "%s/models/names/odd@latest.json", p.dir);
    CHECK_EQ(fs_write_atomic(file, SLICE("{\"name\":"), 0600), ERR_OK);
    CHECK_EQ(store_list(p.dir, &p.a, &v, &n, &bad), ERR_OK);
    CHECK(n == 1 && bad == 1);
    CHECK_EQ(store_remove(p.dir, "one:latest", &freed), ERR_OK);
    CHECK_EQ(store_blob_bytes(p.dir, a), 4);
    CHECK_EQ(store_remove(p.dir, "odd:latest", &freed), ERR_OK); // a damaged name can go
    store_forget(p.dir, a);
    CHECK_EQ(store_blob_bytes(p.dir, a), -1);
    place_close(&p);
}
