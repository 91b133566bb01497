// SPDX-License-Identifier: Apache-2.0
// Names of models, and how they become names of files. Every name that comes from outside, from a command, a request, a
// registry or a file's name, goes through here before it touches the disk. Pure; called from anywhere.
#include "store/name.h"

static bool is_alnum(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

static bool is_inner(char c) {
    return is_alnum(c) || c == '.' || c == '-' || c == '_';
}

static bool part_is_good(struct slice part) {
    if (part.n == 0 || !is_alnum(part.p[0]))
        return false;
    for (size_t i = 0; i < part.n; i++)
        if (!is_inner(part.p[i]))
            return false;
    return true;
}

bool name_parse(struct slice given, char ret[NAME_BYTES], struct buf *problem) {
    size_t colon = slice_find(given, ':');
    struct slice tag = colon == SIZE_MAX ? SLICE("latest") : slice_from(given, colon + 1);
    struct slice path = slice_first(given, colon), rest = path;
    bool good = path.n > 0 && path.p[path.n - 1] != '/' && part_is_good(tag);
    while (good && rest.n)
        good = part_is_good(slice_split(&rest, '/'));
    if (!good || !path.p || !tag.p) {
        buf_append_str(problem, "is no name of a model; expected NAME[:TAG] of letters, digits, '.', '-', '_' and '/'");
        return false;
    }
    if (path.n + 1 + tag.n >= NAME_BYTES) {
        buf_printf(problem, "is too long for a name; at most %d bytes", NAME_BYTES - 1);
        return false;
    }
    memcpy(ret, path.p, path.n);
    ret[path.n] = ':';
    memcpy(ret + path.n + 1, tag.p, tag.n);
    ret[path.n + 1 + tag.n] = 0;
    return true;
}

bool name_make(struct slice from, struct slice tag, char ret[NAME_BYTES]) {
    char text[2 * NAME_BYTES];
    struct buf made = BUF_FIXED(text), ignored = BUF_INIT(256);
    bool begins = true;
    for (size_t i = 0; i < from.n; i++) {
        char c = from.p[i];
        if (c == '/' && !begins) {
            buf_append_char(&made, '/');
            begins = true;
        } else if (begins ? is_alnum(c) : c != '/') {
            buf_append_char(&made, is_inner(c) ? c : '-');
            begins = false;
        }
    }
    while (made.len && !is_alnum(text[made.len - 1]))
        made.len--;
    if (tag.n) {
        buf_append_char(&made, ':');
        buf_append(&made, tag);
    }
    bool ok = !made.failed && name_parse(buf_slice(&made), ret, &ignored);
    buf_done(&ignored);
    return ok;
}

void name_file(const char *name, struct buf *out) {
    for (; *name; name++)
        buf_append_char(out, *name == '/' ? '+' : *name == ':' ? '@' : *name);
}

static struct slice without_latest(struct slice s) {
    return slice_ends(s, ":latest") ? slice_first(s, s.n - (sizeof ":latest" - 1)) : s;
}

bool model_name_same(struct slice name, struct slice asked) {
    return asked.n && slice_eq(without_latest(name), without_latest(asked));
}

static bool five_digits(struct slice s, unsigned *ret) {
    uint64_t v;
    if (s.n != 5 || !slice_u64(s, &v) || v == 0)
        return false;
    *ret = (unsigned)v;
    return true;
}

bool split_name_parse(struct slice file, struct split_name *ret) {
    static const char form[] = "-00001-of-00001.gguf";
    size_t n = sizeof form - 1;
    struct split_name found;
    if (file.n <= n || !slice_ends(file, ".gguf"))
        return false;
    struct slice end = slice_from(file, file.n - n);
    found.stem_bytes = file.n - n;
    if (!slice_starts(end, "-") || !slice_starts(slice_from(end, 6), "-of-") ||
        !five_digits(slice_first(slice_from(end, 1), 5), &found.part) ||
        !five_digits(slice_first(slice_from(end, 10), 5), &found.of) || found.part > found.of)
        return false;
    *ret = found;
    return true;
}
