// SPDX-License-Identifier: Apache-2.0
// Made keys: their budgets as text, what is kept of a secret, and what must never open a door.
#include "ledger/keyring.h"
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>
#include "base/fs.h"
#include "base/limits.h"
#include "base/mem.h"
#include "unit.h"

// ---- budgets as text

static void budgets_free(struct config_budget *v, size_t n) {
    for (size_t i = 0; i < n; i++)
        mem_free((void *)(uintptr_t)v[i].time_zone);
    mem_free(v);
}

// How many there are; -1: refused, with a word about it.
static int budgets_of(struct slice text, struct config_budget *ret_first) {
    struct config_budget *v = NULL;
    struct buf problem = BUF_INIT(1024);
    size_t n = 0;
    enum err e = budgets_parse(text, &v, &n, &problem);
    if (e && problem.len == 0)
        unit_fail(__FILE__, __LINE__, "refused without a word: '%.*s'", SLICE_FMT(text));
    if (!e && n > 0 && ret_first) {
        *ret_first = v[0];
        ret_first->time_zone = NULL;
    }
    buf_done(&problem);
    if (!e)
        budgets_free(v, n);
    return e ? -1 : (int)n;
}

#define SEVEN \
    "1 USD,1 USD/day,1 USD/day@UTC,1 USD/month,1 USD/month@UTC,1 USD/day@Asia/Tokyo,1 USD/month@Asia/Tokyo" // one too many

TEST(keyring_reads_budgets) {
    struct config_budget b = {0};
    CHECK_EQ(budgets_of(SLICE(""), &b), 0);
    CHECK_EQ(budgets_of(SLICE("2 USD"), &b), 1);
    CHECK(b.amount_picousd == 2000000000000 && b.window == WINDOW_TOTAL);
    CHECK_EQ(budgets_of(SLICE("0.000000000001USD/month@America/New_York"), &b), 1);
    CHECK(b.amount_picousd == 1 && b.window == WINDOW_MONTH);
    CHECK_EQ(budgets_of(SLICE(" 5 USD/day , 50 USD/month@Europe/Berlin,1 USD/total "), &b), 3);
    CHECK(b.amount_picousd == 5000000000000 && b.window == WINDOW_DAY);
}

TEST(keyring_refuses_budgets_that_are_none) {
    static const char *const bad[] = {"5",
                                      "USD",
                                      "-5 USD",
                                      "5 EUR",
                                      "5 usd",
                                      "1e3 USD",
                                      "9999999999 USD",
                                      "0.0000000000001 USD",
                                      "5 USD/week",
                                      "5 USD/",
                                      "5 USD/day@",
                                      "5 USD/day@Mars/Olympus",
                                      "5 USD/day@../../etc/passwd",
                                      "5 USD/total@UTC",
                                      "5 USD 6 USD",
                                      "5 USD,,6 USD/day",
                                      "5 USD, 6 USD/total",
                                      "5 USD/day@UTC, 6 USD/day@UTC",
                                      SEVEN};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        if (budgets_of(slice_str(bad[i]), NULL) >= 0)
            unit_fail(__FILE__, __LINE__, "taken: '%s'", bad[i]);
}

TEST(keyring_budgets_survive_cuts_and_missing_memory) {
    static const char text[] = "5.25 USD/day@Europe/Berlin, 50 USD/month, 1 USD";
    for (size_t n = 0; n < sizeof text; n++)
        (void)budgets_of(slice_of(text, n), NULL);
    for (unsigned long k = 1; k < 40; k++) {
        struct config_budget *v = NULL;
        struct buf problem = BUF_INIT(1024);
        size_t n = 0;
        mem_fail_once(k);
        enum err e = budgets_parse(slice_str(text), &v, &n, &problem);
        bool failed = mem_count() >= k;
        mem_fail_at(0);
        CHECK_EQ(e, failed ? ERR_NO_MEMORY : ERR_OK);
        if (!e)
            budgets_free(v, n);
        buf_done(&problem);
    }
}

// ---- a ring

struct ring {
    char dir[64], path[128];
    struct store *store;
    struct keyring *keys;
    struct buf problem;
};

static enum err ring_open(struct ring *r) {
    buf_clear(&r->problem);
    enum err e = store_open(r->path, &r->store, &r->problem);
    return e ? e : keyring_open(r->store, r->dir, &r->keys, &r->problem);
}

static void ring_close(struct ring *r) {
    keyring_close(r->keys);
    store_close(r->store);
    r->keys = NULL;
    r->store = NULL;
}

