// SPDX-License-Identifier: Apache-2.0
// The other HTTP client: libcurl's multi interface on the loop, for TLS and for proxies. HTTP/1.1, certificates always
// checked, nothing taken from the environment, every socket opened by outgoing.c and every connection that libcurl
// uses again held against the permit of the fetch that uses it.
//
// libcurl calls us from inside its own functions, where it may not be called back. So hooks that run there may start,
// pause, resume and cancel: adding, removing and un-pausing wait for the end of the turn (fetch_turn_queue).
// The side (multi handle, its timer) is made with the first fetch and goes when the client closes and none is left.
#include <arpa/inet.h>
#include <curl/curl.h>
#include <pthread.h>
#include "base/limits.h"
#include "base/mem.h"
#include "net/fetch.h"

#define URL_BYTES ((size_t)16 << 10)
#define HEADER_LINE_BYTES ((size_t)64 << 10)

struct curl_side {
    struct client *client;
    CURLM *multi;
    struct timer timer;
    unsigned n_live; // fetches
    bool closing;
};

struct curl_socket {
    uv_poll_t poll;
    struct client *client;
    struct curl_side *side;
    curl_socket_t fd;
};

struct curl_fetch {
    struct fetch f;
    CURL *easy;
    struct curl_slist *headers;
    struct permit permit;
    struct slice body;
    size_t body_at;
    struct buf head; // lines of the answer's head
    int status;
    enum err own; // what we ended it for, and libcurl does not know
    bool added;   // to the multi handle
    bool opened;  // a socket, for this fetch
    bool paused;  // wished
    bool stalled; // libcurl holds bytes back
    bool head_done;
    bool has_end; // the answer's end can be told from a cut
    bool sent;
    char error[CURL_ERROR_SIZE];
};

static const struct fetch_kind curl_kind;

// ---- ends

static const struct {
    CURLcode code;
    enum err err;
} curl_errors[] = {
    {CURLE_COULDNT_RESOLVE_HOST, ERR_UP_CONNECT},
    {CURLE_COULDNT_RESOLVE_PROXY, ERR_UP_CONNECT},
    {CURLE_COULDNT_CONNECT, ERR_UP_CONNECT},
    {CURLE_PROXY, ERR_UP_CONNECT},
    {CURLE_OPERATION_TIMEDOUT, ERR_UP_TIMEOUT},
    {CURLE_SSL_CONNECT_ERROR, ERR_UP_TLS},
    {CURLE_PEER_FAILED_VERIFICATION, ERR_UP_TLS},
    {CURLE_SSL_CERTPROBLEM, ERR_UP_TLS},
    {CURLE_SSL_CIPHER, ERR_UP_TLS},
    {CURLE_SSL_CACERT_BADFILE, ERR_UP_TLS},
    {CURLE_SSL_ISSUER_ERROR, ERR_UP_TLS},
    {CURLE_SSL_INVALIDCERTSTATUS, ERR_UP_TLS},
    {CURLE_SSL_PINNEDPUBKEYNOTMATCH, ERR_UP_TLS},
    {CURLE_SSL_ENGINE_INITFAILED, ERR_UP_TLS},
    {CURLE_SEND_ERROR, ERR_UP_DIED},
    {CURLE_RECV_ERROR, ERR_UP_DIED},
    {CURLE_PARTIAL_FILE, ERR_UP_DIED},
    {CURLE_GOT_NOTHING, ERR_UP_DIED},
    {CURLE_OUT_OF_MEMORY, ERR_NO_MEMORY},
};

static enum err err_of(const struct curl_fetch *q, CURLcode code) {
    long proxy_status = 0;
    if (q->own)
        return q->own;
    if (code == CURLE_OK)
        return q->has_end ? ERR_OK : ERR_UP_DIED;
    (void)curl_easy_getinfo(q->easy, CURLINFO_HTTP_CONNECTCODE, &proxy_status);
    if (proxy_status >= 300 && !q->head_done)
        return ERR_UP_CONNECT;
    for (size_t i = 0; i < sizeof curl_errors / sizeof curl_errors[0]; i++)
        if (curl_errors[i].code == code)
            return curl_errors[i].err;
    return ERR_UP_PROTOCOL;
}

