// SPDX-License-Identifier: Apache-2.0
// Sockets that listen, and accepting from them. Each loop has its own TCP socket on the same address (SO_REUSEPORT), so
// the kernel spreads connections; a UNIX socket has no such thing, one is made and each loop listens on a dup of it.
//
// A listener owns its descriptor through its libuv handle. With no descriptors left libuv closes what it accepts (it
// keeps one in reserve); with no memory left the connection waits in libuv until the next sweep.
// Nothing here blocks, but server_unix_listener at start, which looks whether another daemon lives behind a path.
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>
#include "base/mem.h"
#include "net/conn.h"
#include "net/outgoing.h"

#define BACKLOG 4096 // the kernel caps it at somaxconn

static const char busy_answer[] = "HTTP/1.1 503 Service Unavailable\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";

static void refused_closed(uv_handle_t *h) {
    struct server *s = h->data;
    mem_free(h);
    server_handle_gone(s);
}

// Above max_conns: an answer if the socket takes it at once, then the end.
static void conn_turn_away(struct server *s, struct conn *c) {
    uv_buf_t busy = uv_buf_init((char *)(uintptr_t)busy_answer, sizeof busy_answer - 1);
    (void)uv_try_write((uv_stream_t *)&c->tcp, &busy, 1);
    c->tcp.data = s;
    uv_close((uv_handle_t *)&c->tcp, refused_closed);
}

static void listener_accept(struct listener *from) {
    struct server *s = from->server;
    struct conn *c = mem_zalloc(sizeof *c);
    from->retry = !c;
    if (!c) {
        server_conn_added(s, NULL); // the sweep will try again
        return;
    }
    uv_tcp_init(&s->loop->uv, &c->tcp);
    c->tcp.data = s;
    s->n_handles++;
    if (uv_accept((uv_stream_t *)&from->pipe, (uv_stream_t *)&c->tcp)) {
        uv_close((uv_handle_t *)&c->tcp, refused_closed);
        return;
    }
    if (s->n_conns >= s->o.max_conns || s->draining) {
        conn_turn_away(s, c);
        return;
    }
    conn_open(from, c);
}

// A status other than 0 is a failed accept: of a connection that is gone, or for want of descriptors. Both pass.
static void on_connection(uv_stream_t *stream, int status) {
    struct listener *from = stream->data;
    if (status || from->server->closing)
        return;
    loop_tick(from->server->loop, from);
    listener_accept(from);
}

void listener_retry(struct listener *from) {
    if (from->retry)
        listener_accept(from);
}

static void listener_closed(uv_handle_t *h) {
    struct listener *from = h->data;
    struct server *s = from->server;
    mem_free(from);
    server_handle_gone(s);
}

void listeners_close(struct server *s) {
    while (s->listeners) {
        struct listener *from = s->listeners;
        s->listeners = from->next;
        uv_close((uv_handle_t *)&from->pipe, listener_closed);
    }
}

// Takes fd in any case.
static enum err listener_add(struct server *s, int fd, bool is_unix, bool loopback) {
    struct listener *from = mem_zalloc(sizeof *from);
    if (!from) {
        close(fd);
        return ERR_NO_MEMORY;
    }
    *from = (struct listener){.server = s, .is_unix = is_unix, .loopback = loopback};
    uv_pipe_init(&s->loop->uv, &from->pipe, 0);
    from->pipe.data = from;
    s->n_handles++;
    int r = uv_pipe_open(&from->pipe, fd);
    if (r)
        close(fd);
    if (!r)
        r = uv_listen((uv_stream_t *)&from->pipe, BACKLOG, on_connection);
    if (r) {
        uv_close((uv_handle_t *)&from->pipe, listener_closed);
        return ERR_LIMIT;
    }
    from->next = s->listeners;
    s->listeners = from;
    return ERR_OK;
}

static bool address_parse(const char *address, struct sockaddr_storage *ret, socklen_t *ret_len) {
    char host[64];
    uint64_t port;
    const char *colon = strrchr(address, ':');
    if (!colon || !slice_u64(slice_str(colon + 1), &port) || port > 65535)
        return false;
    struct slice name = slice_of(address, (size_t)(colon - address));
    bool v6 = name.n > 2 && name.p[0] == '[' && name.p[name.n - 1] == ']';
    if (v6)
        name = slice_of(name.p + 1, name.n - 2);
    if (name.n >= sizeof host)
        return false;
    memcpy(host, name.p, name.n);
    host[name.n] = 0;
    struct sockaddr_in in = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    struct sockaddr_in6 in6 = {.sin6_family = AF_INET6, .sin6_port = htons((uint16_t)port)};
    memset(ret, 0, sizeof *ret);
    *ret_len = v6 ? sizeof in6 : sizeof in;
    if (v6 ? inet_pton(AF_INET6, host, &in6.sin6_addr) != 1 : inet_pton(AF_INET, host, &in.sin_addr) != 1)
        return false;
    memcpy(ret, v6 ? (void *)&in6 : (void *)&in, *ret_len);
    return true;
}

