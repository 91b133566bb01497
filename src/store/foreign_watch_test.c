// SPDX-License-Identifier: Apache-2.0
// Folders of other programs come, fill and go below a home of its own; the watch tells, and only of what matters.
#include "store/foreign_watch.h"
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include "base/fs.h"
#include "net/wire_test.h"
#include "unit.h"

struct stand {
    struct loop l;
    char home[64], before[512]; // before: $HOME of the other tests
    struct foreign_watch *w;
    bool told;
};

static void on_change(void *ctx) {
    ((struct stand *)ctx)->told = true;
}

static void file_put(const struct stand *x, const char *dir, const char *file) {
    char path[512];
    (void)snprintf(path, sizeof path, "%s/%s", x->home, dir);
    CHECK_EQ(fs_mkdirs(path, 0700), ERR_OK);
    if (!file)
        return;
    (void)snprintf(path, sizeof path, "%s/%s/%s", x->home, dir, file);
    CHECK_EQ(fs_write_atomic(path, SLICE("x"), 0600), ERR_OK);
}

static void file_drop(const struct stand *x, const char *file) {
    char path[512];
    (void)snprintf(path, sizeof path, "%s/%s", x->home, file);
    CHECK_EQ(unlink(path), 0);
}

static bool stand_up(struct stand *x, unsigned most, uint64_t look_ms) {
    *x = (struct stand){.home = "/tmp/gridtie-watch-XXXXXX"};
    (void)snprintf(x->before, sizeof x->before, "%s", getenv("HOME") ? getenv("HOME") : "/");
    if (!mkdtemp(x->home) || setenv("HOME", x->home, 1) != 0 || loop_init(&x->l, 0) != ERR_OK)
        return false;
    (void)unsetenv("OLLAMA_MODELS");
    (void)unsetenv("HF_HOME");
    (void)unsetenv("HF_HUB_CACHE");
    file_put(x, ".lmstudio/models/maker/model", "a.gguf");
    file_put(x, ".cache/huggingface/hub/models--o--n/blobs", NULL);
    return foreign_watch_new(&x->l, most, look_ms, on_change, x, &x->w) == ERR_OK;
}

static bool stand_quiet(struct stand *x) {
    for (int i = 0; i < 20; i++) { // until its walks are over
        wire_turns(&x->l, 5);
        (void)usleep(5000);
    }
    return !x->told;
}

static void stand_down(struct stand *x) {
    foreign_watch_close(x->w);
    loop_done(&x->l);
    CHECK_EQ(setenv("HOME", x->before, 1), 0);
    fs_remove_tree(x->home);
}

static bool is_told(struct stand *x) {
    bool told = wire_until(&x->l, &x->told);
    x->told = false;
    return told;
}

TEST(foreign_watch_tells_of_what_comes_and_goes) {
    struct stand x;
    CHECK(stand_up(&x, 100, 1000000) && stand_quiet(&x));
    file_put(&x, ".lmstudio/models/maker/model", "b.gguf");
    CHECK(is_told(&x));
    file_drop(&x, ".lmstudio/models/maker/model/b.gguf");
    CHECK(is_told(&x));
    file_put(&x, ".lmstudio/models/other/model", "c.gguf"); // folders that were not there
    CHECK(is_told(&x));
    file_put(&x, ".lmstudio/models/other/model", "d.gguf"); // and are watched now
    CHECK(is_told(&x));
    file_put(&x, ".cache/huggingface/hub/models--o--n/snapshots/abc", "e.gguf");
    CHECK(is_told(&x));
    file_put(&x, ".cache/huggingface/hub/models--o--n/snapshots/abc/sub", "f.gguf");
    CHECK(is_told(&x));
    stand_down(&x);
}

TEST(foreign_watch_awaits_what_is_not_there_yet) {
    struct stand x;
    CHECK(stand_up(&x, 100, 1000000) && stand_quiet(&x));
    file_put(&x, ".ollama", "history"); // a step on the way
    (void)is_told(&x);
    file_put(&x, ".ollama/models/manifests/host/library/model", "8b");
    CHECK(is_told(&x));
    file_put(&x, ".ollama/models/manifests/host/library/model", "4b");
    CHECK(is_told(&x));
    stand_down(&x);
}

TEST(foreign_watch_misses_nothing_before_its_first_turn) {
    struct stand x;
    CHECK(stand_up(&x, 100, 1000000));
    file_put(&x, ".lmstudio/models/new/model", "b.gguf");
    file_put(&x, ".ollama/models/manifests/host/library/model", "8b");
    CHECK(is_told(&x));
    stand_down(&x);
}

TEST(foreign_watch_looks_where_it_may_not_watch) {
    struct stand x;
    CHECK(stand_up(&x, 1, 100) && stand_quiet(&x));
    file_put(&x, ".lmstudio/models/maker/model", "b.gguf");
    CHECK(is_told(&x));
    stand_down(&x);
}

TEST(foreign_watch_may_be_closed_at_any_moment) {
    for (int turns = 0; turns < 6; turns++) {
        struct stand x;
        CHECK(stand_up(&x, 100, 1) && stand_quiet(&x));
        file_put(&x, ".lmstudio/models/maker/model", "b.gguf");
        wire_turns(&x.l, turns);
        x.told = false;
        stand_down(&x);
        CHECK(!x.told);
    }
}