static void side_look_for_ends(struct curl_side *side) {
    CURLMsg *msg;
    int left;
    while ((msg = curl_multi_info_read(side->multi, &left))) {
        char *private = NULL;
        if (msg->msg != CURLMSG_DONE)
            continue;
        CURLcode code = msg->data.result;
        (void)curl_easy_getinfo(msg->easy_handle, CURLINFO_PRIVATE, &private);
        struct curl_fetch *q = (struct curl_fetch *)(void *)private;
        enum err e = err_of(q, code);
        const char *detail = e == ERR_OK   ? NULL
                             : q->own      ? err_row(e)->text
                             : q->error[0] ? q->error
                                           : curl_easy_strerror(code);
        fetch_finish(&q->f, e, detail);
    }
}

// ---- libcurl's sockets and timer

static void socket_closed(uv_handle_t *h) {
    struct curl_socket *s = h->data;
    struct client *c = s->client; // the side may be gone by now
    mem_free(s);
    client_handle_gone(c);
}

static void socket_on_event(uv_poll_t *poll, int status, int events) {
    struct curl_socket *s = poll->data;
    struct curl_side *side = s->side;
    int running, what = status < 0 ? CURL_CSELECT_ERR : 0;
    if (events & UV_READABLE)
        what |= CURL_CSELECT_IN;
    if (events & UV_WRITABLE)
        what |= CURL_CSELECT_OUT;
    loop_tick(side->client->loop, s);
    (void)curl_multi_socket_action(side->multi, s->fd, what, &running);
    side_look_for_ends(side);
}

static struct curl_socket *socket_new(struct curl_side *side, curl_socket_t fd) {
    struct curl_socket *s = mem_zalloc(sizeof *s);
    if (!s)
        return NULL;
    s->client = side->client;
    s->side = side;
    s->fd = fd;
    if (uv_poll_init_socket(&side->client->loop->uv, &s->poll, fd)) {
        mem_free(s);
        return NULL;
    }
    s->poll.data = s;
    side->client->n_handles++;
    (void)curl_multi_assign(side->multi, fd, s);
    return s;
}

// An error returned to libcurl would end all transfers of the multi handle; this ends the one.
static void socket_failed(CURL *easy) {
    char *private = NULL;
    (void)curl_easy_getinfo(easy, CURLINFO_PRIVATE, &private);
    struct curl_fetch *q = (struct curl_fetch *)(void *)private;
    q->own = ERR_NO_MEMORY;
    fetch_turn_queue(&q->f);
}

static int on_socket(CURL *easy, curl_socket_t fd, int what, void *side_arg, void *socket_arg) {
    struct curl_side *side = side_arg;
    struct curl_socket *s = socket_arg;
    if (what == CURL_POLL_REMOVE) {
        if (!s)
            return 0;
        (void)uv_poll_stop(&s->poll);
        uv_close((uv_handle_t *)&s->poll, socket_closed);
        (void)curl_multi_assign(side->multi, fd, NULL);
        return 0;
    }
    if (!s)
        s = socket_new(side, fd);
    int events = (what & CURL_POLL_IN ? UV_READABLE : 0) | (what & CURL_POLL_OUT ? UV_WRITABLE : 0);
    if (!s || uv_poll_start(&s->poll, events, socket_on_event))
        socket_failed(easy);
    return 0;
}

static void side_on_timer(struct timer *t) {
    struct curl_side *side = t->arg;
    int running;
    (void)curl_multi_socket_action(side->multi, CURL_SOCKET_TIMEOUT, 0, &running);
    side_look_for_ends(side);
}

static int on_timeout(CURLM *multi, long timeout_ms, void *side_arg) {
    struct curl_side *side = side_arg;
    (void)multi;
    if (timeout_ms < 0)
        timer_stop(&side->timer);
    else
        timer_start(&side->timer, (uint64_t)timeout_ms);
    return 0;
}

// ---- the side

static void curl_begin(void) {
    (void)curl_global_init(CURL_GLOBAL_DEFAULT);
}