static int tcp_bound(const struct sockaddr_storage *addr, socklen_t len) {
    int on = 1, fd = socket(addr->ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -1;
    (void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    (void)setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof on);
    // What is accepted inherits this: no system call per connection.
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    if (addr->ss_family == AF_INET6)
        (void)setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on);
    // Listening here and not in libuv: a socket that is bound but does not listen lets another daemon bind too.
    if (bind(fd, (const struct sockaddr *)addr, len) == 0 && listen(fd, BACKLOG) == 0)
        return fd;
    int cause = errno;
    close(fd);
    errno = cause;
    return -1;
}

// SO_REUSEPORT lets a second daemon of the same user share the port unseen. The first loop looks whether it is free.
static bool port_is_taken(const struct sockaddr_storage *addr, socklen_t len) {
    int on = 1, fd = socket(addr->ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return false;
    (void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    bool taken = bind(fd, (const struct sockaddr *)addr, len) != 0 && errno == EADDRINUSE;
    close(fd);
    return taken;
}

static int port_of(int fd) {
    struct sockaddr_storage addr = {0};
    socklen_t len = sizeof addr;
    struct sockaddr_in in;
    struct sockaddr_in6 in6;
    if (getsockname(fd, (struct sockaddr *)&addr, &len))
        return 0;
    memcpy(&in, &addr, sizeof in);
    memcpy(&in6, &addr, sizeof in6);
    return ntohs(addr.ss_family == AF_INET6 ? in6.sin6_port : in.sin_port);
}

enum err server_listen_tcp(struct server *s, const char *address, int *ret_port, struct buf *problem) {
    struct sockaddr_storage addr;
    socklen_t len;
    if (!address_parse(address, &addr, &len)) {
        buf_printf(problem, "'%s' is no address to listen on; expected 127.0.0.1:11411 or [::1]:11411", address);
        return ERR_BAD_FIELD;
    }
    if (s->loop->index == 0 && port_is_taken(&addr, len)) {
        buf_printf(problem, "cannot listen on %s: another program does", address);
        return ERR_LIMIT;
    }
    int fd = tcp_bound(&addr, len);
    if (fd < 0) {
        buf_printf(problem, "cannot listen on %s: %s", address, strerror(errno));
        return ERR_LIMIT;
    }
    int port = port_of(fd);
    enum err e = listener_add(s, fd, false, outgoing_is_loopback((struct sockaddr *)&addr));
    if (e)
        buf_printf(problem, "cannot listen on %s: %s", address, err_row(e)->text);
    else if (ret_port)
        *ret_port = port;
    return e;
}

enum err server_listen_fd(struct server *s, int fd) {
    int mine = fcntl(fd, F_DUPFD_CLOEXEC, 0);
    if (mine < 0)
        return ERR_LIMIT;
    return listener_add(s, mine, true, true);
}

// A path that a daemon which is gone left behind is free; one where somebody answers is not, nor is any other file.
static bool path_make_free(const char *path, const struct sockaddr_un *addr, struct buf *problem) {
    static const struct permit permit = {ZONE_DEVICE, 1u << ZONE_DEVICE, "probe"};
    struct stat st;
    int fd = -1;
    if (lstat(path, &st))
        return true;
    if (!S_ISSOCK(st.st_mode)) {
        buf_printf(problem, "%s exists and is no socket", path);
        return false;
    }
    if (outgoing_open(&permit, (const struct sockaddr *)addr, sizeof *addr, &fd) == ERR_OK) {
        close(fd);
        buf_printf(problem, "another program listens on %s", path);
        return false;
    }
    (void)unlink(path);
    return true;
}

int server_unix_listener(const char *path, struct buf *problem) {
    struct sockaddr_un addr = {.sun_family = AF_UNIX};
    size_t n = strlen(path);
    if (n == 0 || n >= sizeof addr.sun_path) {
        buf_printf(problem, "the path of a UNIX socket has 1 to %zu bytes: %s", sizeof addr.sun_path - 1, path);
        return -1;
    }
    memcpy(addr.sun_path, path, n);
    if (!path_make_free(path, &addr, problem))
        return -1;
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    // On Linux the file gets the socket's own mode, so it is never open to others, not even for a moment.
    if (fd >= 0 && fchmod(fd, 0600) == 0 && bind(fd, (struct sockaddr *)&addr, sizeof addr) == 0 &&
        listen(fd, BACKLOG) == 0)
        return fd;
    buf_printf(problem, "cannot listen on %s: %s", path, strerror(errno));
    if (fd >= 0)
        close(fd);
    return -1;
}