static bool ring_init(struct ring *r) {
    *r = (struct ring){.dir = "/tmp/gridtie-keys-XXXXXX", .problem = BUF_INIT(4096)};
    bool made = mkdtemp(r->dir);
    (void)snprintf(r->path, sizeof r->path, "%s/ledger.db", r->dir);
    return made && ring_open(r) == ERR_OK;
}

static void ring_remove(const struct ring *r, const char *name) {
    char path[256];
    (void)snprintf(path, sizeof path, "%s/%s", r->dir, name);
    (void)unlink(path);
}

static void ring_done(struct ring *r) {
    static const char *const files[] = {"ledger.db", "ledger.db-wal", "ledger.db-shm", "keys.secret", "owner.key"};
    ring_close(r);
    for (size_t i = 0; i < sizeof files / sizeof files[0]; i++)
        ring_remove(r, files[i]);
    (void)rmdir(r->dir);
    buf_done(&r->problem);
}

static bool ring_says(const struct ring *r, const char *word) {
    return slice_search(buf_slice(&r->problem), slice_str(word)) != SIZE_MAX;
}

static const struct config_key *find(const struct ring *r, const char *secret) {
    return keyring_find(r->keys, slice_str(secret));
}

TEST(keyring_knows_a_secret_by_all_of_it_and_nothing_else) {
    struct ring r;
    char ann[KEY_SECRET_BYTES], bob[KEY_SECRET_BYTES], wrong[KEY_SECRET_BYTES + 1];
    CHECK(ring_init(&r));
    CHECK(!keyring_any(r.keys));
    CHECK_EQ(keyring_add(r.keys, SLICE("ann"), SLICE("2 USD"), ann, &r.problem), ERR_OK);
    CHECK_EQ(keyring_add(r.keys, SLICE("bob"), SLICE_NONE, bob, &r.problem), ERR_OK);
    CHECK(strcmp(ann, bob) != 0 && strlen(ann) > 40);
    CHECK_STREQ(find(&r, ann)->name, "ann");
    CHECK_EQ(find(&r, ann)->n_budgets, 1);
    CHECK_STREQ(find(&r, bob)->name, "bob");
    for (size_t i = 0; i < strlen(ann); i++) {
        memcpy(wrong, ann, sizeof ann);
        wrong[i] = wrong[i] == 'x' ? 'y' : 'x';
        CHECK(!find(&r, wrong));
        CHECK(!keyring_find(r.keys, slice_of(ann, i)));
    }
    (void)snprintf(wrong, sizeof wrong, "%sx", ann);
    CHECK(!find(&r, wrong) && !find(&r, "") && !keyring_find(r.keys, SLICE_NONE));
    CHECK(!keyring_is_owner(r.keys, slice_str(ann)) && !keyring_is_owner(r.keys, SLICE_NONE));
    ring_done(&r);
}

TEST(keyring_is_the_same_after_a_restart) {
    struct ring r;
    char ann[KEY_SECRET_BYTES], bob[KEY_SECRET_BYTES];
    const struct config_key *revoked = NULL;
    CHECK(ring_init(&r));
    CHECK_EQ(keyring_add(r.keys, SLICE("ann"), SLICE("5 USD/day@Europe/Berlin"), ann, &r.problem), ERR_OK);
    CHECK_EQ(keyring_add(r.keys, SLICE("bob"), SLICE_NONE, bob, &r.problem), ERR_OK);
    CHECK_EQ(keyring_add(r.keys, SLICE("bob"), SLICE_NONE, bob, &r.problem), ERR_LIMIT);
    CHECK_EQ(keyring_revoke(r.keys, SLICE("nobody"), &revoked), ERR_NOT_FOUND);
    CHECK(!revoked);
    const struct config_key *was = find(&r, bob);
    CHECK_EQ(keyring_revoke(r.keys, SLICE("bob"), &revoked), ERR_OK);
    CHECK(was && revoked == was && !find(&r, bob));
    ring_close(&r);
    CHECK_EQ(ring_open(&r), ERR_OK);
    CHECK(find(&r, ann) && find(&r, ann)->n_budgets == 1);
    CHECK_STREQ(find(&r, ann)->budgets[0].time_zone, "Europe/Berlin");
    CHECK(!find(&r, bob) && keyring_any(r.keys));
    CHECK_EQ(keyring_revoke(r.keys, SLICE("bob"), &revoked), ERR_NOT_FOUND);
    CHECK_EQ(keyring_add(r.keys, SLICE("bob"), SLICE_NONE, bob, &r.problem), ERR_LIMIT); // a name is one key's
    ring_done(&r);
}

