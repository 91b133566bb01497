// SPDX-License-Identifier: Apache-2.0
// Log lines: one line an event whatever the values hold, valid JSON in JSON mode, cut by whole fields.
#include "base/log.h"
#include <fcntl.h>
#include <unistd.h>
#include "base/json.h"
#include "base/limits.h"
#include "base/mem.h"
#include "unit.h"

static char got[16384];

// Standard error goes into a pipe while `f` runs; what it wrote is in `got`.
static void captured(void (*f)(void)) {
    int ends[2] = {-1, -1}, saved = dup(STDERR_FILENO);
    memset(got, 0, sizeof got);
    CHECK(saved >= 0 && pipe(ends) == 0);
    (void)dup2(ends[1], STDERR_FILENO);
    (void)close(ends[1]);
    f();
    (void)dup2(saved, STDERR_FILENO);
    (void)close(saved);
    CHECK(fcntl(ends[0], F_SETFL, O_NONBLOCK) == 0);
    ssize_t n = read(ends[0], got, sizeof got - 1);
    CHECK(n >= 0);
    got[n] = 0;
    (void)close(ends[0]);
}

static void plain(void) {
    LOG(LOG_DEBUG, "hidden");
    LOG(LOG_INFO, "bare");
    LOG(LOG_WARN, "opened", LOG_S("who", "a\nb \"q\""), LOG_I("n", -5), LOG_SL("cut", slice_of("abc", 2)));
}

TEST(log_writes_one_line_an_event) {
    captured(plain);
    CHECK(strstr(got, "hidden") == NULL);
    CHECK(strstr(got, "Z info bare\n") != NULL);
    CHECK(strstr(got, "Z warn opened who=\"a\\nb \\\"q\\\"\" n=-5 cut=\"ab\"\n") != NULL);
}

TEST(log_writes_json) {
    log_set_json(true);
    log_set_level(LOG_WARN);
    captured(plain);
    log_set_json(false);
    log_set_level(LOG_INFO);
    struct arena a;
    struct json_doc d;
    struct json_error why;
    arena_init(&a, 65536, 0);
    CHECK_EQ(json_read(&a, slice_str(got), &d, &why), ERR_OK);
    yyjson_val *root = yyjson_doc_get_root(d.doc);
    CHECK(slice_is(json_get_str(root, "level"), "warn") && slice_is(json_get_str(root, "event"), "opened"));
    CHECK(slice_is(json_get_str(root, "who"), "a\nb \"q\"") && slice_is(json_get_str(root, "cut"), "ab"));
    arena_done(&a);
}

static void overlong(void) {
    static char noise[2000];
    memset(noise, 1, sizeof noise - 1); // each byte becomes six
    LOG(LOG_ERROR, "long", LOG_S("a", noise), LOG_S("b", noise), LOG_I("c", 1));
}

TEST(log_cuts_whole_fields_and_allocates_nothing) {
    log_set_json(true);
    mem_fail_at(1);
    captured(overlong);
    mem_fail_at(0);
    log_set_json(false);
    size_t n = strlen(got);
    CHECK(n > 512 && n < LIMIT_LOG_LINE_BYTES);
    CHECK(strcmp(got + n - 3, "\"}\n") == 0);
    CHECK(strstr(got, "\"a\":") != NULL && strstr(got, "\"b\":") == NULL && strstr(got, "\"c\":") == NULL);
}
