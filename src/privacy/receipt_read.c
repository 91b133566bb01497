// SPDX-License-Identifier: Apache-2.0
// Reading receipts: the list, the head, and the proof that nothing was changed, taken out or put elsewhere. From the files
// alone, without the process that wrote them. Lines are taken apart by their fixed beginning and end, so that what is
// hashed is the bytes and no reading of them. Blocks on the disk; never on a loop.
#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include "base/clock.h"
#include "base/fs.h"
#include "base/json.h"
#include "base/mem.h"
#include "privacy/receipt_files.h"

#define FILE_BYTES_MOST (64u << 20)
#define PROBLEMS_MOST 50

static const char no_hash[] = "0000000000000000000000000000000000000000000000000000000000000000";

// ---- files

void receipt_path(struct buf *out, const char *dir, unsigned file) {
    buf_printf(out, "%s/%08u.jsonl", dir, file);
}

static int number_order(const void *a, const void *b) {
    unsigned x = *(const unsigned *)a, y = *(const unsigned *)b;
    return x < y ? -1 : x > y;
}

static bool list_add(struct receipt_list *list, unsigned file) {
    unsigned *v = mem_realloc(list->v, (list->n + 1) * sizeof *v);
    if (!v)
        return false;
    list->v = v;
    list->v[list->n++] = file;
    return true;
}

enum err receipt_files(const char *dir, struct receipt_list *ret) {
    DIR *d = opendir(dir);
    *ret = (struct receipt_list){NULL, 0};
    if (!d)
        return errno == ENOENT ? ERR_OK : ERR_DISK;
    enum err e = ERR_OK;
    for (struct dirent *entry; !e && (entry = readdir(d));) {
        struct slice name = slice_str(entry->d_name);
        uint64_t number;
        bool ours = slice_ends(name, ".jsonl") && slice_u64(slice_first(name, name.n - 6), &number);
        if (ours && number <= UINT32_MAX && !list_add(ret, (unsigned)number))
            e = ERR_NO_MEMORY;
    }
    (void)closedir(d);
    if (ret->n)
        qsort(ret->v, ret->n, sizeof *ret->v, number_order);
    if (e)
        mem_free(ret->v);
    return e;
}

static enum err file_read(const char *dir, unsigned file, struct buf *out) {
    struct buf path = BUF_INIT(8192);
    buf_clear(out);
    receipt_path(&path, dir, file);
    enum err e = fs_read_file(buf_cstr(&path), FILE_BYTES_MOST, out);
    buf_done(&path);
    return e;
}

// ---- a line

static bool take(struct slice *s, const char *word) {
    if (!slice_starts(*s, word))
        return false;
    *s = slice_from(*s, strlen(word));
    return true;
}

bool receipt_line_read(struct slice line, struct receipt_line *ret) {
    static const char mark[] = ",\"hash\":\"";
    size_t end = sizeof mark - 1 + RECEIPT_HASH_HEX + 2; // … and "}
    struct slice rest = line;
    if (line.n < end + 16 || !slice_ends(line, "\"}") || !take(&rest, "{\"seq\":"))
        return false;
    struct slice tail = slice_from(line, line.n - end);
    if (!slice_u64(slice_split(&rest, ','), &ret->seq) || !take(&rest, "\"prev\":\"") || !take(&tail, mark))
        return false;
    ret->prev = slice_first(rest, RECEIPT_HASH_HEX);
    ret->hash = slice_first(tail, RECEIPT_HASH_HEX);
    ret->hashed = slice_first(line, line.n - end);
    return ret->prev.n == RECEIPT_HASH_HEX;
}

static enum err tail_of(const char *dir, unsigned file, struct receipt_tail *ret) {
    struct buf text = BUF_INIT(FILE_BYTES_MOST);
    struct receipt_line line;
    enum err e = file_read(dir, file, &text);
    size_t whole = text.len;
    while (whole > 0 && text.p[whole - 1] != '\n')
        whole--;
    size_t begin = whole ? whole - 1 : 0;
    while (begin > 0 && text.p[begin - 1] != '\n')
        begin--;
    *ret = (struct receipt_tail){.whole = (int64_t)whole, .torn = (int64_t)(text.len - whole)};
    if (!e && whole && receipt_line_read(slice_of(text.p + begin, whole - 1 - begin), &line)) {
        ret->readable = true;
        ret->seq = line.seq;
        memcpy(ret->hash, line.hash.p, RECEIPT_HASH_HEX);
    }
    buf_done(&text);
    return e;
}

enum err receipt_tail_read(const char *dir, const struct receipt_list *list, struct receipt_tail *ret) {
    struct receipt_tail before;
    enum err e = tail_of(dir, list->v[list->n - 1], ret);
    if (e || ret->readable || ret->whole > 0)
        return e;
    if (list->n == 1) { // nothing but a torn first line
        ret->readable = true;
        memcpy(ret->hash, no_hash, sizeof ret->hash);
        return ERR_OK;
    }
    e = tail_of(dir, list->v[list->n - 2], &before);
    if (!e && before.readable) {
        ret->readable = true;
        ret->seq = before.seq;
        memcpy(ret->hash, before.hash, sizeof ret->hash);
    }
    return e;
}

