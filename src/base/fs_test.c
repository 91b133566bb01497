// SPDX-License-Identifier: Apache-2.0
// Files: whole or not at all, bounded, with the mode that was asked for; the usual places follow the XDG variables.
#include "base/fs.h"
#include <dirent.h>
#include <errno.h>
#include <sys/stat.h>
#include <unistd.h>
#include "base/mem.h"
#include "unit.h"

static int entries(const char *dir) {
    int n = 0;
    DIR *d = opendir(dir);
    if (!d)
        return -1;
    while (readdir(d))
        n++;
    (void)closedir(d);
    return n - 2;
}

TEST(fs_writes_whole_files) {
    char dir[] = "/tmp/gridtie-fs-XXXXXX", path[64];
    struct buf b = BUF_INIT(100);
    struct stat st = {0};
    CHECK(mkdtemp(dir) != NULL);
    (void)snprintf(path, sizeof path, "%s/file", dir);
    CHECK(!fs_exists(path));
    CHECK_EQ(fs_write_atomic(path, SLICE("one"), 0600), ERR_OK);
    CHECK_EQ(fs_write_atomic(path, SLICE("second"), 0640), ERR_OK);
    CHECK(fs_exists(path) && stat(path, &st) == 0);
    CHECK_EQ(st.st_mode & 0777 & ~0640u, 0);
    CHECK_EQ(fs_read_file(path, 100, &b), ERR_OK);
    CHECK_STREQ(buf_cstr(&b), "second");
    CHECK_EQ(entries(dir), 1);                                  // nothing beside it is left
    CHECK_EQ(fs_write_atomic(dir, SLICE("x"), 0600), ERR_DISK); // a directory is not replaced
    CHECK_EQ(fs_write_atomic("/tmp/gridtie-no-such-dir/x", SLICE("x"), 0600), ERR_DISK);
    buf_done(&b);
    (void)unlink(path);
    (void)rmdir(dir);
}

TEST(fs_removes_a_tree_and_what_links_point_to_stays) {
    char dir[] = "/tmp/gridtie-fs-XXXXXX", path[96], kept[] = "/tmp/gridtie-fs-XXXXXX";
    CHECK(mkdtemp(dir) && mkdtemp(kept));
    (void)snprintf(path, sizeof path, "%s/a/b", dir);
    CHECK_EQ(fs_mkdirs(path, 0700), ERR_OK);
    (void)snprintf(path, sizeof path, "%s/a/b/file", dir);
    CHECK_EQ(fs_write_atomic(path, SLICE("x"), 0600), ERR_OK);
    (void)snprintf(path, sizeof path, "%s/a/link", dir);
    CHECK_EQ(symlink(kept, path), 0);
    fs_remove_tree(dir);
    CHECK(!fs_exists(dir) && fs_exists(kept));
    fs_remove_tree("/tmp/gridtie-no-such-dir");
    (void)rmdir(kept);
}

TEST(fs_reads_within_bounds) {
    char path[] = "/tmp/gridtie-fs-XXXXXX";
    struct buf b = BUF_INIT(100);
    int fd = mkstemp(path);
    CHECK(fd >= 0 && write(fd, "12345", 5) == 5);
    (void)close(fd);
    CHECK_EQ(fs_read_file(path, 5, &b), ERR_OK);
    CHECK_EQ(fs_read_file(path, 4, &b), ERR_TOO_LARGE);
    buf_clear(&b);
    CHECK_EQ(fs_read_file("/tmp/gridtie-no-such-file", 5, &b), ERR_NOT_FOUND);
    CHECK_EQ(errno, ENOENT);
    CHECK_EQ(fs_read_file("/tmp", 5, &b), ERR_DISK);
    CHECK_EQ(errno, EISDIR);
    buf_done(&b);
    mem_fail_at(1);
    CHECK_EQ(fs_read_file(path, 5, &b), ERR_NO_MEMORY);
    mem_fail_at(0);
    buf_done(&b);
    (void)unlink(path);
}

TEST(fs_makes_directories) {
    char dir[] = "/tmp/gridtie-fs-XXXXXX", path[64];
    CHECK(mkdtemp(dir) != NULL);
    (void)snprintf(path, sizeof path, "%s/a/b/c", dir);
    CHECK_EQ(fs_mkdirs(path, 0700), ERR_OK);
    CHECK_EQ(fs_mkdirs(path, 0700), ERR_OK);
    CHECK(fs_exists(path));
    CHECK_EQ(fs_mkdirs("", 0700), ERR_DISK);
    CHECK_EQ(fs_mkdirs("/dev/null/x", 0700), ERR_DISK);
    CHECK_EQ(fs_mkdirs("/dev/null", 0700), ERR_DISK); // there, but no directory
    for (const char *tail = "a/b/c"; tail; tail = strcmp(tail, "a/b/c") == 0 ? "a/b"
                                                  : strcmp(tail, "a/b") == 0 ? "a"
                                                                             : NULL) {
        (void)snprintf(path, sizeof path, "%s/%s", dir, tail);
        CHECK(rmdir(path) == 0);
    }
    (void)rmdir(dir);
}

static const char *place(void (*f)(struct buf *)) {
    static char text[256];
    struct buf b = BUF_INIT(256);
    f(&b);
    (void)snprintf(text, sizeof text, "%s", buf_cstr(&b));
    buf_done(&b);
    return text;
}

static void variable(const char *name, const char *value) {
    if (value)
        (void)setenv(name, value, 1);
    else
        (void)unsetenv(name);
}

TEST(fs_finds_the_usual_places) {
    static const char *const names[] = {"HOME",           "XDG_CONFIG_HOME", "XDG_DATA_HOME", "XDG_RUNTIME_DIR",
                                        "XDG_CACHE_HOME", "GRIDTIE_CACHE"};
    char *saved[6];
    for (size_t i = 0; i < 6; i++) {
        saved[i] = mem_strdup(getenv(names[i]));
        variable(names[i], NULL);
    }
    CHECK(place(fs_data_dir)[0] == '/'); // without HOME the user database is asked
    variable("HOME", "/home/u");
    CHECK_STREQ(place(fs_config_dir), "/home/u/.config/gridtie");
    CHECK_STREQ(place(fs_data_dir), "/home/u/.local/share/gridtie");
    CHECK_STREQ(place(fs_runtime_dir), "/home/u/.local/share/gridtie/run");
    CHECK_STREQ(place(fs_cache_dir), "/home/u/.cache/gridtie");
    variable("XDG_CONFIG_HOME", "/c");
    variable("XDG_DATA_HOME", "not/absolute");
    variable("XDG_RUNTIME_DIR", "/r");
    variable("XDG_CACHE_HOME", "/x");
    CHECK_STREQ(place(fs_cache_dir), "/x/gridtie");
    variable("GRIDTIE_CACHE", "/k");
    CHECK_STREQ(place(fs_config_dir), "/c/gridtie");
    CHECK_STREQ(place(fs_data_dir), "/home/u/.local/share/gridtie");
    CHECK_STREQ(place(fs_runtime_dir), "/r/gridtie");
    CHECK_STREQ(place(fs_cache_dir), "/k");
    for (size_t i = 0; i < 6; i++) {
        variable(names[i], saved[i]);
        mem_free(saved[i]);
    }
}
