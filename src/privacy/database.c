// SPDX-License-Identifier: Apache-2.0
// Compiled pattern databases. Building takes most of a second of one core, loading some milliseconds, so the table's is
// kept on the disk, checked by a SHA-256 in front of it: a file that was cut or changed is built anew. Its name holds
// what it depends on, so that another version, processor or table simply finds no file. Blocks on disk and processor:
// never called from a loop. A database is owned by its detector.
#include "privacy/database.h"
#include <stdio.h>
#include "base/fs.h"
#include "base/mem.h"
#include "base/secret.h"
#include "privacy/pattern.h"

#define DATABASE_BYTES_MOST (64u << 20)
#define DIGEST_BYTES 32

static void allocator_set(void) {
    (void)hs_set_allocator(mem_alloc, mem_free);
}

static void key_append(struct buf *out) {
    hs_platform_info_t cpu = {0};
    uint8_t digest[DIGEST_BYTES];
    struct buf all = BUF_INIT(1u << 20);
    (void)hs_populate_platform(&cpu);
    buf_printf(&all, "%s %u %llu\n", hs_version(), cpu.tune, cpu.cpu_features);
    for (size_t i = 0; i < n_patterns; i++)
        buf_printf(&all, "%s\n", patterns[i].anchor);
    sha256(buf_slice(&all), digest);
    for (size_t i = 0; i < 12; i++)
        buf_printf(out, "%02x", digest[i]);
    buf_done(&all);
}

void database_path(const char *dir, struct buf *out) {
    buf_printf(out, "%s/patterns-", dir);
    key_append(out);
    buf_append_str(out, ".hs");
}

// ---- building

static bool anchor_is_first(size_t row) {
    for (size_t i = 0; i < row; i++)
        if (strcmp(patterns[i].anchor, patterns[row].anchor) == 0)
            return false;
    return true;
}

static enum err built(hs_error_t rc, hs_compile_error_t *why, struct buf *problem) {
    if (rc == HS_SUCCESS)
        return ERR_OK;
    buf_printf(problem, "the patterns can't be compiled: %s", why ? why->message : "the library gave no reason");
    (void)hs_free_compile_error(why);
    return rc == HS_NOMEM ? ERR_NO_MEMORY : ERR_INTERNAL;
}

static enum err build(hs_database_t **ret, struct buf *problem) {
    const char **expressions = mem_alloc(n_patterns * sizeof *expressions);
    unsigned *flags = mem_alloc(n_patterns * sizeof *flags), *ids = mem_alloc(n_patterns * sizeof *ids), n = 0;
    hs_compile_error_t *why = NULL;
    enum err e = ERR_NO_MEMORY;
    for (size_t i = 0; expressions && flags && ids && i < n_patterns; i++) {
        if (!anchor_is_first(i))
            continue;
        expressions[n] = patterns[i].anchor;
        flags[n] = HS_FLAG_DOTALL | HS_FLAG_PREFILTER;
        ids[n++] = (unsigned)i;
    }
    if (n)
        e = built(hs_compile_multi(expressions, flags, ids, n, HS_MODE_BLOCK, NULL, ret, &why), why, problem);
    mem_free(expressions);
    mem_free(flags);
    mem_free(ids);
    return e;
}

enum err database_of_words(const char *const *words, size_t n, hs_database_t **ret, struct buf *problem) {
    unsigned *flags = mem_alloc(n * sizeof *flags), *ids = mem_alloc(n * sizeof *ids);
    size_t *lengths = mem_alloc(n * sizeof *lengths);
    hs_compile_error_t *why = NULL;
    enum err e = ERR_NO_MEMORY;
    bool room = flags && ids && lengths;
    allocator_set();
    for (size_t i = 0; room && i < n; i++) {
        flags[i] = HS_FLAG_CASELESS;
        ids[i] = (unsigned)i;
        lengths[i] = strlen(words[i]);
    }
    if (room)
        e = built(hs_compile_lit_multi(words, flags, ids, lengths, (unsigned)n, HS_MODE_BLOCK, NULL, ret, &why), why,
                  problem);
    mem_free(flags);
    mem_free(ids);
    mem_free(lengths);
    return e;
}

// ---- the file

enum err database_load(const char *path, hs_database_t **ret) {
    uint8_t digest[DIGEST_BYTES];
    struct buf file = BUF_INIT(DATABASE_BYTES_MOST);
    enum err e = fs_read_file(path, DATABASE_BYTES_MOST, &file);
    struct slice body = slice_from(buf_slice(&file), DIGEST_BYTES);
    if (!e) {
        sha256(body, digest);
        bool whole = body.n && memcmp(file.p, digest, DIGEST_BYTES) == 0;
        e = whole && hs_deserialize_database(body.p, body.n, ret) == HS_SUCCESS ? ERR_OK : ERR_DISK;
    }
    buf_done(&file);
    return e;
}

static void save(const char *dir, const char *path, const hs_database_t *db) {
    char *bytes = NULL;
    size_t n = 0;
    uint8_t digest[DIGEST_BYTES];
    struct buf file = BUF_INIT(DATABASE_BYTES_MOST);
    if (hs_serialize_database(db, &bytes, &n) != HS_SUCCESS)
        return;
    sha256(slice_of(bytes, n), digest);
    buf_append_mem(&file, digest, sizeof digest);
    buf_append_mem(&file, bytes, n);
    // Where it can't be kept, the next start builds it again.
    if (!file.failed && fs_mkdirs(dir, 0700) == ERR_OK)
        (void)!fs_write_atomic(path, buf_slice(&file), 0600);
    mem_free(bytes);
    buf_done(&file);
}

enum err database_open(const char *const *dirs, hs_database_t **ret, struct buf *problem) {
    struct buf path = BUF_INIT(8192);
    enum err e = ERR_NOT_FOUND;
    const char *last = NULL;
    allocator_set();
    if (hs_valid_platform() != HS_SUCCESS) {
        buf_append_str(problem, "this processor lacks what Vectorscan needs (SSE4.2 on x86)");
        return ERR_INTERNAL;
    }
    for (; *dirs && e; dirs++) {
        last = *dirs;
        buf_clear(&path);
        database_path(last, &path);
        e = database_load(buf_cstr(&path), ret);
    }
    if (e) {
        e = build(ret, problem);
        if (!e && last)
            save(last, buf_cstr(&path), *ret);
    }
    buf_done(&path);
    return e;
}

int database_build_main(int argc, char **argv) {
    struct buf problem = BUF_INIT(4096);
    hs_database_t *db = NULL;
    const char *const dirs[] = {argc > 2 ? argv[2] : NULL, NULL};
    enum err e = argc == 4 ? database_open(dirs, &db, &problem) : ERR_BAD_REQUEST;
    if (!e)
        e = fs_write_atomic(argv[3], SLICE(""), 0644);
    if (e)
        (void)fprintf(stderr, "gridtie: no patterns: %s %s\n", err_name(e), buf_cstr(&problem));
    (void)hs_free_database(db);
    buf_done(&problem);
    return e ? 1 : 0;
}
