// SPDX-License-Identifier: Apache-2.0
// The upstream of the benchmark: one thread, epoll, the same answer to everybody, so that its own noise is small.
//     upstream whole                 a fixed chat completion of OpenAI's shape
//     upstream stream CHUNKS MS      CHUNKS server-sent events MS apart, each with the microsecond it was written at
// Prints its port. It trusts its clients: loopback only, and no body is ever looked at.
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define FDS 65536
#define HEAD_BYTES 16384

struct peer {
    char *head; // of the request that is coming in, HEAD_BYTES
    size_t head_len;
    uint64_t body_left;
    bool in_body;
    int chunks_left;
    uint64_t due_us;
    int next; // in the queue of streams, -1: last
    bool queued;
};

static struct peer peers[FDS];
static int queue_first = -1, queue_last = -1;
static int epoll_fd, chunks, interval_ms;
static bool streaming;

static const char whole_body[] =
    "{\"id\":\"chatcmpl-bench\",\"object\":\"chat.completion\",\"created\":1700000000,\"model\":\"m\",\"choices\":[{\"index\":"
    "0,\"message\":{\"role\":\"assistant\",\"content\":\"The quick brown fox jumps over the lazy dog, and nobody minds.\"},"
    "\"logprobs\":null,\"finish_reason\":\"stop\"}],\"usage\":{\"prompt_tokens\":210,\"completion_tokens\":14,"
    "\"total_tokens\":224}}";
static char whole_answer[1024];
static size_t whole_len;

static uint64_t now_us(void) {
    struct timespec t;
    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

static void die(const char *what) {
    perror(what);
    exit(1);
}

static void peer_close(int fd) {
    peers[fd].head_len = 0;
    peers[fd].in_body = false;
    peers[fd].chunks_left = -1; // if it stands in the queue, it is dropped there
    (void)close(fd);
}

static bool send_all(int fd, const char *p, size_t n) {
    return send(fd, p, n, MSG_NOSIGNAL | MSG_DONTWAIT) == (ssize_t)n;
}

static void queue_add(int fd) {
    if (peers[fd].queued)
        return; // an earlier connection of this number left it there
    peers[fd].queued = true;
    peers[fd].next = -1;
    if (queue_last >= 0)
        peers[queue_last].next = fd;
    else
        queue_first = fd;
    queue_last = fd;
}

static int chunk_write(char *out, size_t room, uint64_t now, bool last) {
    char data[512];
    int n = snprintf(
        data, sizeof data,
        "data: {\"id\":\"chatcmpl-bench\",\"object\":\"chat.completion.chunk\",\"created\":1700000000,\"model\":"
        "\"m\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\"t=%llu;\"},\"finish_reason\":null}]}\n\n%s",
        (unsigned long long)now,
        last ? "data: {\"id\":\"chatcmpl-bench\",\"object\":\"chat.completion.chunk\",\"created\":1700000000,"
               "\"model\":\"m\",\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}]}\n\n"
               "data: [DONE]\n\n"
             : "");
    return snprintf(out, room, "%x\r\n%s\r\n%s", (unsigned)n, data, last ? "0\r\n\r\n" : "");
}

static void stream_step(int fd, uint64_t now) {
    struct peer *p = &peers[fd];
    char out[1024];
    int n = chunk_write(out, sizeof out, now, p->chunks_left == 1);
    if (!send_all(fd, out, (size_t)n)) {
        peer_close(fd);
        return;
    }
    p->due_us += (uint64_t)interval_ms * 1000;
    if (--p->chunks_left > 0)
        queue_add(fd);
}

static void answer(int fd) {
    static const char head[] =
        "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n";
    if (!streaming) {
        if (!send_all(fd, whole_answer, whole_len))
            peer_close(fd);
        return;
    }
    peers[fd].chunks_left = chunks;
    peers[fd].due_us = now_us();
    if (send_all(fd, head, sizeof head - 1))
        stream_step(fd, peers[fd].due_us);
}

// What is due. Returns milliseconds until the next is, -1 when nothing waits.
static int queue_run(void) {
    uint64_t now = now_us();
    while (queue_first >= 0) {
        int fd = queue_first;
        if (peers[fd].chunks_left > 0 && peers[fd].due_us > now)
            return (int)((peers[fd].due_us - now) / 1000) + ((peers[fd].due_us - now) % 1000 > 500);
        queue_first = peers[fd].next;
        peers[fd].queued = false;
        if (queue_first < 0)
            queue_last = -1;
        if (peers[fd].chunks_left > 0)
            stream_step(fd, now);
    }
    return -1;
}

static uint64_t content_length(const char *head) {
    const char *p = strcasestr(head, "\r\ncontent-length:");
    return p ? strtoull(p + 17, NULL, 10) : 0;
}

// Takes n bytes of a request; answers when it is whole. What is behind it is the next.
static void peer_take(int fd, const char *p, size_t n) {
    struct peer *peer = &peers[fd];
    while (n && peer->head) {
        if (!peer->in_body) {
            size_t take = n < HEAD_BYTES - 1 - peer->head_len ? n : HEAD_BYTES - 1 - peer->head_len;
            size_t from = peer->head_len > 3 ? peer->head_len - 3 : 0;
            memcpy(peer->head + peer->head_len, p, take);
            peer->head[peer->head_len + take] = 0;
            char *end = strstr(peer->head + from, "\r\n\r\n");
            if (!end) {
                peer->head_len += take;
                return;
            }
            size_t used = (size_t)(end + 4 - peer->head) - peer->head_len;
            end[2] = 0;
            peer->body_left = content_length(peer->head);
            peer->in_body = true;
            peer->head_len = 0;
            p += used;
            n -= used;
        }
        size_t take = peer->body_left < n ? (size_t)peer->body_left : n;
        peer->body_left -= take;
        p += take;
        n -= take;
        if (peer->body_left)
            return;
        peer->in_body = false;
        answer(fd);
    }
    if (peer->in_body && peer->body_left == 0) {
        peer->in_body = false;
        answer(fd);
    }
}

static void peer_read(int fd) {
    static char buf[262144];
    ssize_t n = recv(fd, buf, sizeof buf, MSG_DONTWAIT);
    if (n > 0)
        peer_take(fd, buf, (size_t)n);
    else if (n == 0 || (errno != EAGAIN && errno != EINTR))
        peer_close(fd);
}

static void peer_accept(int listener) {
    for (;;) {
        int fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd < 0)
            return;
        if (fd >= FDS) {
            (void)close(fd);
            continue;
        }
        char *head = peers[fd].head ? peers[fd].head : malloc(HEAD_BYTES);
        if (!head)
            die("malloc");
        peers[fd] = (struct peer){.head = head, .chunks_left = -1, .next = peers[fd].next, .queued = peers[fd].queued};
        (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int));
        struct epoll_event ev = {.events = EPOLLIN, .data.fd = fd};
        (void)epoll_ctl(epoll_fd, EPOLL_CTL_ADD, fd, &ev);
    }
}

