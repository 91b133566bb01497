// SPDX-License-Identifier: Apache-2.0
// Who may talk to a server on loopback through a browser. DNS rebinding makes a foreign page's name point at 127.0.0.1;
// the Host header still holds the foreign name, so only names of this machine are let in. CORS is the other half: which
// pages may read our answers; it is off unless config lists origins, and preflights are answered here.
// Pure but for guard_preflight, which answers on the connection.
#include "net/conn.h"

static bool list_has(const char *const *list, struct slice s) {
    for (; list && *list; list++)
        if (slice_is(slice_str(*list), "*") || slice_eq_nocase(slice_str(*list), s))
            return true;
    return false;
}

static bool is_loopback_v4(struct slice name) {
    uint64_t part;
    for (int i = 0; i < 4; i++) {
        struct slice s = slice_split(&name, '.');
        if (s.n > 3 || !slice_u64(s, &part) || part > 255 || (i == 0 && part != 127))
            return false;
        if ((i < 3) != (name.p != NULL))
            return false;
    }
    return true;
}

// "name:port" and "[::1]:port" without the port; empty when it is not of that form.
static struct slice host_name(struct slice host) {
    size_t end = slice_find(host, host.n && host.p[0] == '[' ? ']' : ':');
    if (end == SIZE_MAX)
        return host.n && host.p[0] == '[' ? SLICE_NONE : host;
    if (host.p[0] == '[')
        end++;
    struct slice name = slice_first(host, end), port = slice_from(host, end);
    if (port.n == 0)
        return name;
    uint64_t ignored;
    if (port.p[0] != ':')
        return SLICE_NONE;
    return port.n == 1 || slice_u64(slice_from(port, 1), &ignored) ? name : SLICE_NONE;
}

static bool is_this_machine(struct slice name) {
    if (slice_eq_nocase(name, SLICE("localhost")) || slice_is(name, "[::1]"))
        return true;
    struct slice tail = slice_from(name, name.n > 10 ? name.n - 10 : 0);
    return slice_eq_nocase(tail, SLICE(".localhost")) || is_loopback_v4(name);
}

bool guard_host_allowed(const struct server *s, struct slice host) {
    struct slice name = host_name(host);
    if (list_has(s->o.allowed_hosts, host) || (name.n && list_has(s->o.allowed_hosts, name)))
        return true;
    return is_this_machine(name);
}

// A page of another site may send simple requests to loopback without CORS being asked. "null" is a sandboxed frame of
// anybody's; schemes that are no web (a desktop program's, an editor's) are of this machine.
bool guard_origin_allowed(const struct server *s, const struct headers *h) {
    struct slice origin = headers_get(h, "origin");
    if (!origin.p || guard_origin(s, origin))
        return true;
    bool tls = slice_starts(origin, "https://");
    if (!tls && !slice_starts(origin, "http://"))
        return !slice_is(origin, "null");
    struct slice host = slice_from(origin, tls ? 8 : 7);
    if (!host.p)
        return false;
    return slice_eq_nocase(host, headers_get(h, "host")) || is_this_machine(host_name(host));
}

const char *guard_origin(const struct server *s, struct slice origin) {
    if (!origin.p)
        return NULL;
    for (const char *const *o = s->o.cors_origins; o && *o; o++)
        if (slice_is(slice_str(*o), "*") || slice_eq_nocase(slice_str(*o), origin))
            return *o;
    return NULL;
}

bool guard_preflight(struct conn *c, const struct http_request *r) {
    struct header v[4];
    size_t n = 0;
    if (!c->cors || !slice_is(r->method, "OPTIONS") || !headers_get(&r->headers, "access-control-request-method").p)
        return false;
    struct slice wanted = headers_get(&r->headers, "access-control-request-headers");
    v[n++] = (struct header){SLICE("access-control-allow-methods"), SLICE("GET, POST, PUT, PATCH, DELETE, HEAD")};
    if (wanted.n)
        v[n++] = (struct header){SLICE("access-control-allow-headers"), wanted};
    v[n++] = (struct header){SLICE("access-control-max-age"), SLICE("86400")};
    // Chrome asks this before a public page may reach into a private network.
    if (slice_is(headers_get(&r->headers, "access-control-request-private-network"), "true"))
        v[n++] = (struct header){SLICE("access-control-allow-private-network"), SLICE("true")};
    conn_respond(c, 204, NULL, &(struct headers){v, n}, SLICE_NONE);
    return true;
}
