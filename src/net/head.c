// SPDX-License-Identifier: Apache-2.0
// HTTP/1.x heads and chunked bodies for server and client: llhttp in strict mode, and around it what strict still lets
// through. A head is first found whole (head_scan refuses bare LF and folded lines at once), then parsed in one go, so
// that every slice points into it and nothing is copied. Bodies of a known length never come here: they are counted.
//
// The framing must be plain: one content-length of digits, or `transfer-encoding: chunked` and nothing else. What two
// parsers could read in two ways is refused, as that is how requests are smuggled.
// Nothing is allocated and nothing is kept but what stands in struct message.
#include "net/head.h"

enum head_found head_scan(struct head_scan *scan, struct slice s, size_t *ret_n) {
    while (scan->seen < s.n) {
        const char *lf = memchr(s.p + scan->seen, '\n', s.n - scan->seen);
        if (scan->line < s.n && (s.p[scan->line] == ' ' || s.p[scan->line] == '\t'))
            return HEAD_BAD;
        if (!lf) {
            scan->seen = s.n;
            return HEAD_MORE;
        }
        size_t at = (size_t)(lf - s.p);
        if (at == scan->line || s.p[at - 1] != '\r')
            return HEAD_BAD;
        if (at == scan->line + 1) {
            *ret_n = at + 1;
            return scan->line == 0 ? HEAD_BAD : HEAD_WHOLE;
        }
        scan->line = scan->seen = at + 1;
    }
    return HEAD_MORE;
}

static struct message *message_of(llhttp_t *p) {
    return p->data;
}

static int on_method(llhttp_t *p, const char *at, size_t n) {
    message_of(p)->method = slice_of(at, n);
    return 0;
}

// llhttp also knows RTSP and ICE, whose methods and rules are others.
static int on_protocol(llhttp_t *p, const char *at, size_t n) {
    (void)p;
    return slice_is(slice_of(at, n), "HTTP") ? 0 : -1;
}

static int on_url(llhttp_t *p, const char *at, size_t n) {
    message_of(p)->target = slice_of(at, n);
    return 0;
}

// Trailers come through here too, after the head; they are dropped.
static int on_header_field(llhttp_t *p, const char *at, size_t n) {
    struct message *m = message_of(p);
    if (m->head_done)
        return 0;
    if (m->n == m->max) {
        m->too_many = true;
        return -1;
    }
    m->v[m->n++] = (struct header){slice_of(at, n), slice_of(at + n, 0)};
    return 0;
}

static int on_header_value(llhttp_t *p, const char *at, size_t n) {
    struct message *m = message_of(p);
    if (!m->head_done && m->n)
        m->v[m->n - 1].value = slice_of(at, n);
    return 0;
}

static int on_headers_complete(llhttp_t *p) {
    struct message *m = message_of(p);
    m->head_done = true;
    m->says_close = p->flags & F_CONNECTION_CLOSE;
    m->major = p->http_major;
    m->minor = p->http_minor;
    m->status = p->status_code;
    m->keep_alive = m->major == 1 && m->minor >= 1 ? !m->says_close : (p->flags & F_CONNECTION_KEEP_ALIVE) != 0;
    m->chunked = p->flags & F_CHUNKED;
    m->has_length = p->flags & F_CONTENT_LENGTH;
    m->length = p->content_length;
    // We change to no other protocol: a request to is served as if it had not asked.
    p->upgrade = 0;
    return 0;
}

static int on_body(llhttp_t *p, const char *at, size_t n) {
    struct message *m = message_of(p);
    return !m->on_piece || m->on_piece(m->user, slice_of(at, n)) ? 0 : HPE_USER;
}

static int on_message_complete(llhttp_t *p) {
    message_of(p)->whole = true;
    return HPE_PAUSED;
}

static const llhttp_settings_t settings = {.on_method = on_method,
                                           .on_protocol = on_protocol,
                                           .on_url = on_url,
                                           .on_header_field = on_header_field,
                                           .on_header_value = on_header_value,
                                           .on_headers_complete = on_headers_complete,
                                           .on_body = on_body,
                                           .on_message_complete = on_message_complete};

static void values_trim(struct message *m) {
    for (size_t i = 0; i < m->n; i++) {
        struct slice *v = &m->v[i].value;
        while (v->n && (v->p[v->n - 1] == ' ' || v->p[v->n - 1] == '\t'))
            v->n--;
    }
}

// What strict llhttp still takes: codings before chunked, a coding in HTTP/1.0.
static bool framing_is_plain(const struct message *m) {
    size_t lengths = 0, codings = 0;
    for (size_t i = 0; i < m->n; i++) {
        const struct header *h = &m->v[i];
        if (h->name.n == 14 && slice_eq_nocase(h->name, SLICE("content-length"))) {
            uint64_t ignored;
            lengths++;
            if (!slice_u64(h->value, &ignored))
                return false;
        } else if (h->name.n == 17 && slice_eq_nocase(h->name, SLICE("transfer-encoding"))) {
            codings++;
            if (!slice_eq_nocase(h->value, SLICE("chunked")))
                return false;
        }
    }
    if (codings && m->minor == 0)
        return false;
    return lengths + codings <= 1;
}

static bool target_is_plain(struct slice target) {
    for (size_t i = 0; i < target.n; i++)
        if ((unsigned char)target.p[i] <= ' ' || target.p[i] == 0x7f)
            return false;
    return true;
}

enum err message_head(struct message *m, llhttp_type_t type, struct slice head, struct header *v, size_t max) {
    *m = (struct message){.v = v, .max = max};
    llhttp_init(&m->parser, type, &settings);
    m->parser.data = m;
    enum llhttp_errno e = llhttp_execute(&m->parser, head.p, head.n);
    m->v = NULL; // the caller's array may be gone when trailers come
    if (m->too_many)
        return ERR_HEADERS_TOO_LARGE;
    if ((e != HPE_OK && e != HPE_PAUSED && e != HPE_PAUSED_UPGRADE) || !m->head_done)
        return ERR_BAD_REQUEST;
    m->v = v;
    values_trim(m);
    bool plain = m->major == 1 && framing_is_plain(m) && target_is_plain(m->target);
    m->v = NULL;
    m->whole = false;
    return plain ? ERR_OK : ERR_BAD_REQUEST;
}

enum err message_body(struct message *m, struct slice bytes, size_t *ret_used) {
    enum llhttp_errno e = llhttp_execute(&m->parser, bytes.p, bytes.n);
    *ret_used = bytes.n;
    if (e == HPE_OK)
        return ERR_OK;
    if (e == HPE_USER)
        return ERR_CANCELLED;
    if (e != HPE_PAUSED || !m->whole)
        return ERR_BAD_REQUEST;
    *ret_used = (size_t)(llhttp_get_error_pos(&m->parser) - bytes.p);
    return ERR_OK;
}