static int listen_open(void) {
    struct sockaddr_in sa = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof sa;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0 || bind(fd, (struct sockaddr *)&sa, sizeof sa) || listen(fd, 4096) ||
        getsockname(fd, (struct sockaddr *)&sa, &size))
        die("listen");
    printf("%d\n", ntohs(sa.sin_port));
    (void)fflush(stdout);
    return fd;
}

int main(int argc, char **argv) {
    struct rlimit files;
    (void)signal(SIGPIPE, SIG_IGN);
    if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
        files.rlim_cur = files.rlim_max;
        (void)setrlimit(RLIMIT_NOFILE, &files);
    }
    streaming = argc == 4 && strcmp(argv[1], "stream") == 0;
    if (streaming) {
        chunks = (int)strtol(argv[2], NULL, 10);
        interval_ms = (int)strtol(argv[3], NULL, 10);
    } else if (argc != 2 || strcmp(argv[1], "whole") != 0) {
        fprintf(stderr, "usage: upstream whole | upstream stream CHUNKS MS\n");
        return 2;
    }
    whole_len = (size_t)snprintf(whole_answer, sizeof whole_answer,
                                 "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %zu\r\n\r\n%s",
                                 sizeof whole_body - 1, whole_body);
    epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    int listener = listen_open();
    struct epoll_event ev = {.events = EPOLLIN, .data.fd = listener}, events[256];
    if (epoll_ctl(epoll_fd, EPOLL_CTL_ADD, listener, &ev))
        die("epoll");
    for (;;) {
        int n = epoll_wait(epoll_fd, events, 256, queue_run());
        for (int i = 0; i < n; i++) {
            if (events[i].data.fd == listener)
                peer_accept(listener);
            else
                peer_read(events[i].data.fd);
        }
    }
}
