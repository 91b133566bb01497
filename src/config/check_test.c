// SPDX-License-Identifier: Apache-2.0
// What one field can't tell: a table of configs, each with the one problem it must give, line and column included.
#include "config/config.h"
#include "unit.h"

static const char *problems_of(const char *yaml) {
    static char text[8192];
    struct buf problems = BUF_INIT(sizeof text - 1);
    struct config *c = NULL;
    enum err e = config_load_text(slice_str(yaml), "t", "/nowhere", &c, &problems);
    if (e == ERR_OK)
        config_unref(c);
    (void)snprintf(text, sizeof text, "%s%s", e == ERR_OK ? "OK" : "", buf_cstr(&problems));
    buf_done(&problems);
    return text;
}

struct row {
    const char *yaml, *want;
};

static void rows_check(const struct row *rows, size_t n) {
    for (size_t i = 0; i < n; i++) {
        const char *got = problems_of(rows[i].yaml);
        if (strcmp(got, rows[i].want) != 0)
            FAIL("%s\ngave %s\nnot  %s", rows[i].yaml, got, rows[i].want);
    }
}
#define CHECK_ROWS(rows) rows_check(rows, sizeof rows / sizeof rows[0])

TEST(check_addresses) {
    static const struct row rows[] = {
        {"listen: [\"127.0.0.1:0\", \"[::1]:80\", \"unix:/run/g\"]", "OK"},
        {"listen: localhost:80", "t:1:9: listen: found 'localhost:80'; expected an address and port like "
                                 "127.0.0.1:11411 or [::1]:11411, or unix:/path\n"},
        {"listen:\n  - 127.0.0.1:80\n  - 127.0.0.1:99999",
         "t:3:5: listen: found '127.0.0.1:99999'; expected an address "
         "and port like 127.0.0.1:11411 or [::1]:11411, or unix:/path\n"},
        {"listen: \"unix:\"", "t:1:9: listen: found 'unix:'; expected an address and port like 127.0.0.1:11411 or "
                              "[::1]:11411, or unix:/path\n"},
        {"listen: []", "t:1:9: listen: is empty; expected one or more\n"},
        {"cors: [\"*\", \"https://a.example\", \"app://x\"]", "OK"},
        {"cors: https://a.example/", "t:1:7: cors: found 'https://a.example/'; expected an origin like "
                                     "https://app.example\n"},
        {"endpoints: [{name: a, provider: b, url: \"ftp://x\"}]",
         "t:1:41: url: found 'ftp://x'; expected http://HOST… or https://HOST…\n"},
        {"endpoints: [{name: a, provider: b, url: \"https:///v1\"}]",
         "t:1:41: url: found 'https:///v1'; expected http://HOST… or https://HOST…\n"},
        {"endpoints: [{name: a, provider: b, url: \"https://u:pw@x/v1\"}]",
         "t:1:41: url: holds a user name; give the credential as key or key_file\n"},
        {"endpoints: [{name: a, provider: b, url: \"https://x/v1?k=@\"}]",
         "t:1:41: url: holds '?' or '#'; a base URL is extended by paths\n"},
        {"endpoints: [{name: a, provider: b, proxy: proxy}]",
         "t:1:43: proxy: found 'proxy'; expected http://HOST:PORT, https://… or socks5h://…\n"},
    };
    CHECK_ROWS(rows);
}

TEST(check_names) {
    static const struct row rows[] = {
        {"endpoints:\n- {name: a, provider: b}\n- {name: a, provider: b}",
         "t:3:10: a second endpoint named 'a'; the first is in line 2\n"},
        {"endpoints: [{name: a b, provider: b}]", "t:1:20: endpoint name 'a b': only letters, digits, . _ -\n"},
        {"endpoints: [{name: local, provider: b}]", "t:1:20: 'local' is the engine's own name; choose another\n"},
        {"endpoints: [{name: a, provider: b, models: [m, n, m]}]", "t:1:51: models: 'm' is there twice\n"},
        {"routes: {a: local/m, a: local/n}", "t:1:22: a second route named 'a'\n"},
        {"routes: {a/b: local/m}", "t:1:10: route 'a/b': a name with '/' would be an endpoint's model\n"},
        {"routes: {a: []}", "t:1:13: targets: is empty; expected one or more\n"},
        {"routes: {a: {targets: [local/m, \"\"]}}", "t:1:33: targets: an item is empty\n"},
        {"routes: {a: {name: b, targets: [local/m]}}",
         "t:1:14: unknown key 'name' in route (docs/configuration.md lists them)\n"},
        {"routes: {a: {policy: ordered}}", "t:1:13: route: 'targets' is missing\n"},
        {"routes: {a: {targets: [local/m], policy: best}}", "t:1:42: policy: found 'best'; expected one of: ordered\n"},
        {"catalogue: {models: [{name: m, input: 1 USD/M}]}", "t:1:29: name: found 'm'; expected endpoint/model\n"},
        {"catalogue: {models: [{name: a/m}, {name: a/m}]}", "t:1:42: a second price of 'a/m'\n"},
        {"engine: {models: [{name: m, file: /x}, {name: m, file: /y}]}", "t:1:47: a second engine model named 'm'\n"},
        {"engine: {models: [{name: m, gpu_layers: some}]}",
         "t:1:41: gpu_layers: found 'some'; expected a number, auto or all\n"},
        {"engine: {models: [{name: m, context: 64}]}", "t:1:38: context: found 64; expected 128 or more, or 0\n"},
        {"engine: {models: [{name: m, task: sing}]}",
         "t:1:35: task: found 'sing'; expected one of: auto, chat, embed, rerank\n"},
        {"keys: [{name: a, secret: x}, {name: a, secret: y}]", "t:1:37: a second key named 'a'\n"},
        {"keys: [{name: a, secret: x}, {name: b, secret: x}]", "t:1:37: key 'b': has the same secret as 'a'\n"},
        {"keys: [{name: a}]", "t:1:8: key 'a': needs secret or secret_file\n"},
        {"keys: [{name: a, secret: }]", "t:1:8: key 'a': has no secret\n"},
    };
    CHECK_ROWS(rows);
}

TEST(check_targets) {
    static const struct row rows[] = {
        {"endpoints: [{name: groq, provider: b}]\nroutes: {r: [groq/a/b, local/x, bare]}", "OK"},
        {"endpoints: [{name: groq, provider: b}]\nroutes: {r: [grok/a]}",
         "t:2:14: target 'grok/a': no endpoint is named 'grok'; did you mean 'groq'?\n"},
        {"routes: {r: {targets: [local/x, far/x]}}", "t:1:33: target 'far/x': no endpoint is named 'far'\n"},
        {"routes: {r: local/}", "t:1:13: target 'local/': expected endpoint/model\n"},
        {"routes: {r: /x}", "t:1:13: target '/x': expected endpoint/model\n"},
    };
    CHECK_ROWS(rows);
}

static const char *known(size_t i) {
    static const char *const names[] = {"openai", "anthropic", "groq"};
    return i < 3 ? names[i] : NULL;
}

TEST(check_providers_when_they_are_known) {
    static const struct row rows[] = {
        {"endpoints: [{name: a, provider: openai}]\nroutes: {r: [groq/x, a/x]}", "OK"},
        {"endpoints: [{name: a, provider: opanai}]",
         "t:1:33: provider: there is none named 'opanai'; did you mean 'openai'?\n"},
        {"endpoints: [{name: a, provider: something-else}]",
         "t:1:33: provider: there is none named 'something-else'\n"},
    };
    config_know_providers(known);
    CHECK_ROWS(rows);
    config_know_providers(NULL);
}