static struct curl_side *side_get(struct client *c) {
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    if (c->curl)
        return c->curl;
    (void)pthread_once(&once, curl_begin);
    struct curl_side *side = mem_zalloc(sizeof *side);
    if (!side)
        return NULL;
    side->client = c;
    side->multi = curl_multi_init();
    if (!side->multi) {
        mem_free(side);
        return NULL;
    }
    (void)curl_multi_setopt(side->multi, CURLMOPT_SOCKETFUNCTION, on_socket);
    (void)curl_multi_setopt(side->multi, CURLMOPT_SOCKETDATA, side);
    (void)curl_multi_setopt(side->multi, CURLMOPT_TIMERFUNCTION, on_timeout);
    (void)curl_multi_setopt(side->multi, CURLMOPT_TIMERDATA, side);
    (void)curl_multi_setopt(side->multi, CURLMOPT_MAXCONNECTS, (long)LIMIT_IDLE_UPSTREAMS);
    timer_init(&side->timer, c->loop, side_on_timer, side);
    c->n_handles++;
    c->curl = side;
    return side;
}

static void side_timer_closed(void *arg) {
    struct curl_side *side = arg;
    struct client *c = side->client;
    mem_free(side);
    client_handle_gone(c);
}

static void side_end(struct curl_side *side) {
    (void)curl_multi_cleanup(side->multi);
    side->client->curl = NULL;
    timer_close(&side->timer, side_timer_closed);
}

void curl_side_close(struct client *c) {
    if (!c->curl)
        return;
    c->curl->closing = true;
    if (c->curl->n_live == 0)
        side_end(c->curl);
}

// ---- callbacks of one transfer

static bool fetch_is_over(const struct curl_fetch *q) {
    return q->f.over || q->own;
}

static size_t on_read(char *to, size_t size, size_t n, void *arg) {
    struct curl_fetch *q = arg;
    if (fetch_is_over(q))
        return CURL_READFUNC_ABORT; // the body may be gone already
    struct slice rest = slice_first(slice_from(q->body, q->body_at), size * n);
    if (rest.p)
        memcpy(to, rest.p, rest.n);
    q->body_at += rest.n;
    if (q->body_at == q->body.n) {
        q->sent = true;
        fetch_turn_queue(&q->f);
    }
    return rest.n;
}

// libcurl sends again from the start when a kept-alive connection turned out to be dead.
static int on_seek(void *arg, curl_off_t offset, int origin) {
    struct curl_fetch *q = arg;
    if (fetch_is_over(q) || origin != SEEK_SET || offset < 0 || (size_t)offset > q->body.n)
        return CURL_SEEKFUNC_FAIL;
    q->body_at = (size_t)offset;
    return CURL_SEEKFUNC_OK;
}

static bool header_says_close(const struct headers *h) {
    for (size_t i = 0; i < h->n; i++)
        if (slice_eq_nocase(h->v[i].name, SLICE("connection")) && slice_eq_nocase(h->v[i].value, SLICE("close")))
            return true;
    return false;
}

static bool answer_has_end(const struct curl_fetch *q, const struct headers *h, bool http10) {
    char *method = NULL;
    (void)curl_easy_getinfo(q->easy, CURLINFO_EFFECTIVE_METHOD, &method);
    return q->status == 204 || q->status == 304 || (method && strcmp(method, "HEAD") == 0) || http10 ||
           headers_get(h, "content-length").p || headers_get(h, "transfer-encoding").p || header_says_close(h);
}

// The head is whole: true when the transfer goes on.
static bool head_tell(struct curl_fetch *q) {
    struct header v[LIMIT_HEADERS * 2];
    struct headers h = {v, 0};
    struct slice rest = buf_slice(&q->head);
    struct slice first = slice_split(&rest, '\n');
    while (rest.n && h.n < LIMIT_HEADERS * 2) {
        struct slice value = slice_split(&rest, '\n');
        struct slice name = slice_split(&value, ':');
        if (value.p)
            v[h.n++] = (struct header){slice_trim(name), slice_trim(value)};
    }
    q->head_done = true;
    q->has_end = answer_has_end(q, &h, slice_starts(first, "HTTP/1.0"));
    fetch_tell_sent(&q->f);
    if (!q->f.over)
        q->f.hooks->on_head(q->f.user, q->status, &h);
    buf_done(&q->head);
    return !q->f.over;
}

