// SPDX-License-Identifier: Apache-2.0
// Which endpoints come of config, ports and variables; that config wins; and that a key never goes to another host.
#include <stdlib.h>
#include "base/log.h"
#include "grid/places.h"
#include "unit.h"

static struct config *config_of(const char *yaml) {
    struct buf why = BUF_INIT(4096);
    struct config *c = NULL;
    if (config_load_text(slice_str(yaml), "t.yaml", "/tmp", &c, &why) != ERR_OK)
        unit_fail(__FILE__, __LINE__, "%s", buf_cstr(&why));
    buf_done(&why);
    return c;
}

// "name zone found_by; …" of what yaml and the finds give.
static char listed[1024];
static const char *places_of(const char *yaml, const struct scan_find *finds, size_t n_finds) {
    struct config *c = config_of(yaml);
    struct places p;
    struct buf why = BUF_INIT(4096), out = BUF_INIT(sizeof listed - 1);
    log_set_level(LOG_ERROR);
    enum err e = places_make(c, finds, n_finds, &p, &why);
    for (size_t i = 0; e == ERR_OK && i < p.n; i++)
        buf_printf(&out, "%s%s %s %d", i ? "; " : "", p.v[i]->name, zone_name(p.v[i]->zone), (int)p.v[i]->found_by);
    (void)snprintf(listed, sizeof listed, "%s", e == ERR_OK ? buf_cstr(&out) : buf_cstr(&why));
    if (e == ERR_OK)
        places_done(&p);
    buf_done(&why);
    buf_done(&out);
    config_unref(c);
    return listed;
}

static void env_clear(void) {
    for (size_t i = 0; i < n_providers; i++)
        if (providers[i].key_env)
            (void)unsetenv(providers[i].key_env);
    (void)unsetenv("OPENAI_BASE_URL");
    (void)unsetenv("ANTHROPIC_API_BASE");
}

TEST(places_of_an_empty_config_are_what_the_variables_hold) {
    env_clear();
    CHECK_STREQ(places_of("{}", NULL, 0), "");
    setenv("MISTRAL_API_KEY", "k", 1);
    setenv("OPENAI_API_KEY", "k", 1);
    setenv("HF_TOKEN", "", 1);
    CHECK_STREQ(places_of("{}", NULL, 0), "openai cloud 1; mistral cloud 1");
    CHECK_STREQ(places_of("discovery: off", NULL, 0), "");
    CHECK_STREQ(places_of("discovery: {keys: no}", NULL, 0), "");
    env_clear();
}

TEST(places_every_usual_variable_makes_an_endpoint) {
    env_clear();
    size_t n = 0;
    for (size_t i = 0; i < n_providers; i++) {
        if (!providers[i].key_env || providers[i].second)
            continue;
        n++;
        setenv(providers[i].key_env, "k", 1);
        char want[128];
        (void)snprintf(want, sizeof want, "%s cloud 1", providers[i].name);
        CHECK_STREQ(places_of("{}", NULL, 0), want);
        (void)unsetenv(providers[i].key_env);
    }
    CHECK(n >= 12);
}

TEST(places_of_config_win_over_keys) {
    env_clear();
    setenv("GROQ_API_KEY", "k", 1);
    setenv("OPENAI_API_KEY", "k", 1);
    CHECK_STREQ(places_of("endpoints: [{name: fast, provider: groq, key: other, zone: sealed}]", NULL, 0),
                "fast sealed 0; openai cloud 1");
    CHECK_STREQ(places_of("endpoints: [{name: new, provider: openai-responses}]", NULL, 0),
                "new cloud 0; groq cloud 1");
    // Its dialect elsewhere is not its place; the name alone is enough to stay away.
    CHECK_STREQ(places_of("endpoints: [{name: x, provider: openai, url: \"http://10.0.0.1/v1\"}]", NULL, 0),
                "x cloud 0; openai cloud 1; groq cloud 1");
    CHECK_STREQ(places_of("endpoints: [{name: openai, provider: openai, url: \"http://10.0.0.1/v1\"}]", NULL, 0),
                "openai cloud 0; groq cloud 1");
    env_clear();
}

