// SPDX-License-Identifier: Apache-2.0
// Where an address that stands in an answer leads: `Location: /x`, `../x?y`, `//cdn/x`, against the address that was asked
// (RFC 3986, section 5). libcurl knows how. Whether anybody may go there is for the caller to decide. Pure; any thread.
#include <curl/curl.h>
#include "net/client.h"

enum err url_resolve(const char *base, const char *to, struct buf *out) {
    char *text = NULL;
    CURLU *u = curl_url();
    if (!u)
        return ERR_NO_MEMORY;
    CURLUcode code = curl_url_set(u, CURLUPART_URL, base, CURLU_NON_SUPPORT_SCHEME);
    if (!code)
        code = curl_url_set(u, CURLUPART_URL, to, CURLU_NON_SUPPORT_SCHEME);
    if (!code)
        code = curl_url_get(u, CURLUPART_URL, &text, 0);
    if (!code)
        buf_append_str(out, text);
    curl_free(text);
    curl_url_cleanup(u);
    if (code)
        return code == CURLUE_OUT_OF_MEMORY ? ERR_NO_MEMORY : ERR_BAD_FIELD;
    return out->failed ? ERR_BAD_FIELD : ERR_OK;
}