static size_t on_header(char *p, size_t size, size_t n, void *arg) {
    struct curl_fetch *q = arg;
    struct slice line = {p, size * n};
    if (fetch_is_over(q))
        return 0;
    if (q->head_done)
        return line.n; // a trailer
    if (slice_starts(line, "HTTP/")) {
        uint64_t status = 0;
        struct slice rest = line;
        (void)slice_split(&rest, ' ');
        if (!slice_u64(slice_trim(slice_first(rest, 3)), &status))
            status = 0;
        q->status = (int)status;
        buf_clear(&q->head);
    }
    if (slice_trim(line).n) {
        buf_append(&q->head, line);
        q->own = q->head.failed ? ERR_UP_PROTOCOL : ERR_OK;
        return q->head.failed ? 0 : line.n;
    }
    if (q->status < 200)
        return line.n; // an interim answer
    return head_tell(q) ? line.n : 0;
}

static size_t on_write(char *p, size_t size, size_t n, void *arg) {
    struct curl_fetch *q = arg;
    if (fetch_is_over(q))
        return 0;
    if (q->paused) {
        q->stalled = true;
        return CURL_WRITEFUNC_PAUSE;
    }
    if (n)
        q->f.hooks->on_body(q->f.user, slice_of(p, size * n));
    return q->f.over ? 0 : size * n;
}

static curl_socket_t on_open(void *arg, curlsocktype purpose, struct curl_sockaddr *addr) {
    struct curl_fetch *q = arg;
    int fd = -1;
    if (purpose != CURLSOCKTYPE_IPCXN || fetch_is_over(q))
        return CURL_SOCKET_BAD;
    enum err e = outgoing_socket(&q->permit, &addr->addr, addr->socktype, addr->protocol, &fd);
    if (e == ERR_NO_PERMIT)
        q->own = e; // one refused address of a name is reason enough not to try the others
    q->opened = true;
    return e ? CURL_SOCKET_BAD : fd;
}

// Right before the request leaves: a connection used again was opened with another fetch's permit.
static int on_ready(void *arg, char *to_ip, char *from_ip, int to_port, int from_port) {
    struct curl_fetch *q = arg;
    struct sockaddr_in in = {.sin_family = AF_INET, .sin_port = htons((uint16_t)to_port)};
    struct sockaddr_in6 in6 = {.sin6_family = AF_INET6, .sin6_port = htons((uint16_t)to_port)};
    (void)from_ip;
    (void)from_port;
    if (fetch_is_over(q))
        return CURL_PREREQFUNC_ABORT;
    q->f.reused = !q->opened;
    if (q->opened)
        return CURL_PREREQFUNC_OK;
    if (inet_pton(AF_INET, to_ip, &in.sin_addr) == 1)
        q->own = outgoing_permit(&q->permit, (struct sockaddr *)&in);
    else if (inet_pton(AF_INET6, to_ip, &in6.sin6_addr) == 1)
        q->own = outgoing_permit(&q->permit, (struct sockaddr *)&in6);
    return q->own ? CURL_PREREQFUNC_ABORT : CURL_PREREQFUNC_OK;
}

// ---- lives

static void curl_turn(struct fetch *f) {
    struct curl_fetch *q = (struct curl_fetch *)f;
    struct curl_side *side = f->client->curl;
    if (!q->added) {
        q->added = curl_multi_add_handle(side->multi, q->easy) == CURLM_OK;
        if (!q->added)
            fetch_finish(f, ERR_NO_MEMORY, "libcurl could not start");
        return;
    }
    if (q->own) {
        fetch_finish(f, q->own, err_row(q->own)->text);
        return;
    }
    if (q->sent)
        fetch_tell_sent(f);
    if (f->over || q->paused || !q->stalled)
        return;
    q->stalled = false;
    (void)curl_easy_pause(q->easy, CURLPAUSE_CONT); // calls on_write
    side_look_for_ends(side);
}

static void curl_pause(struct fetch *f) {
    ((struct curl_fetch *)f)->paused = true;
}

static void curl_resume(struct fetch *f) {
    struct curl_fetch *q = (struct curl_fetch *)f;
    q->paused = false;
    if (q->stalled)
        fetch_turn_queue(f);
}

static void curl_cancel(struct fetch *f) {
    (void)f; // its callbacks see that it is over; curl_over takes it out when the turn ends
}