// ---- walking

struct visit {
    enum err (*line)(struct visit *v, unsigned file, size_t number, struct slice line);
    void *ctx;
};

static enum err each_line(const char *state_dir, struct visit *v) {
    struct receipt_list list;
    struct buf dir = BUF_INIT(8192), text = BUF_INIT(FILE_BYTES_MOST);
    buf_printf(&dir, "%s/receipts", state_dir);
    enum err e = receipt_files(buf_cstr(&dir), &list);
    for (size_t i = 0; !e && i < list.n; i++) {
        e = file_read(buf_cstr(&dir), list.v[i], &text);
        struct slice rest = buf_slice(&text);
        for (size_t number = 1; !e && rest.n; number++)
            e = v->line(v, list.v[i], number, slice_split(&rest, '\n'));
    }
    if (list.v)
        mem_free(list.v);
    buf_done(&dir);
    buf_done(&text);
    return e;
}

// ---- the list

struct listing {
    const struct receipts_filter *f;
    struct buf kept; // lines that fit
    size_t n;
};

static int64_t number_in(struct slice line, const char *name) {
    size_t at = slice_search(line, slice_str(name));
    uint64_t v = 0;
    struct slice rest = at == SIZE_MAX ? SLICE_NONE : slice_from(line, at + strlen(name));
    size_t digits = 0;
    while (digits < rest.n && rest.p[digits] >= '0' && rest.p[digits] <= '9')
        digits++;
    return slice_u64(slice_first(rest, digits), &v) ? (int64_t)v : 0;
}

static bool fits(const struct receipts_filter *f, struct slice line) {
    char zone[32];
    if (number_in(line, "\"wall_us\":") < f->since_us)
        return false;
    (void)snprintf(zone, sizeof zone, "\"zone\":\"%s\"", f->zone < 0 ? "" : zone_name((enum zone)f->zone));
    return f->zone < 0 || slice_search(line, slice_str(zone)) != SIZE_MAX;
}

static enum err list_line(struct visit *v, unsigned file, size_t number, struct slice line) {
    struct listing *l = v->ctx;
    struct receipt_line ignored;
    (void)file;
    (void)number;
    if (!receipt_line_read(line, &ignored) || !fits(l->f, line))
        return ERR_OK;
    if ((int64_t)l->n >= l->f->limit) {
        size_t first = slice_find(buf_slice(&l->kept), '\n');
        buf_consume(&l->kept, first + 1);
        l->n--;
    }
    buf_append(&l->kept, line);
    buf_append_char(&l->kept, '\n');
    l->n++;
    return l->kept.failed ? ERR_NO_MEMORY : ERR_OK;
}

enum err receipts_list(const char *state_dir, const struct receipts_filter *f, struct buf *json) {
    struct listing l = {f, BUF_INIT(256u << 20), 0};
    struct visit v = {list_line, &l};
    struct json_writer w = JSON_WRITER(json);
    enum err e = f->limit > 0 ? each_line(state_dir, &v) : ERR_OK;
    json_obj(&w);
    json_key(&w, "receipts");
    json_arr(&w);
    struct slice rest = buf_slice(&l.kept);
    while (!e && rest.n)
        json_put_raw(&w, slice_split(&rest, '\n'));
    json_arr_end(&w);
    json_obj_end(&w);
    buf_done(&l.kept);
    return !e && json->failed ? ERR_NO_MEMORY : e;
}

// ---- the proof

struct proof {
    struct json_writer w; // of the problems
    unsigned n_problems;
    uint64_t receipts, first, last;
    int64_t wall_us;
    char hash[RECEIPT_HASH_HEX + 1];
    struct anchor {
        const char *name;
        uint64_t seq;
        struct slice hash;
        bool met;
    } anchors[2];
    size_t n_anchors;
};

