// SPDX-License-Identifier: Apache-2.0
// Who listens on a port: the socket's inode from /proc/net/tcp and tcp6, then the process whose file descriptors name it.
// The kernel shows these only of this user's own processes, which is what is needed: a server of another user, a
// container's proxy or a tunnel must not pass for a process of ours. Linux only (proc(5)); nothing is kept.
#include "grid/listener.h"
#include <arpa/inet.h>
#include <ctype.h>
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define STATE_LISTEN 0x0a

struct owner {
    int rank; // of the address: what 127.0.0.1 names comes before a wildcard; 0: none found
    unsigned uid;
    unsigned long inode;
};

// How well a row's local address fits 127.0.0.1; 0: not at all. Words of 32 bits in the machine's order, as hex.
static int address_rank(const char *hex) {
    char loopback[9], mapped[33];
    (void)snprintf(loopback, sizeof loopback, "%08X", htonl(INADDR_LOOPBACK));
    (void)snprintf(mapped, sizeof mapped, "0000000000000000%08X%s", htonl(0xffff), loopback);
    if (strcmp(hex, loopback) == 0)
        return 4;
    if (strcmp(hex, "00000000") == 0)
        return 3;
    if (strcmp(hex, mapped) == 0)
        return 2;
    return strcmp(hex, "00000000000000000000000000000000") == 0 ? 1 : 0;
}

// A row of /proc/net/tcp{,6}: "  0: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000  1000  0 4242 …"
static void row_read(const char *row, uint16_t port, struct owner *best) {
    char address[40];
    unsigned local, state;
    struct owner o;
    if (sscanf(row, " %*[^:]: %39[0-9A-Fa-f]:%x %*[0-9A-Fa-f]:%*x %x %*x:%*x %*x:%*x %*x %u %*d %lu", address, &local,
               &state, &o.uid, &o.inode) != 5)
        return;
    o.rank = address_rank(address);
    if (state == STATE_LISTEN && local == port && o.rank > best->rank)
        *best = o;
}

static void table_read(const char *table, uint16_t port, struct owner *best) {
    char row[512];
    FILE *f = fopen(table, "re");
    while (f && fgets(row, sizeof row, f))
        row_read(row, port, best);
    if (f)
        (void)fclose(f);
}

static bool link_is(const char *path, const char *text) {
    char to[64];
    ssize_t n = readlink(path, to, sizeof to - 1);
    return n > 0 && (size_t)n == strlen(text) && memcmp(to, text, (size_t)n) == 0;
}

static bool process_holds(const char *pid, const char *socket_text) {
    char path[320];
    bool holds = false;
    (void)snprintf(path, sizeof path, "/proc/%.20s/fd", pid);
    DIR *d = opendir(path);
    for (struct dirent *e; d && !holds && (e = readdir(d));) {
        (void)snprintf(path, sizeof path, "/proc/%.20s/fd/%.20s", pid, e->d_name);
        holds = link_is(path, socket_text);
    }
    if (d)
        (void)closedir(d);
    return holds;
}

static void exe_of(const char *pid, char *ret, size_t room) {
    char path[64], file[4096];
    (void)snprintf(path, sizeof path, "/proc/%.20s/exe", pid);
    ssize_t n = readlink(path, file, sizeof file - 1);
    file[n > 0 ? n : 0] = '\0';
    const char *name = strrchr(file, '/');
    (void)snprintf(ret, room, "%s", name ? name + 1 : "");
}

void listener_find(uint16_t port, struct listener_who *ret) {
    struct owner owner = {0};
    char text[48];
    *ret = (struct listener_who){0};
    table_read("/proc/net/tcp", port, &owner);
    table_read("/proc/net/tcp6", port, &owner);
    if (owner.rank == 0 || owner.uid != getuid())
        return;
    (void)snprintf(text, sizeof text, "socket:[%lu]", owner.inode);
    DIR *d = opendir("/proc");
    for (struct dirent *e; d && !ret->ours && (e = readdir(d));) {
        if (!isdigit((unsigned char)e->d_name[0]) || !process_holds(e->d_name, text))
            continue;
        ret->ours = true;
        exe_of(e->d_name, ret->exe, sizeof ret->exe);
    }
    if (d)
        (void)closedir(d);
}