static void curl_fetch_free(struct curl_fetch *q) {
    curl_easy_cleanup(q->easy);
    curl_slist_free_all(q->headers);
    buf_done(&q->head);
    mem_free(q);
}

static void curl_over(struct fetch *f) {
    struct curl_fetch *q = (struct curl_fetch *)f;
    struct curl_side *side = f->client->curl;
    if (q->added)
        (void)curl_multi_remove_handle(side->multi, q->easy);
    curl_fetch_free(q);
    if (--side->n_live == 0 && side->closing)
        side_end(side);
}

static int curl_socket(const struct fetch *f) {
    curl_socket_t fd = CURL_SOCKET_BAD;
    const struct curl_fetch *q = (const struct curl_fetch *)(const void *)f;
    return q->easy && curl_easy_getinfo(q->easy, CURLINFO_ACTIVESOCKET, &fd) == CURLE_OK ? (int)fd : -1;
}

static const struct fetch_kind curl_kind = {curl_turn, curl_pause, curl_resume, curl_cancel, curl_over, curl_socket};

// ---- what is asked of libcurl

static bool list_add(struct curl_fetch *q, const char *line) {
    struct curl_slist *longer = curl_slist_append(q->headers, line);
    if (longer)
        q->headers = longer;
    return longer != NULL;
}

static bool headers_add(struct curl_fetch *q, const struct headers *h) {
    // Headers that libcurl would add by itself: an empty one is left out.
    static const char *const unasked[] = {"Expect", "Accept", "Content-Type", "User-Agent"};
    struct buf line = BUF_INIT(HEADER_LINE_BYTES);
    bool good = true;
    for (size_t i = 0; good && i < h->n; i++) {
        struct slice name = h->v[i].name, value = h->v[i].value;
        if (header_is_ours(name) || !slice_is_one_line(name) || !slice_is_one_line(value))
            continue;
        buf_clear(&line);
        buf_append(&line, name);
        buf_append_str(&line, value.n ? ": " : ";");
        buf_append(&line, value);
        const char *text = buf_cstr(&line);
        good = !line.failed && list_add(q, text);
    }
    for (size_t i = 0; good && i < sizeof unasked / sizeof unasked[0]; i++) {
        if (headers_get(h, unasked[i]).p)
            continue;
        buf_clear(&line);
        buf_append_str(&line, unasked[i]);
        buf_append_char(&line, ':');
        good = list_add(q, buf_cstr(&line));
    }
    buf_done(&line);
    return good;
}

static void method_set(CURL *e, const struct curl_fetch *q, const char *method) {
    bool has_body = q->body.n || strcmp(method, "POST") == 0 || strcmp(method, "PUT") == 0;
    if (has_body) {
        (void)curl_easy_setopt(e, CURLOPT_POST, 1L);
        (void)curl_easy_setopt(e, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)q->body.n);
        (void)curl_easy_setopt(e, CURLOPT_READFUNCTION, on_read);
        (void)curl_easy_setopt(e, CURLOPT_READDATA, q);
        (void)curl_easy_setopt(e, CURLOPT_SEEKFUNCTION, on_seek);
        (void)curl_easy_setopt(e, CURLOPT_SEEKDATA, q);
    }
    if (strcmp(method, "HEAD") == 0)
        (void)curl_easy_setopt(e, CURLOPT_NOBODY, 1L);
    else if (strcmp(method, "GET") != 0 || has_body)
        (void)curl_easy_setopt(e, CURLOPT_CUSTOMREQUEST, method);
}

static void callbacks_set(CURL *e, struct curl_fetch *q) {
    (void)curl_easy_setopt(e, CURLOPT_PRIVATE, q);
    (void)curl_easy_setopt(e, CURLOPT_ERRORBUFFER, q->error);
    (void)curl_easy_setopt(e, CURLOPT_HEADERFUNCTION, on_header);
    (void)curl_easy_setopt(e, CURLOPT_HEADERDATA, q);
    (void)curl_easy_setopt(e, CURLOPT_WRITEFUNCTION, on_write);
    (void)curl_easy_setopt(e, CURLOPT_WRITEDATA, q);
    (void)curl_easy_setopt(e, CURLOPT_OPENSOCKETFUNCTION, on_open);
    (void)curl_easy_setopt(e, CURLOPT_OPENSOCKETDATA, q);
    (void)curl_easy_setopt(e, CURLOPT_PREREQFUNCTION, on_ready);
    (void)curl_easy_setopt(e, CURLOPT_PREREQDATA, q);
}