static void problem(struct proof *p, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static void problem(struct proof *p, const char *fmt, ...) {
    char text[256];
    va_list args;
    if (p->n_problems++ >= PROBLEMS_MOST)
        return;
    va_start(args, fmt);
    (void)vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    json_put_cstr(&p->w, text);
}

static void proof_link(struct proof *p, unsigned file, size_t number, const struct receipt_line *line) {
    bool begins = p->receipts == 0;
    if (begins && line->seq == 1 && !slice_is(line->prev, no_hash))
        problem(p, "file %u, line %zu: the first receipt names one before it", file, number);
    if (!begins && line->seq != p->last + 1)
        problem(p, "file %u, line %zu: receipt %" PRIu64 " follows %" PRIu64, file, number, line->seq, p->last);
    if (!begins && !slice_is(line->prev, p->hash))
        problem(p, "file %u, line %zu: receipt %" PRIu64 " does not follow what stands before it", file, number,
                line->seq);
}

static enum err proof_line(struct visit *v, unsigned file, size_t number, struct slice text) {
    struct proof *p = v->ctx;
    struct receipt_line line;
    char hash[RECEIPT_HASH_HEX + 1];
    if (!receipt_line_read(text, &line)) {
        problem(p, "file %u, line %zu: no receipt", file, number);
        return ERR_OK;
    }
    receipt_hash(line.hashed, hash);
    if (!slice_is(line.hash, hash))
        problem(p, "file %u, line %zu: receipt %" PRIu64 " was changed", file, number, line.seq);
    proof_link(p, file, number, &line);
    if (p->receipts++ == 0)
        p->first = line.seq;
    p->last = line.seq;
    p->wall_us = number_in(text, "\"wall_us\":");
    memcpy(p->hash, line.hash.p, RECEIPT_HASH_HEX);
    for (size_t i = 0; i < p->n_anchors; i++)
        p->anchors[i].met |= p->anchors[i].seq == line.seq && slice_eq(p->anchors[i].hash, line.hash);
    return ERR_OK;
}

static bool anchor_add(struct proof *p, const char *name, struct slice text) {
    struct slice hash = slice_trim(text), seq = slice_split(&hash, ':');
    struct anchor *a = &p->anchors[p->n_anchors];
    a->name = name;
    a->hash = hash;
    if (!slice_u64(seq, &a->seq) || hash.n != RECEIPT_HASH_HEX)
        return false;
    p->n_anchors++;
    return true;
}

static void anchors_judge(struct proof *p) {
    for (size_t i = 0; i < p->n_anchors; i++) {
        const struct anchor *a = &p->anchors[i];
        if (a->met || a->seq == 0 || (a->seq < p->first && i == 0))
            continue;
        if (a->seq > p->last)
            problem(p, "receipts are missing at the end: %s names %" PRIu64 ", the last one is %" PRIu64, a->name,
                    a->seq, p->last);
        else
            problem(p, "receipt %" PRIu64 " is not the one that %s names", a->seq, a->name);
    }
}

static void proof_write(struct proof *p, struct slice problems, struct buf *json) {
    struct json_writer w = JSON_WRITER(json);
    json_obj(&w);
    json_kv_bool(&w, "ok", p->n_problems == 0);
    json_kv_int(&w, "receipts", (int64_t)p->receipts);
    json_kv_int(&w, "first", (int64_t)p->first);
    json_kv_int(&w, "last", (int64_t)p->last);
    json_kv_cstr(&w, "hash", p->receipts ? p->hash : no_hash);
    json_key(&w, "problems");
    json_put_raw(&w, problems);
    json_obj_end(&w);
}

enum err receipts_verify(const char *state_dir, struct slice anchor, struct buf *json, bool *ret_ok) {
    struct buf problems = BUF_INIT(65536), path = BUF_INIT(8192), head = BUF_INIT(4096);
    struct proof p = {.w = JSON_WRITER(&problems)};
    struct visit v = {proof_line, &p};
    buf_printf(&path, "%s/receipts/head", state_dir);
    json_arr(&p.w);
    if (fs_read_file(buf_cstr(&path), 4096, &head) == ERR_OK && !anchor_add(&p, "the noted head", buf_slice(&head)))
        problem(&p, "the file with the noted head was changed");
    if (anchor.n && !anchor_add(&p, "the given head", anchor))
        problem(&p, "the given head is none: expected SEQ:HASH as `gridtie audit head` prints it");
    enum err e = each_line(state_dir, &v);
    anchors_judge(&p);
    json_arr_end(&p.w);
    if (!e)
        proof_write(&p, buf_slice(&problems), json);
    *ret_ok = !e && p.n_problems == 0;
    buf_done(&problems);
    buf_done(&path);
    buf_done(&head);
    return !e && json->failed ? ERR_NO_MEMORY : e;
}

enum err receipts_head(const char *state_dir, struct buf *json) {
    struct buf ignored = BUF_INIT(65536), time = BUF_INIT(64);
    struct proof p = {.w = JSON_WRITER(&ignored)};
    struct visit v = {proof_line, &p};
    struct json_writer w = JSON_WRITER(json);
    enum err e = each_line(state_dir, &v);
    json_obj(&w);
    json_kv_int(&w, "seq", (int64_t)p.last);
    json_kv_cstr(&w, "hash", p.receipts ? p.hash : no_hash);
    if (p.receipts) {
        clock_append_rfc3339(&time, p.wall_us);
        json_kv_str(&w, "time", buf_slice(&time));
    }
    json_obj_end(&w);
    buf_done(&ignored);
    buf_done(&time);
    return !e && json->failed ? ERR_NO_MEMORY : e;
}