TEST(keyring_takes_names_that_can_be_shown) {
    struct ring r;
    char secret[KEY_SECRET_BYTES], longest[LIMIT_KEY_NAME_BYTES + 2];
    static const char *const bad[] = {"", "two words", "a/b", "a\"b", "a\nb", "\xc3\xa9"};
    CHECK(ring_init(&r));
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        CHECK_EQ(keyring_add(r.keys, slice_str(bad[i]), SLICE_NONE, secret, &r.problem), ERR_BAD_FIELD);
    memset(longest, 'n', sizeof longest);
    CHECK_EQ(keyring_add(r.keys, slice_of(longest, LIMIT_KEY_NAME_BYTES + 1), SLICE_NONE, secret, &r.problem),
             ERR_BAD_FIELD);
    CHECK_EQ(keyring_add(r.keys, slice_of(longest, LIMIT_KEY_NAME_BYTES), SLICE_NONE, secret, &r.problem), ERR_OK);
    CHECK_EQ(keyring_add(r.keys, SLICE("a.b@c_d-e+f"), SLICE_NONE, secret, &r.problem), ERR_OK);
    ring_done(&r);
}

// ---- what must not open a door

TEST(keyring_does_not_start_without_what_hashed_its_keys) {
    struct ring r;
    char secret[KEY_SECRET_BYTES];
    CHECK(ring_init(&r));
    CHECK_EQ(keyring_add(r.keys, SLICE("ann"), SLICE_NONE, secret, &r.problem), ERR_OK);
    ring_close(&r);
    ring_remove(&r, "keys.secret");
    CHECK_EQ(ring_open(&r), ERR_DISK);
    CHECK(ring_says(&r, "keys.secret is gone"));
    ring_done(&r);
}

TEST(keyring_takes_no_empty_owner) {
    struct ring r;
    char path[256];
    struct stat st;
    CHECK(ring_init(&r));
    (void)snprintf(path, sizeof path, "%s/owner.key", r.dir);
    CHECK(stat(path, &st) == 0 && (st.st_mode & 0777) == 0600);
    ring_close(&r);
    CHECK_EQ(fs_write_atomic(path, SLICE("\n"), 0600), ERR_OK);
    CHECK_EQ(ring_open(&r), ERR_DISK);
    CHECK(ring_says(&r, "owner.key"));
    ring_done(&r);
}

TEST(keyring_makes_no_key_without_limits_of_a_row_that_it_can_not_read) {
    static const char *const budgets[] = {"5 USD/day@Gone/Zone", "five", "5 EUR"};
    for (size_t i = 0; i < sizeof budgets / sizeof budgets[0]; i++) {
        struct ring r;
        char hash[32] = {0};
        CHECK(ring_init(&r));
        struct store_key row = {.name = SLICE("ann"),
                                .prefix = SLICE("abcdefgh"),
                                .budgets = slice_str(budgets[i]),
                                .hash = slice_of(hash, sizeof hash),
                                .created_us = 1};
        CHECK_EQ(store_key_put(r.store, &row), ERR_OK);
        ring_close(&r);
        CHECK_EQ(ring_open(&r), ERR_DISK);
        CHECK(ring_says(&r, "'ann'") && ring_says(&r, budgets[i]));
        ring_done(&r);
    }
}

TEST(keyring_survives_every_failed_allocation) {
    for (unsigned long k = 1, failed = k; failed; k++) {
        struct ring r;
        char secret[KEY_SECRET_BYTES], more[KEY_SECRET_BYTES];
        CHECK(ring_init(&r));
        CHECK_EQ(keyring_add(r.keys, SLICE("ann"), SLICE("5 USD/day@UTC"), secret, &r.problem), ERR_OK);
        ring_close(&r);
        mem_fail_once(k);
        enum err e = ring_open(&r);
        if (!e)
            e = keyring_add(r.keys, SLICE("bob"), SLICE("5 USD/month@UTC"), more, &r.problem);
        failed = mem_count() >= k;
        mem_fail_at(0);
        if (!e)
            CHECK(find(&r, secret) && find(&r, more));
        ring_close(&r);
        CHECK_EQ(ring_open(&r), ERR_OK);
        CHECK(find(&r, secret) && keyring_has_name(r.keys, SLICE("bob")) == (e == ERR_OK));
        ring_done(&r);
    }
}
