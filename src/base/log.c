// SPDX-License-Identifier: Apache-2.0
// One line an event on standard error, composed on the stack, one write(2), so that threads don't mix their lines. Values
// are cut and escaped: a name from outside can't forge a line. A field that does not fit is left out with all after it,
// never half of one. Nothing is allocated, so that "out of memory" can be logged.
#include "base/log.h"
#include <stdatomic.h>
#include <unistd.h>
#include "base/clock.h"
#include "base/json.h"
#include "base/limits.h"

static _Atomic int lowest = LOG_INFO;
static _Atomic bool as_json;

void log_set_level(enum log_level level) {
    atomic_store(&lowest, (int)level);
}

void log_set_json(bool json) {
    atomic_store(&as_json, json);
}

static const char *const levels[] = {"debug", "info", "warn", "error"};

static void value_text(struct buf *b, const struct log_field *f) {
    if (f->kind == LOG_INT) {
        buf_append_i64(b, f->num);
        return;
    }
    buf_append_char(b, '"');
    json_escape(b, slice_first(f->str, 512));
    buf_append_char(b, '"');
}

void log_write(enum log_level level, const char *event, const struct log_field *fields, size_t n) {
    if ((int)level < atomic_load_explicit(&lowest, memory_order_relaxed))
        return;
    bool json = atomic_load_explicit(&as_json, memory_order_relaxed);
    char line[LIMIT_LOG_LINE_BYTES];
    // Never grows, and is never freed: cap and max are the same. The tail stays free for the line's end and a NUL.
    struct buf b = {line, 0, sizeof line - 4, sizeof line - 4, false};
    buf_append_str(&b, json ? "{\"time\":\"" : "");
    clock_append_rfc3339(&b, clock_wall_us());
    buf_printf(&b, json ? "\",\"level\":\"%s\",\"event\":\"%s\"" : " %s %s", levels[level], event);
    for (size_t i = 0, whole = b.len; i < n && !b.failed; i++, whole = b.len) {
        buf_printf(&b, json ? ",\"%s\":" : " %s=", fields[i].key);
        value_text(&b, &fields[i]);
        if (b.failed)
            b.len = whole;
    }
    b.failed = false;
    b.cap = b.max = sizeof line - 1;
    buf_append_str(&b, json ? "}\n" : "\n");
    ssize_t ignored = write(STDERR_FILENO, line, b.len);
    (void)ignored; // there is no place to say that a log line could not be written
}
