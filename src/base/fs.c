// SPDX-License-Identifier: Apache-2.0
// Small files and the usual places (XDG base directories). Blocks on the disk: never called from a loop once it serves.
// A file is replaced whole or not at all: written beside, synced, renamed over, and the folder synced, so that neither a
// reader nor a power cut sees half of it. Owns nothing beyond the call.
#include "base/fs.h"
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>
#include "base/secret.h"

enum err fs_read_file(const char *path, size_t max, struct buf *out) {
    char block[16384];
    ssize_t got;
    size_t total = 0;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return errno == ENOENT || errno == ENOTDIR ? ERR_NOT_FOUND : ERR_DISK;
    while ((got = read(fd, block, sizeof block)) > 0 && (total += (size_t)got) <= max)
        buf_append_mem(out, block, (size_t)got);
    int cause = got < 0 ? errno : 0;
    wipe(block, sizeof block); // it may have been a credential
    (void)close(fd);
    errno = cause;
    if (got < 0)
        return ERR_DISK;
    if (total > max)
        return ERR_TOO_LARGE;
    return out->failed ? ERR_NO_MEMORY : ERR_OK;
}

static bool write_all(int fd, struct slice s) {
    while (s.n) {
        ssize_t n = write(fd, s.p, s.n);
        if (n < 0 && errno != EINTR)
            return false;
        if (n > 0)
            s = slice_from(s, (size_t)n);
    }
    return true;
}

// The rename itself is on the disk once its folder is. Some file systems can't; the file is there either way.
static void dir_sync(const char *path) {
    char dir[4096];
    const char *slash = strrchr(path, '/');
    (void)snprintf(dir, sizeof dir, "%.*s", slash ? (int)(slash - path + 1) : 1, slash ? path : ".");
    int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return;
    (void)fsync(fd);
    (void)close(fd);
}

enum err fs_rename_synced(const char *from, const char *to) {
    if (rename(from, to) != 0)
        return ERR_DISK;
    dir_sync(to);
    return ERR_OK;
}

enum err fs_write_atomic(const char *path, struct slice content, unsigned mode) {
    static _Atomic unsigned serial; // two threads may write one path
    char beside[4096];
    int len = snprintf(beside, sizeof beside, "%s.new.%d.%u", path, (int)getpid(), serial++);
    if (len < 0 || (size_t)len >= sizeof beside)
        return ERR_DISK;
    (void)unlink(beside); // of a dead process with our number; its mode may be another
    int fd = open(beside, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode);
    if (fd < 0)
        return ERR_DISK;
    bool ok = write_all(fd, content) && fsync(fd) == 0;
    ok = close(fd) == 0 && ok;
    ok = ok && rename(beside, path) == 0;
    int cause = errno;
    if (ok)
        dir_sync(path);
    else
        (void)unlink(beside);
    errno = ok ? 0 : cause;
    return ok ? ERR_OK : ERR_DISK;
}

enum err fs_mkdirs(const char *path, unsigned mode) {
    char at[4096];
    size_t n = strlen(path);
    if (n == 0 || n >= sizeof at)
        return ERR_DISK;
    for (size_t i = 1; i <= n; i++) {
        if (i < n && path[i] != '/')
            continue;
        memcpy(at, path, i);
        at[i] = 0;
        if (mkdir(at, mode) != 0 && errno != EEXIST)
            return ERR_DISK;
    }
    struct stat st;
    return stat(path, &st) == 0 && S_ISDIR(st.st_mode) ? ERR_OK : ERR_DISK;
}

static int tree_remove(const char *path, const struct stat *st, int kind, struct FTW *at) {
    (void)st;
    (void)kind;
    (void)at;
    (void)remove(path);
    return 0;
}

void fs_remove_tree(const char *path) {
    (void)nftw(path, tree_remove, 16, FTW_DEPTH | FTW_PHYS);
}

bool fs_exists(const char *path) {
    return access(path, F_OK) == 0;
}

// $HOME, else what the user database says: a service may have no HOME, and /tmp is anybody's.
void fs_home_dir(struct buf *out) {
    const char *home = getenv("HOME");
    char space[4096];
    struct passwd entry, *found = NULL;
    if (home && home[0] == '/')
        buf_append_str(out, home);
    else if (getpwuid_r(geteuid(), &entry, space, sizeof space, &found) == 0 && found)
        buf_append_str(out, entry.pw_dir);
}

// $variable/gridtie, else $HOME/otherwise/gridtie. A relative path in the variable is no path (XDG says so).
static void dir_of(struct buf *out, const char *variable, const char *otherwise) {
    const char *base = getenv(variable);
    if (base && base[0] == '/') {
        buf_printf(out, "%s/gridtie", base);
        return;
    }
    fs_home_dir(out);
    buf_printf(out, "/%s/gridtie", otherwise);
}

void fs_config_dir(struct buf *out) {
    dir_of(out, "XDG_CONFIG_HOME", ".config");
}

void fs_data_dir(struct buf *out) {
    dir_of(out, "XDG_DATA_HOME", ".local/share");
}

void fs_runtime_dir(struct buf *out) {
    const char *base = getenv("XDG_RUNTIME_DIR");
    if (base && base[0] == '/') {
        buf_printf(out, "%s/gridtie", base);
        return;
    }
    fs_data_dir(out);
    buf_append_str(out, "/run");
}

void fs_cache_dir(struct buf *out) {
    const char *cache = getenv("GRIDTIE_CACHE");
    if (cache && cache[0] == '/')
        buf_append_str(out, cache);
    else
        dir_of(out, "XDG_CACHE_HOME", ".cache"); // where tools/setup puts things
}
