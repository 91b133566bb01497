// SPDX-License-Identifier: Apache-2.0
// Who gives a list of models, by what it says of itself.
#include "grid/scan.h"
#include "unit.h"

static const char *who(const char *expected, const char *body) {
    const struct provider *p = scan_identify(provider_by_name(slice_str(expected)), slice_str(body));
    return p ? p->name : "nobody";
}

TEST(scan_tells_servers_by_their_lists) {
    CHECK_STREQ(who("llama-server", "{\"object\":\"list\",\"data\":[{\"id\":\"m.gguf\",\"object\":\"model\","
                                    "\"owned_by\":\"llamacpp\",\"meta\":{\"n_ctx\":4096}}]}"),
                "llama-server");
    CHECK_STREQ(who("llama-server", "{\"object\":\"list\",\"data\":[{\"id\":\"m\",\"owned_by\":\"vllm\"}]}"), "vllm");
    CHECK_STREQ(who("lmstudio", "{\"data\":[{\"id\":\"m\",\"object\":\"model\",\"owned_by\":\"organization_owner\"}]}"),
                "lmstudio");
    CHECK_STREQ(who("gpt4all", "{\"data\":[{\"id\":\"m\",\"owned_by\":\"humanity\"}]}"), "gpt4all");
    CHECK_STREQ(who("ollama", "{\"models\":[{\"name\":\"m\",\"model\":\"m\"}]}"), "ollama");
    CHECK_STREQ(who("ollama", "{\"models\":[]}"), "ollama");
}

TEST(scan_takes_what_it_cannot_tell_for_a_proxy) {
    CHECK_STREQ(who("llama-server", "{\"data\":[{\"id\":\"gpt-4o\",\"owned_by\":\"openai\"}]}"), "openai-compatible");
    CHECK_STREQ(who("vllm", "{\"object\":\"list\",\"data\":[{\"id\":\"m\",\"object\":\"model\"}]}"),
                "openai-compatible");
}

TEST(scan_leaves_strangers_alone) {
    static const char *const bodies[] = {
        "", "<html>hello</html>", "{\"data\":[]}", "{\"data\":[{\"x\":1}]}", "{\"a\":1}", "[]", "Ollama is running"};
    for (size_t i = 0; i < sizeof bodies / sizeof bodies[0]; i++) {
        CHECK_STREQ(who("vllm", bodies[i]), "nobody");
        CHECK_STREQ(who("ollama", bodies[i]), "nobody");
    }
}
