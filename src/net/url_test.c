// SPDX-License-Identifier: Apache-2.0
#include "net/client.h"
#include "unit.h"

static bool leads(const char *base, const char *to, const char *expected) {
    struct buf out = BUF_INIT(8192);
    enum err e = url_resolve(base, to, &out);
    bool same = expected ? !e && slice_is(buf_slice(&out), expected) : e != ERR_OK;
    buf_done(&out);
    return same;
}

TEST(url_resolve_goes_by_the_rfc) {
    static const char base[] = "https://hub.example:8443/org/repo/resolve/main/x.gguf?download=true";
    CHECK(leads(base, "/api/x?a=%2Fb", "https://hub.example:8443/api/x?a=%2Fb"));
    CHECK(leads(base, "y.gguf", "https://hub.example:8443/org/repo/resolve/main/y.gguf"));
    CHECK(leads(base, "../y", "https://hub.example:8443/org/repo/resolve/y"));
    CHECK(leads(base, "?p=2", "https://hub.example:8443/org/repo/resolve/main/x.gguf?p=2"));
    CHECK(leads(base, "//cdn.example/z", "https://cdn.example/z"));
    CHECK(leads(base, "http://other.example/z?sig=a%2Bb~c", "http://other.example/z?sig=a%2Bb~c"));
    CHECK(leads("http://[::1]:80/a/b", "c", "http://[::1]:80/a/c"));
    CHECK(leads(base, "file:///etc/passwd", "file:///etc/passwd")); // the caller refuses it
}

TEST(url_resolve_refuses_what_is_none) {
    CHECK(leads("https://a.example/", "http://", NULL));
    CHECK(leads("https://a.example/", "http://a b/", NULL));
    CHECK(leads("nothing", "x", NULL) || leads("nothing", "x", "http://nothing/x"));
    struct buf small = BUF_INIT(8);
    CHECK_EQ(url_resolve("https://a.example/", "/longer", &small), ERR_BAD_FIELD);
    buf_done(&small);
}
