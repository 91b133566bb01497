// SPDX-License-Identifier: Apache-2.0
// Tables and numbers as people read them. What is printed here comes from a daemon that got part of it from elsewhere
// (model names, an upstream's error text), so control characters never reach the terminal. Cells live in the caller's
// arena until the table is printed.
#include "cli/table.h"
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static bool colours_are_seen(void) {
    static int known = -1;
    if (known < 0) {
        const char *no = getenv("NO_COLOR");
        known = isatty(STDOUT_FILENO) && !(no && no[0]);
    }
    return known == 1;
}

const char *colour_on(enum colour c) {
    static const char *const codes[] = {"", "\033[1m", "\033[2m", "\033[31m", "\033[32m", "\033[33m"};
    return colours_are_seen() ? codes[c] : "";
}

const char *colour_off(void) {
    return colours_are_seen() ? "\033[0m" : "";
}

// ---- texts

const char *text_printf(struct arena *a, const char *fmt, ...) {
    char text[1024];
    va_list args;
    va_start(args, fmt);
    int n = vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    const char *copy = n < 0 ? NULL : arena_strdup(a, text);
    return copy ? copy : "";
}

const char *text_plain(struct arena *a, struct slice s) {
    char *p = s.n ? arena_cstr(a, s) : NULL;
    for (size_t i = 0; p && i < s.n; i++)
        if ((unsigned char)p[i] < 0x20 || p[i] == 0x7f)
            p[i] = ' ';
    return p ? p : "-";
}

const char *text_bytes(struct arena *a, int64_t n) {
    char text[32];
    struct buf b = BUF_FIXED(text);
    if (n <= 0)
        return "-";
    buf_append_size(&b, n);
    return text_printf(a, "%.*s", SLICE_FMT(buf_slice(&b)));
}

const char *text_count(struct arena *a, yyjson_val *v) {
    return yyjson_is_int(v) ? text_printf(a, "%lld", (long long)yyjson_get_sint(v)) : "-";
}

const char *text_ms(struct arena *a, yyjson_val *v) {
    double ms = yyjson_get_num(v);
    if (!yyjson_is_num(v))
        return "-";
    if (ms >= 10000)
        return text_printf(a, "%.1f s", ms / 1000);
    if (ms >= 1000)
        return text_printf(a, "%.2f s", ms / 1000);
    return text_printf(a, ms >= 100 ? "%.0f ms" : ms >= 10 ? "%.1f ms" : "%.2f ms", ms);
}

const char *text_usd(struct arena *a, yyjson_val *v) {
    struct slice s = json_str(v);
    size_t dot = slice_find(s, '.');
    if (s.n == 0)
        return "?";
    bool tiny = slice_starts(s, "0.00000") && s.n > 8;
    return tiny ? "<0.00001" : text_plain(a, slice_first(s, dot == SIZE_MAX ? s.n : dot + 7));
}

const char *text_duration(struct arena *a, int64_t s) {
    if (s < 0)
        s = 0;
    if (s < 60)
        return text_printf(a, "%llds", (long long)s);
    if (s < 3600)
        return text_printf(a, "%lldm %llds", (long long)s / 60, (long long)s % 60);
    if (s < 86400)
        return text_printf(a, "%lldh %lldm", (long long)s / 3600, (long long)s / 60 % 60);
    return text_printf(a, "%lldd %lldh", (long long)s / 86400, (long long)s / 3600 % 24);
}

// ---- tables

void table_init(struct table *t, struct arena *a, const char *const *heads) {
    *t = (struct table){.arena = a, .heads = heads};
    while (heads[t->columns])
        t->columns++;
}

static bool table_room(struct table *t) {
    if (t->n < t->cap)
        return true;
    size_t cap = t->cap ? t->cap * 2 : 256;
    const char **cells = arena_array(t->arena, cap, sizeof *cells);
    if (!cells)
        return false;
    if (t->n)
        memcpy(cells, t->cells, t->n * sizeof *cells);
    t->cells = cells;
    t->cap = cap;
    return true;
}

void table_add(struct table *t, struct slice cell) {
    if (table_room(t))
        t->cells[t->n++] = text_plain(t->arena, cell);
}

void table_add_str(struct table *t, const char *cell) {
    table_add(t, slice_str(cell));
}

// Code points, not bytes: a name may be in any language.
static size_t width_of(const char *s) {
    size_t n = 0;
    for (; *s; s++)
        n += ((unsigned char)*s & 0xc0) != 0x80;
    return n;
}

static bool is_right(const struct table *t, size_t column) {
    return t->heads[column][0] == '>';
}

static const char *head_text(const struct table *t, size_t column) {
    return t->heads[column] + is_right(t, column);
}

static size_t column_width(const struct table *t, size_t column) {
    size_t width = width_of(head_text(t, column));
    for (size_t i = column; i < t->n; i += t->columns) {
        size_t w = width_of(t->cells[i]);
        width = w > width ? w : width;
    }
    return width;
}

static void cell_print(const struct table *t, size_t column, const char *text, size_t width) {
    size_t pad = width - width_of(text);
    bool last = column + 1 == t->columns;
    if (is_right(t, column))
        (void)printf("%*s%s", (int)pad, "", text);
    else
        (void)printf("%s%*s", text, last ? 0 : (int)pad, "");
    (void)fputs(last ? "\n" : "  ", stdout);
}

void table_print(const struct table *t) {
    size_t *widths = arena_array(t->arena, t->columns, sizeof *widths);
    if (!widths || t->columns == 0)
        return;
    (void)fputs(colour_on(COLOUR_DIM), stdout);
    for (size_t c = 0; c < t->columns; c++)
        widths[c] = column_width(t, c);
    for (size_t c = 0; c < t->columns; c++)
        cell_print(t, c, head_text(t, c), widths[c]);
    (void)fputs(colour_off(), stdout);
    for (size_t i = 0; i < t->n; i++)
        cell_print(t, i % t->columns, t->cells[i], widths[i % t->columns]);
}
