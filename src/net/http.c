// SPDX-License-Identifier: Apache-2.0
// What both ends of HTTP share and that needs no connection: looking a header up, and the names of statuses. Pure
// functions over borrowed bytes.
#include "net/http.h"

struct slice headers_get(const struct headers *h, const char *name) {
    struct slice wanted = slice_str(name);
    if (!h)
        return SLICE_NONE;
    for (size_t i = 0; i < h->n; i++)
        if (h->v[i].name.n == wanted.n && slice_eq_nocase(h->v[i].name, wanted))
            return h->v[i].value.p ? h->v[i].value : slice_of("", 0);
    return SLICE_NONE;
}

const char *http_status_text(int status) {
    switch (status) {
#define S(code, text) \
    case code:        \
        return text
        S(100, "Continue");
        S(200, "OK");
        S(204, "No Content");
        S(400, "Bad Request");
        S(401, "Unauthorized");
        S(402, "Payment Required");
        S(403, "Forbidden");
        S(404, "Not Found");
        S(405, "Method Not Allowed");
        S(408, "Request Timeout");
        S(413, "Content Too Large");
        S(414, "URI Too Long");
        S(415, "Unsupported Media Type");
        S(417, "Expectation Failed");
        S(429, "Too Many Requests");
        S(431, "Request Header Fields Too Large");
        S(500, "Internal Server Error");
        S(501, "Not Implemented");
        S(502, "Bad Gateway");
        S(503, "Service Unavailable");
        S(504, "Gateway Timeout");
        S(505, "HTTP Version Not Supported");
        S(508, "Loop Detected");
        S(529, "Overloaded");
#undef S
    default:
        return status < 400 ? "Status" : status < 500 ? "Client Error" : "Server Error";
    }
}