TEST(places_a_key_for_another_host_is_left_alone) {
    env_clear();
    setenv("OPENAI_API_KEY", "k", 1);
    setenv("OPENAI_BASE_URL", "https://llm.example/v1", 1);
    CHECK_STREQ(places_of("{}", NULL, 0), "");
    setenv("OPENAI_BASE_URL", "not a url", 1);
    CHECK_STREQ(places_of("{}", NULL, 0), "");
    setenv("OPENAI_BASE_URL", "http://api.openai.com/v1", 1); // in the clear is another place as well
    CHECK_STREQ(places_of("{}", NULL, 0), "");
    setenv("OPENAI_BASE_URL", "https://api.openai.com/v1/", 1);
    CHECK_STREQ(places_of("{}", NULL, 0), "openai cloud 1");
    setenv("ANTHROPIC_API_KEY", "k", 1);
    setenv("ANTHROPIC_API_BASE", "http://127.0.0.1:11411", 1);
    CHECK_STREQ(places_of("{}", NULL, 0), "openai cloud 1");
    env_clear();
}

TEST(places_of_ports_stand_behind_config_and_get_free_names) {
    env_clear();
    const struct scan_find finds[] = {{provider_by_name(SLICE("ollama")), 11434, ZONE_EDGE},
                                      {provider_by_name(SLICE("vllm")), 8000, ZONE_EDGE},
                                      {provider_by_name(SLICE("vllm")), 8001, ZONE_CLOUD},
                                      {provider_by_name(SLICE("llama-server")), 8080, ZONE_DEVICE},
                                      {provider_by_name(SLICE("openai-compatible")), 9000, ZONE_CLOUD}};
    CHECK_STREQ(places_of("endpoints: [{name: ollama, provider: ollama, url: \"http://10.0.0.9:11434\"}]", finds, 5),
                "ollama edge 0; ollama-11434 edge 2; vllm edge 2; vllm-8001 cloud 2; llama-server device 2; "
                "port-9000 cloud 2");
}

static bool port_is_in(const struct scan_port *v, size_t n, uint16_t port) {
    for (size_t i = 0; i < n; i++)
        if (v[i].port == port)
            return true;
    return false;
}

static size_t ports_of(const char *yaml, struct scan_port v[LIMIT_SCAN_PORTS]) {
    struct config *c = config_of(yaml);
    size_t n = places_ports(c, v);
    config_unref(c);
    return n;
}

TEST(places_ports_are_the_usual_ones_without_our_own) {
    struct scan_port v[LIMIT_SCAN_PORTS];
    static const uint16_t usual[] = {11434, 1234, 4891, 8000, 8080};
    size_t n = ports_of("{}", v);
    CHECK_EQ(n, 5);
    for (size_t i = 0; i < 5; i++)
        CHECK(port_is_in(v, n, usual[i]));
    n = ports_of("listen: [\"127.0.0.1:11434\", \"[::1]:8000\"]", v);
    CHECK(n == 3 && !port_is_in(v, n, 11434) && !port_is_in(v, n, 8000));
    n = ports_of(
        "endpoints: [{name: a, provider: ollama}, {name: b, provider: vllm, url: \"http://localhost:1234/v1\"}]", v);
    CHECK(n == 3 && !port_is_in(v, n, 11434) && !port_is_in(v, n, 1234) && port_is_in(v, n, 8000));
    n = ports_of("endpoints: [{name: a, provider: ollama, url: \"http://10.0.0.1:11434\"}]", v);
    CHECK(port_is_in(v, n, 11434));
    CHECK_EQ(ports_of("discovery: off", v), 0);
    CHECK_EQ(ports_of("discovery: {ports: []}", v), 0);
    n = ports_of("discovery: {ports: [\"vllm:8001\", \"ollama:8001\", \"litellm:4000\"]}", v);
    CHECK(n == 2 && v[0].port == 8001 && v[0].provider == provider_by_name(SLICE("vllm")) && v[1].port == 4000);
}
