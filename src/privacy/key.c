// SPDX-License-Identifier: Apache-2.0
// Where the node's key comes from. The file in the state folder protects against whoever gets at what left the machine, not
// against whoever reads the folder itself; for that the key has to come from elsewhere (docs/privacy.md). Blocks on the
// disk, at start only.
#include "privacy/key.h"
#include <errno.h>
#include <stdlib.h>
#include <sys/random.h>
#include "base/fs.h"
#include "base/mem.h"

#define KEY_LEAST_BYTES 16
#define KEY_RANDOM_BYTES 32

static enum err key_make(const char *path) {
    uint8_t bytes[KEY_RANDOM_BYTES];
    char text[2 * KEY_RANDOM_BYTES + 2];
    struct buf hex = BUF_FIXED(text);
    if (getrandom(bytes, sizeof bytes, 0) != (ssize_t)sizeof bytes)
        return ERR_DISK;
    for (size_t i = 0; i < sizeof bytes; i++)
        buf_append_hex(&hex, bytes[i], 2);
    buf_append_char(&hex, '\n');
    enum err e = fs_write_atomic(path, buf_slice(&hex), 0600);
    wipe(bytes, sizeof bytes);
    wipe(text, sizeof text);
    return e;
}

static enum err key_from_file(const char *path, struct secret *ret, struct buf *problem) {
    if (secret_from_file(ret, path))
        return ERR_OK;
    buf_printf(problem, "%s: the state key can't be read: %s", path, strerror(errno));
    return errno == ENOMEM ? ERR_NO_MEMORY : ERR_DISK;
}

static enum err key_from_folder(const char *state_dir, struct secret *ret, struct buf *problem) {
    struct buf path = BUF_INIT(8192);
    buf_printf(&path, "%s/state.key", state_dir);
    enum err e = fs_exists(buf_cstr(&path)) ? ERR_OK : key_make(buf_cstr(&path));
    if (e)
        buf_printf(problem, "%s can't be made: %s", buf_cstr(&path), strerror(errno));
    else
        e = key_from_file(buf_cstr(&path), ret, problem);
    buf_done(&path);
    return e;
}

enum err state_key_open(const char *state_dir, struct secret *ret, struct buf *problem) {
    const char *value = getenv("GRIDTIE_STATE_KEY"), *file = getenv("GRIDTIE_STATE_KEY_FILE");
    const char *credentials = getenv("CREDENTIALS_DIRECTORY");
    struct buf path = BUF_INIT(8192);
    enum err e;
    if (credentials)
        buf_printf(&path, "%s/gridtie-state-key", credentials);
    if (value && value[0])
        e = secret_set(ret, slice_trim(slice_str(value))) ? ERR_OK : ERR_NO_MEMORY;
    else if (file && file[0])
        e = key_from_file(file, ret, problem);
    else if (credentials && fs_exists(buf_cstr(&path)))
        e = key_from_file(buf_cstr(&path), ret, problem);
    else
        e = key_from_folder(state_dir, ret, problem);
    buf_done(&path);
    if (!e && secret_reveal(ret).n < KEY_LEAST_BYTES) {
        buf_printf(problem, "the state key is shorter than %d bytes", KEY_LEAST_BYTES);
        secret_done(ret);
        e = ERR_BAD_FIELD;
    }
    return e;
}
