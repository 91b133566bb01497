// SPDX-License-Identifier: Apache-2.0
// The load of the benchmark: one thread, epoll, loopback only.
//     load requests PORT PATH BODY_FILE CONNECTIONS COUNT        whole answers over kept connections
//     load streams PORT PATH BODY_FILE STREAMS RAMP_MS END       streams, all open at once; END is the text that ends one
// A stream's chunks hold "t=MICROSECONDS;" of their writing (upstream.c). Prints one line of JSON: what was done, the
// latency or delay in microseconds, and what failed.
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
#define KEEP_BYTES 8192

struct flow {
    size_t sent; // bytes of the request
    uint64_t start_us;
    char *keep; // the answer's head, or the tail of a stream that may hold half a mark
    size_t keep_len;
    uint64_t body_left;
    bool in_body, done;
    uint64_t last_us; // of the chunk before
};

static struct flow flows[FDS];
static char *request;
static size_t request_len;
static int epoll_fd, port;
static bool streams;
static const char *end_mark;
static uint32_t *samples, *gaps;
static size_t n_samples, n_gaps, max_samples, failures, finished, started, wanted;

static uint64_t now_us(void) {
    struct timespec t;
    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

static void die(const char *what) {
    perror(what);
    exit(1);
}

static void sample(uint32_t *to, size_t *n, uint64_t us) {
    if (*n < max_samples)
        to[(*n)++] = us > UINT32_MAX ? UINT32_MAX : (uint32_t)us;
}

static void request_make(const char *path, const char *file) {
    FILE *f = fopen(file, "rb");
    static char body[8 << 20];
    size_t n = f ? fread(body, 1, sizeof body, f) : 0;
    if (!f || n == 0)
        die(file);
    (void)fclose(f);
    request = malloc(n + 1024);
    if (!request)
        die("malloc");
    int head =
        snprintf(request, 1024,
                 "POST %s HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-type: application/json\r\nauthorization: Bearer "
                 "bench\r\nanthropic-version: 2023-06-01\r\nuser-agent: load\r\naccept: */*\r\ncontent-length: "
                 "%zu\r\n\r\n",
                 path, n);
    memcpy(request + head, body, n);
    request_len = (size_t)head + n;
}

static void flow_watch(int fd, unsigned events, int op) {
    struct epoll_event ev = {.events = events, .data.fd = fd};
    if (epoll_ctl(epoll_fd, op, fd, &ev))
        die("epoll_ctl");
}

static void flow_send(int fd) {
    struct flow *f = &flows[fd];
    ssize_t n = send(fd, request + f->sent, request_len - f->sent, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (n > 0)
        f->sent += (size_t)n;
    flow_watch(fd, f->sent < request_len ? EPOLLIN | EPOLLOUT : EPOLLIN, EPOLL_CTL_MOD);
}

static void flow_begin(int fd) {
    struct flow *f = &flows[fd];
    char *keep = f->keep;
    *f = (struct flow){.keep = keep, .start_us = now_us()};
    started++;
    ssize_t n = send(fd, request, request_len, MSG_NOSIGNAL | MSG_DONTWAIT);
    f->sent = n > 0 ? (size_t)n : 0;
    if (f->sent < request_len)
        flow_watch(fd, EPOLLIN | EPOLLOUT, EPOLL_CTL_MOD);
}

static void flow_open(void) {
    struct sockaddr_in sa = {
        .sin_family = AF_INET, .sin_port = htons((uint16_t)port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || fd >= FDS || connect(fd, (struct sockaddr *)&sa, sizeof sa))
        die("connect");
    (void)fcntl(fd, F_SETFL, O_NONBLOCK);
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int));
    if (!flows[fd].keep && !(flows[fd].keep = malloc(KEEP_BYTES)))
        die("malloc");
    flow_watch(fd, EPOLLIN, EPOLL_CTL_ADD);
    flow_begin(fd);
}

static void flow_end(int fd, bool ok) {
    finished++;
    failures += !ok;
    if (!streams && started < wanted) {
        if (ok) {
            flow_begin(fd);
            return;
        }
        (void)close(fd);
        flow_open();
        return;
    }
    flows[fd].done = true;
    (void)close(fd);
}

// ---- whole answers

static void whole_take(int fd, const char *p, size_t n) {
    struct flow *f = &flows[fd];
    if (!f->in_body) {
        size_t take = n < KEEP_BYTES - 1 - f->keep_len ? n : KEEP_BYTES - 1 - f->keep_len;
        memcpy(f->keep + f->keep_len, p, take);
        f->keep[f->keep_len + take] = 0;
        char *end = strstr(f->keep, "\r\n\r\n"), *length = strcasestr(f->keep, "\r\ncontent-length:");
        if (!end) {
            f->keep_len += take;
            return;
        }
        if (strncmp(f->keep + 9, "200", 3) != 0 || !length || length > end) {
            flow_end(fd, false);
            return;
        }
        size_t used = (size_t)(end + 4 - f->keep) - f->keep_len;
        f->body_left = strtoull(length + 17, NULL, 10);
        f->in_body = true;
        n -= used;
    }
    f->body_left -= n < f->body_left ? n : f->body_left;
    if (f->body_left)
        return;
    sample(samples, &n_samples, now_us() - f->start_us);
    flow_end(fd, true);
}

// ---- streams

static void stream_note(struct flow *f, uint64_t written, uint64_t now) {
    sample(samples, &n_samples, now > written ? now - written : 0);
    if (f->last_us)
        sample(gaps, &n_gaps, now - f->last_us);
    f->last_us = now;
}

static void stream_take(int fd, const char *p, size_t n) {
    static char text[KEEP_BYTES + 262145];
    struct flow *f = &flows[fd];
    uint64_t now = now_us();
    memcpy(text, f->keep, f->keep_len);
    memcpy(text + f->keep_len, p, n);
    size_t len = f->keep_len + n, used = 0;
    text[len] = 0;
    for (char *at = text; (at = strstr(at, "t=")) != NULL;) {
        char *end;
        uint64_t written = strtoull(at + 2, &end, 10);
        at += 2;
        if (end == at || *end != ';')
            continue;
        stream_note(f, written, now);
        used = (size_t)(end - text);
        at = end;
    }
    if (strstr(text, end_mark)) {
        flow_end(fd, true);
        return;
    }
    size_t keep = len - used < 256 ? len - used : 256;
    memcpy(f->keep, text + len - keep, keep);
    f->keep_len = keep;
}

static void flow_read(int fd) {
    static char buf[262144];
    ssize_t n = recv(fd, buf, sizeof buf, MSG_DONTWAIT);
    if (n > 0 && streams)
        stream_take(fd, buf, (size_t)n);
    else if (n > 0)
        whole_take(fd, buf, (size_t)n);
    else if (n == 0 || (errno != EAGAIN && errno != EINTR))
        flow_end(fd, false);
}

static int ascending(const void *a, const void *b) {
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return (x > y) - (x < y);
}

static unsigned at_share(uint32_t *v, size_t n, double share) {
    if (n == 0)
        return 0;
    qsort(v, n, sizeof *v, ascending);
    size_t i = (size_t)((double)(n - 1) * share);
    return v[i];
}

static void run(size_t connections, uint64_t ramp_ms) {
    struct epoll_event events[512];
    uint64_t start = now_us();
    size_t opened = 0;
    while (finished < wanted) {
        uint64_t now = now_us();
        size_t due = ramp_ms ? (size_t)((now - start) * connections / (ramp_ms * 1000)) + 1 : connections;
        while (opened < connections && opened < due) {
            flow_open();
            opened++;
        }
        int n = epoll_wait(epoll_fd, events, 512, opened < connections ? 0 : 1000);
        for (int i = 0; i < n; i++) {
            int fd = events[i].data.fd;
            if ((events[i].events & EPOLLOUT) && flows[fd].sent < request_len)
                flow_send(fd);
            if (events[i].events & (EPOLLIN | EPOLLHUP | EPOLLERR))
                flow_read(fd);
        }
        if (now - start > 120000000)
            break; // stuck: what is missing counts as failed
    }
    double seconds = (double)(now_us() - start) / 1e6;
    failures += wanted - finished;
    printf("{\"done\":%zu,\"failed\":%zu,\"seconds\":%.3f,\"samples\":%zu,\"p50_us\":%u,\"p90_us\":%u,\"p99_us\":%u,"
           "\"gap_p50_us\":%u,\"gap_p99_us\":%u}\n",
           finished, failures, seconds, n_samples, at_share(samples, n_samples, .5), at_share(samples, n_samples, .9),
           at_share(samples, n_samples, .99), at_share(gaps, n_gaps, .5), at_share(gaps, n_gaps, .99));
}

int main(int argc, char **argv) {
    struct rlimit files;
    (void)signal(SIGPIPE, SIG_IGN);
    if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
        files.rlim_cur = files.rlim_max;
        (void)setrlimit(RLIMIT_NOFILE, &files);
    }
    streams = argc == 8 && strcmp(argv[1], "streams") == 0;
    if (!streams && (argc != 7 || strcmp(argv[1], "requests") != 0)) {
        fprintf(stderr, "usage: load requests PORT PATH BODY_FILE CONNECTIONS COUNT\n"
                        "       load streams PORT PATH BODY_FILE STREAMS RAMP_MS END\n");
        return 2;
    }
    port = (int)strtol(argv[2], NULL, 10);
    request_make(argv[3], argv[4]);
    size_t connections = strtoul(argv[5], NULL, 10), last = strtoul(argv[6], NULL, 10);
    wanted = streams ? connections : last;
    end_mark = streams ? argv[7] : "";
    max_samples = streams ? connections * 256 : wanted;
    samples = calloc(max_samples + 1, sizeof *samples);
    gaps = calloc(max_samples + 1, sizeof *gaps);
    epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    if (!samples || !gaps || epoll_fd < 0)
        die("memory");
    run(connections, streams ? last : 0);
    return failures ? 1 : 0;
}
