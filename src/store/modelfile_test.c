// SPDX-License-Identifier: Apache-2.0
// Modelfiles: what each instruction gives, what is no Modelfile, every cut, every allocation that fails.
#include "base/mem.h"
#include "store/modelfile.h"
#include "unit.h"

static const char whole[] = "# a comment\n"
                            "FROM smollm2:135m\n"
                            "parameter temperature 0.25\n"
                            "PARAMETER num_ctx 2048\n"
                            "PARAMETER stop \"<|end|>\"\n"
                            "PARAMETER stop two words\n"
                            "SYSTEM \"\"\"You are short.\nVery.\"\"\"\n"
                            "TEMPLATE \"{% for m in messages %}{{ m.content }}{% endfor %}\"\n"
                            "MESSAGE user Say \"hi\"\n"
                            "MESSAGE assistant \"\"\"hi\nthere\"\"\"\n"
                            "LICENSE one\n"
                            "\r\n"
                            "LICENSE \"\"\"two\"\"\"\n";

TEST(modelfile_says_what_stands_in_it) {
    struct arena a;
    struct modelfile m = {0};
    struct buf problem = BUF_INIT(1024);
    arena_init(&a, 1 << 20, 0);
    CHECK_EQ(modelfile_read(&a, slice_str(whole), &m, &problem), ERR_OK);
    CHECK_EQ(m.n_from, 1);
    CHECK_STREQ(m.from[0], "smollm2:135m");
    CHECK(slice_is(m.parameters, "{\"temperature\":0.25,\"num_ctx\":2048,\"stop\":[\"<|end|>\",\"two words\"]}"));
    CHECK_STREQ(m.system, "You are short.\nVery.");
    CHECK_STREQ(m.template, "{% for m in messages %}{{ m.content }}{% endfor %}");
    CHECK(slice_is(m.messages, "[{\"role\":\"user\",\"content\":\"Say \\\"hi\\\"\"},"
                               "{\"role\":\"assistant\",\"content\":\"hi\\nthere\"}]"));
    CHECK_STREQ(m.license, "one\n\ntwo");
    arena_done(&a);
    buf_done(&problem);
}

TEST(modelfile_problems_name_their_line) {
    static const struct {
        const char *text, *problem;
    } rows[] = {
        {"", "line 1: FROM is missing: which model is it made of?"},
        {"FROM a\nSYSTEM \"\"\"never\nends", "line 2: the closing \"\"\" is missing"},
        {"FROM a\nPARAMETER temperature warm", "line 2: parameter temperature: expected a number"},
        {"FROM a\nPARAMETER num_ctx 1.5\n", "line 2: parameter num_ctx: expected a whole number"},
        {"FROM a\nPARAMETER heat 1\n", "line 2: there is no parameter 'heat'"},
        {"FROM a\nMESSAGE robot hi\n", "line 2: MESSAGE: expected system, user or assistant, and a text"},
        {"FROM \n", "line 1: expected a model, a file or a digest"},
        {"hello\n", "line 1: expected FROM, SYSTEM, PARAMETER, TEMPLATE, MESSAGE, ADAPTER, DRAFT or LICENSE"},
        {"FROM a\nSYSTEM \xff\n", "line 1: it is not UTF-8"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct arena a;
        struct modelfile m;
        struct buf problem = BUF_INIT(1024);
        arena_init(&a, 1 << 20, 0);
        CHECK_EQ(modelfile_read(&a, slice_str(rows[i].text), &m, &problem), ERR_BAD_FIELD);
        CHECK_STREQ(buf_cstr(&problem), rows[i].problem);
        arena_done(&a);
        buf_done(&problem);
    }
}

TEST(modelfile_every_cut_gives_a_result_or_a_problem) {
    for (size_t n = 0; n < sizeof whole; n++) {
        struct arena a;
        struct modelfile m = {0};
        struct buf problem = BUF_INIT(1024);
        arena_init(&a, 1 << 20, 0);
        enum err e = modelfile_read(&a, slice_of(whole, n), &m, &problem);
        CHECK(e == ERR_OK ? m.n_from == 1 && problem.len == 0 : e == ERR_BAD_FIELD && problem.len > 0);
        arena_done(&a);
        buf_done(&problem);
    }
}

TEST(modelfile_every_allocation_may_fail) {
    enum err e = ERR_NO_MEMORY;
    for (unsigned long k = 1; e != ERR_OK && k < 200; k++) {
        struct arena a;
        struct modelfile m = {0};
        struct buf problem = BUF_INIT(1024);
        arena_init(&a, 1 << 20, 64);
        mem_fail_once(k);
        e = modelfile_read(&a, slice_str(whole), &m, &problem);
        mem_fail_at(0);
        CHECK(e == ERR_OK || e == ERR_NO_MEMORY);
        arena_done(&a);
        buf_done(&problem);
    }
    CHECK_EQ(e, ERR_OK);
}

TEST(modelfile_tells_go_templates_from_jinja) {
    CHECK(template_is_go(SLICE("{{ if .System }}<|system|>{{ .System }}{{ end }}")));
    CHECK(template_is_go(SLICE("{{- range $i, $_ := .Messages }}x{{ end }}")));
    CHECK(template_is_go(SLICE("{{ .Prompt }}")));
    CHECK(!template_is_go(SLICE("{% for m in messages %}{{ m['content'] }}{% endfor %}")));
    CHECK(!template_is_go(SLICE("{{ messages[0].content }}")));
    CHECK(!template_is_go(SLICE("{{")) && !template_is_go(SLICE("plain")));
}
