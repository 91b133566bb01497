// SPDX-License-Identifier: Apache-2.0
// `gridtie sim`: a scripted provider that speaks OpenAI's, Anthropic's and Ollama's wire formats, for tests, benchmarks
// and for trying a config without spending. It listens on loopback unless told otherwise, starts a thread per connection,
// and never opens a connection itself. Orders come by header, by words in the prompt, or by POST /sim/script.
#include "sim/sim.h"
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>
#include <uv.h>
#include "base/mem.h"
#include "sim/serve.h"

static const char usage[] =
    "usage: gridtie sim [--listen ADDRESS:PORT] [--models A,B] [--bill FILE] [--price IN:OUT] [ORDER]\n"
    "A scripted provider (OpenAI, Anthropic and Ollama wire formats) for tests.\n"
    "  --listen ADDRESS:PORT  default 127.0.0.1:0, which picks a port\n"
    "  --models A,B           what the model lists show (default m,m2)\n"
    "  --owner NAME           who they say owns the models (default sim)\n"
    "  --bill FILE            a line of JSON per request: tokens delivered and their price\n"
    "  --price IN:OUT         USD per million tokens (default 1:2)\n"
    "  --latency MS --first-ms MS --chunk-ms MS --chunks N --words N   orders for every request\n"
    "  --order JSON           the same, any of them\n"
    "GET /sim/bill /sim/requests /sim/state, POST /sim/script /sim/models /sim/reset.\n";

struct options {
    const char *listen, *models, *owner, *bill, *price, *order;
    struct order defaults;
};

struct door {
    struct sim *sim;
    int fd;
};

static void *door_thread(void *arg) {
    struct door d = *(struct door *)arg;
    mem_free(arg);
    serve_connection(d.sim, d.fd);
    return NULL;
}

static void door_open(struct sim *s, int fd, const pthread_attr_t *attr) {
    struct door *d = mem_alloc(sizeof *d);
    pthread_t thread;
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int));
    if (!d) {
        (void)close(fd);
        return;
    }
    *d = (struct door){s, fd};
    if (pthread_create(&thread, attr, door_thread, d) == 0)
        return;
    (void)close(fd);
    mem_free(d);
}

static void accept_forever(struct sim *s, int listener) {
    pthread_attr_t attr;
    (void)pthread_attr_init(&attr);
    (void)pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
    (void)pthread_attr_setstacksize(&attr, 512u << 10);
    for (;;) {
        int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
        if (fd >= 0)
            door_open(s, fd, &attr);
        else if (errno == EMFILE || errno == ENFILE)
            (void)usleep(10000);
        else if (errno != EINTR && errno != ECONNABORTED)
            break;
    }
    (void)pthread_attr_destroy(&attr);
}

// A listening socket by libuv's hand; the handle lives as long as the program.
static int listen_on(const char *address, int *ret_port) {
    static uv_loop_t loop;
    static uv_tcp_t tcp;
    struct sockaddr_storage sa;
    int size = sizeof sa, fd = -1;
    struct slice host = slice_str(address), rest = host;
    size_t colon = host.n;
    while (colon > 0 && host.p[colon - 1] != ':')
        colon--;
    char name[64];
    uint64_t port;
    if (colon == 0 || colon > sizeof name || !slice_u64(slice_from(rest, colon), &port) || port > 65535)
        return -1;
    (void)snprintf(name, sizeof name, "%.*s", (int)colon - 1, address);
    if (uv_ip4_addr(name, (int)port, (struct sockaddr_in *)(void *)&sa) || uv_loop_init(&loop) ||
        uv_tcp_init_ex(&loop, &tcp, AF_INET) || uv_tcp_bind(&tcp, (struct sockaddr *)&sa, 0) ||
        uv_fileno((uv_handle_t *)&tcp, &fd) || listen(fd, 4096) ||
        uv_tcp_getsockname(&tcp, (struct sockaddr *)&sa, &size))
        return -1;
    (void)fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) & ~O_NONBLOCK);
    *ret_port = ntohs(((struct sockaddr_in *)(void *)&sa)->sin_port);
    return fd;
}