// Each must hold: a transfer with one of them unset would be another, less safe one.
static bool safety_set(CURL *e, const struct fetch_request *r) {
    const struct origin *o = &r->origin;
    long connect_ms = (long)(r->connect_ms ? r->connect_ms : LIMIT_CONNECT_MS);
    return !curl_easy_setopt(e, CURLOPT_PROTOCOLS_STR, "http,https") && !curl_easy_setopt(e, CURLOPT_NOSIGNAL, 1L) &&
           !curl_easy_setopt(e, CURLOPT_SSL_VERIFYPEER, 1L) && !curl_easy_setopt(e, CURLOPT_SSL_VERIFYHOST, 2L) &&
           (!o->ca_file || !curl_easy_setopt(e, CURLOPT_CAINFO, o->ca_file)) &&
           // An empty text, not NULL: the environment's proxies and exceptions are not looked at.
           !curl_easy_setopt(e, CURLOPT_PROXY, o->proxy ? o->proxy : "") && !curl_easy_setopt(e, CURLOPT_NOPROXY, "") &&
           !curl_easy_setopt(e, CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L) &&
           !curl_easy_setopt(e, CURLOPT_FOLLOWLOCATION, 0L) && !curl_easy_setopt(e, CURLOPT_NETRC, 0L) &&
           !curl_easy_setopt(e, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1) &&
           !curl_easy_setopt(e, CURLOPT_CONNECTTIMEOUT_MS, connect_ms) &&
           !curl_easy_setopt(e, CURLOPT_MAXAGE_CONN, LIMIT_IDLE_UPSTREAM_MS / 1000L) &&
           !curl_easy_setopt(e, CURLOPT_FRESH_CONNECT, r->fresh ? 1L : 0L) &&
           !curl_easy_setopt(e, CURLOPT_PATH_AS_IS, 1L) && !curl_easy_setopt(e, CURLOPT_TCP_KEEPALIVE, 1L);
}

static bool url_set(CURL *e, const struct fetch_request *r) {
    const struct origin *o = &r->origin;
    struct buf text = BUF_INIT(URL_BYTES);
    bool v6 = slice_find(o->host, ':') != SIZE_MAX;
    buf_append_str(&text, o->tls ? "https://" : "http://");
    buf_append_str(&text, v6 ? "[" : "");
    buf_append(&text, o->host);
    buf_append_str(&text, v6 ? "]" : "");
    if (o->port) {
        buf_append_char(&text, ':');
        buf_append_u64(&text, o->port);
    }
    buf_append(&text, r->path.n ? r->path : SLICE("/"));
    const char *url = buf_cstr(&text);
    bool good = !text.failed && !curl_easy_setopt(e, CURLOPT_URL, url);
    if (good && o->unix_path.n) {
        buf_clear(&text);
        buf_append(&text, o->unix_path);
        good = !curl_easy_setopt(e, CURLOPT_UNIX_SOCKET_PATH, buf_cstr(&text));
    }
    buf_done(&text);
    return good;
}

enum err curl_start(struct client *c, const struct fetch_request *r, const struct fetch_hooks *hooks, void *user,
                    struct fetch **ret) {
    struct curl_side *side = side_get(c);
    struct curl_fetch *q = side ? mem_zalloc(sizeof *q) : NULL;
    if (!q)
        return ERR_NO_MEMORY;
    buf_init(&q->head, LIMIT_UP_HEAD_BYTES);
    q->permit = *r->permit;
    q->body = r->body;
    q->easy = curl_easy_init();
    if (!q->easy || !url_set(q->easy, r) || !headers_add(q, &r->headers) || !safety_set(q->easy, r) ||
        curl_easy_setopt(q->easy, CURLOPT_HTTPHEADER, q->headers)) {
        curl_fetch_free(q);
        return ERR_NO_MEMORY;
    }
    method_set(q->easy, q, r->method);
    callbacks_set(q->easy, q);
    fetch_init(&q->f, c, &curl_kind, hooks, user);
    side->n_live++;
    fetch_turn_queue(&q->f);
    *ret = &q->f;
    return ERR_OK;
}