// "2.5" USD per million tokens → pico-USD per token.
static bool price_parse(struct slice s, int64_t *ret) {
    struct slice whole = slice_split(&s, '.');
    uint64_t v, frac = 0;
    if (!slice_u64(whole, &v) || v > 1000000 || s.n > 6 || (s.p && !slice_u64(s, &frac)))
        return false;
    for (size_t i = s.n; i < 6; i++)
        frac *= 10;
    *ret = (int64_t)(v * 1000000 + frac);
    return true;
}

static bool option_number(const char *name, const char *value, struct order *o) {
    const struct {
        const char *name;
        int64_t *at;
    } numbers[] = {{"--latency", &o->delay_ms}, {"--first-ms", &o->first_ms}, {"--chunk-ms", &o->chunk_ms},
                   {"--chunks", &o->chunks},    {"--words", &o->words},       {"--split", &o->split}};
    uint64_t v;
    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++)
        if (strcmp(name, numbers[i].name) == 0 && slice_u64(slice_str(value), &v)) {
            *numbers[i].at = (int64_t)v;
            return true;
        }
    return false;
}

static bool options_read(int argc, char **argv, struct options *o) {
    for (int i = 1; i + 1 < argc; i += 2) {
        const char *name = argv[i], *value = argv[i + 1];
        if (strcmp(name, "--listen") == 0)
            o->listen = value;
        else if (strcmp(name, "--models") == 0)
            o->models = value;
        else if (strcmp(name, "--owner") == 0)
            o->owner = value;
        else if (strcmp(name, "--bill") == 0)
            o->bill = value;
        else if (strcmp(name, "--price") == 0)
            o->price = value;
        else if (strcmp(name, "--order") == 0)
            o->order = value;
        else if (!option_number(name, value, &o->defaults))
            return false;
    }
    return argc % 2 == 1;
}

static int sim_run(struct sim *s, const struct options *o) {
    int port = 0, bill = -1, listener = listen_on(o->listen, &port);
    if (listener < 0) {
        fprintf(stderr, "sim: cannot listen on %s: %s\n", o->listen, strerror(errno));
        return 1;
    }
    int64_t in = 0, out = 0;
    struct slice rest = slice_str(o->price), first = slice_split(&rest, ':');
    if (!price_parse(first, &in) || !price_parse(rest, &out)) {
        fprintf(stderr, "sim: --price wants IN:OUT in USD per million tokens\n");
        return 2;
    }
    if (o->bill && (bill = open(o->bill, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600)) < 0) {
        fprintf(stderr, "sim: %s: %s\n", o->bill, strerror(errno));
        return 1;
    }
    book_init(&s->book, bill, in, out);
    printf("listening on http://127.0.0.1:%d\n", port);
    (void)fflush(stdout);
    accept_forever(s, listener);
    return 1;
}

static void on_signal(int number) {
    (void)number;
    _exit(0); // threads are in the middle of things, and nothing is to be saved
}

int sim_main(int argc, char **argv) {
    struct options o = {.listen = "127.0.0.1:0", .models = "m,m2", .owner = "sim", .price = "1:2"};
    static struct arena a;
    order_init(&o.defaults);
    arena_init(&a, 1 << 20, 0);
    if (argc == 2 && strcmp(argv[1], "--help") == 0) {
        fputs(usage, stdout);
        return 0;
    }
    if (!options_read(argc, argv, &o) || (o.order && order_read(&a, slice_str(o.order), &o.defaults))) {
        fputs(usage, stderr);
        return 2;
    }
    (void)signal(SIGPIPE, SIG_IGN);
    (void)signal(SIGTERM, on_signal);
    (void)signal(SIGINT, on_signal);
    struct sim *s = mem_zalloc(sizeof *s);
    if (!s)
        return 1;
    s->defaults = o.defaults;
    s->owner = o.owner;
    s->list_status = 200;
    buf_init(&s->list, 1u << 20);
    (void)pthread_mutex_init(&s->lists_lock, NULL);
    (void)snprintf(s->models, sizeof s->models, "%s", o.models);
    return sim_run(s, &o);
}
