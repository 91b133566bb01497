// SPDX-License-Identifier: Apache-2.0
// What an upstream gets instead of tools: the prompt, the turns and the schema, and what is refused.
#include <stdio.h>
#include "dialect/dialect.h"
#include "switch/tools.h"
#include "base/mem.h"
#include "unit.h"

static struct arena arena;
static struct emulation *em;
static struct problem problem;

// The request is an OpenAI body, as the shortest way to say one.
static enum err rewritten(const char *body, bool again) {
    struct request *r;
    arena_done(&arena);
    arena_init(&arena, 8u << 20, 64);
    problem = PROBLEM(ERR_OK);
    enum err e = dialect_get(DIALECT_OPENAI)->read_request(&arena, OP_CHAT, slice_str(body), &r, &problem);
    return e ? e : tools_rewrite(&arena, r, again, &em, &problem);
}

static void done(void) {
    arena_done(&arena);
}

// "role: text" a line.
static const char *turns(void) {
    static const char *const roles[] = {"system", "user", "assistant", "tool"};
    static char text[4096];
    size_t n = 0;
    text[0] = 0;
    for (const struct message *m = em->sent.messages; m && n < sizeof text; m = m->next)
        for (const struct part *p = m->parts; p; p = p->next)
            n += (size_t)snprintf(text + n, sizeof text - n, "%s%s: %.*s\n", roles[m->role],
                                  p->kind == PART_TEXT ? "" : " (other)", SLICE_FMT(p->text));
    return text;
}

static const char *schema(void) {
    static char text[8192];
    (void)snprintf(text, sizeof text, "%.*s", SLICE_FMT(em->sent.format_schema));
    return text;
}

static bool noted(const char *action, const char *path) {
    for (const struct note *n = em->notes.first; n; n = n->next)
        if (strcmp(n->action, action) == 0 && slice_is(n->path, path))
            return true;
    return false;
}

#define ASK(more) "{\"model\":\"m\",\"messages\":[{\"role\":\"user\",\"content\":\"hi\"}]," more "}"
#define TOOL(name, parameters) \
    "{\"type\":\"function\",\"function\":{\"name\":\"" name "\",\"parameters\":" parameters "}}"
#define ANY_OBJECT "{\"type\":\"object\"}"
#define CALL(name, t)                                                                                             \
    "{\"type\":\"object\",\"properties\":{\"name\":{\"const\":\"" name "\"},\"arguments\":{\"$ref\":\"#/$defs/" t \
    "\"}},\"required\":[\"name\",\"arguments\"]}"
#define TEXT "{\"type\":\"object\",\"required\":[\"text\"],\"properties\":{\"text\":{\"type\":\"string\"}}}"

TEST(tools_prompt_says_what_there_is) {
    CHECK_EQ(
        rewritten(
            "{\"model\":\"m\",\"messages\":[{\"role\":\"system\",\"content\":\"Be kind.\"},"
            "{\"role\":\"developer\",\"content\":\"Be brief.\"},"
            "{\"role\":\"user\",\"content\":[{\"type\":\"text\",\"text\":\"hi\"},{\"type\":\"text\",\"text\":\"you\"}]}],"
            "\"tools\":[{\"type\":\"function\",\"function\":{\"name\":\"f\",\"description\":\"Does \\\"f\\\".\","
            "\"parameters\":{ \"type\" :\n\"object\" }}},{\"type\":\"function\",\"function\":{\"name\":\"g\"}}]}",
            false),
        ERR_OK);
    CHECK_STREQ(turns(), "system: Be kind.\nBe brief.\n\nYou can call tools. These are the tools, one a line:\n"
                         "{\"name\":\"f\",\"description\":\"Does \\\"f\\\".\",\"parameters\":{\"type\":\"object\"}}\n"
                         "{\"name\":\"g\",\"parameters\":{}}\n"
                         "Answer with one JSON object. To call a tool: {\"name\": \"…\", \"arguments\": {…}}. "
                         "To answer in words: {\"text\": \"…\"}\n"
                         "user: hi\nyou\n");
    CHECK_STREQ(schema(),
                "{\"anyOf\":[" CALL("f", "t0") "," CALL("g", "t1") "," TEXT "],\"$defs\":{\"t0\":" ANY_OBJECT
                                                                   ",\"t1\":{\"type\":\"object\",\"properties\":{}}}}");
    CHECK(em->bound && !em->forced && !em->sent.tools && !em->sent.doc.src.p);
    CHECK(noted("approximated", "tools") && noted("approximated", "parallel_tool_calls"));
    CHECK_EQ(em->sent.max_tokens, -1);
    done();
}

TEST(tools_prompt_binds_by_the_choice) {
#define TWO "\"tools\":[" TOOL("f", ANY_OBJECT) "," TOOL("g", ANY_OBJECT) "]"
    static const char defs[] = ",\"$defs\":{\"t0\":" ANY_OBJECT ",\"t1\":" ANY_OBJECT "}}";
    CHECK_EQ(rewritten(ASK(TWO ",\"tool_choice\":\"required\""), false), ERR_OK);
    CHECK(slice_starts(slice_str(schema()), "{\"anyOf\":[" CALL("f", "t0") "," CALL("g", "t1") "]"));
    CHECK(slice_ends(slice_str(schema()), defs));
    CHECK(em->forced && em->sent.max_tokens > 0 && noted("added", "max_tokens"));
    CHECK_EQ(
        rewritten(ASK(TWO ",\"tool_choice\":{\"type\":\"function\",\"function\":{\"name\":\"g\"}},\"max_tokens\":9"),
                  false),
        ERR_OK);
    CHECK(slice_starts(slice_str(schema()), "{\"anyOf\":[" CALL("g", "t1") "]"));
    CHECK(em->forced && em->only == &em->tools[1] && em->sent.max_tokens == 9);
    CHECK_EQ(rewritten(ASK(TWO ",\"tool_choice\":\"required\",\"parallel_tool_calls\":true"), false), ERR_OK);
    CHECK(slice_starts(slice_str(schema()),
                       "{\"anyOf\":[{\"type\":\"object\",\"required\":[\"calls\"],\"properties\":{\"calls\":"
                       "{\"type\":\"array\",\"minItems\":1,\"maxItems\":8,\"items\":{\"anyOf\":[" CALL(
                           "f", "t0") "," CALL("g", "t1") "]}}}}]"));
    CHECK(em->parallel && !noted("approximated", "parallel_tool_calls"));
    CHECK_EQ(rewritten(ASK(TWO ",\"tool_choice\":\"none\",\"stop\":[\"x\"]"), false), ERR_OK);
    CHECK(!em->bound && em->sent.format == FORMAT_UNSET && em->sent.n_stops == 1);
    CHECK_STREQ(turns(), "user: hi\n");
    CHECK_EQ(rewritten(ASK(TWO ",\"tool_choice\":{\"type\":\"function\",\"function\":{\"name\":\"h\"}}"), false),
             ERR_BAD_FIELD);
    CHECK(slice_is(problem.message, "tool_choice: there is no tool 'h'"));
    done();
#undef TWO
}

TEST(tools_prompt_keeps_the_answers_schema) {
    CHECK_EQ(
        rewritten(
            ASK("\"tools\":[" TOOL(
                "f",
                ANY_OBJECT) "],\"response_format\":{\"type\":\"json_schema\",\"json_schema\":"
                            "{\"name\":\"x\",\"strict\":true,\"schema\":{\"$ref\":\"#/$defs/a\",\"$defs\":{\"a\":{\"type\":\"null\"}}}}}"),
            false),
        ERR_OK);
    CHECK(slice_search(slice_str(schema()), SLICE("\"properties\":{\"answer\":{\"$ref\":\"#/$defs/answer\"}}")) !=
          SIZE_MAX);
    CHECK(slice_ends(slice_str(schema()),
                     "\"answer\":{\"$ref\":\"#/$defs/answer/$defs/a\",\"$defs\":{\"a\":{\"type\":\"null\"}}}}}"));
    CHECK(slice_search(slice_str(turns()), SLICE("{\"answer\": …}, which fits the schema {\"$ref\":\"#/$defs/a\"")) !=
          SIZE_MAX);
    CHECK_EQ(
        rewritten(ASK("\"tools\":[" TOOL("f", ANY_OBJECT) "],\"response_format\":{\"type\":\"json_object\"}"), false),
        ERR_OK);
    CHECK(slice_ends(slice_str(schema()), ",\"answer\":" ANY_OBJECT "}}"));
    done();
}

// A conversation as each dialect ends up with it: several results in messages of their own, and texts between.
TEST(tools_prompt_writes_the_past) {
#define PAST                                                                                                               \
    "{\"role\":\"user\",\"content\":\"weather?\"},{\"role\":\"assistant\",\"content\":\"Let me see.\",\"tool_calls\":["    \
    "{\"id\":\"a\",\"type\":\"function\",\"function\":{\"name\":\"f\",\"arguments\":\"{\\\"x\\\": 1}\"}},"                 \
    "{\"id\":\"b\",\"type\":\"function\",\"function\":{\"name\":\"g\",\"arguments\":\"no json\"}}]},"                      \
    "{\"role\":\"tool\",\"tool_call_id\":\"b\",\"content\":\"12\"},{\"role\":\"tool\",\"tool_call_id\":\"a\",\"content\":" \
    "[{\"type\":\"text\",\"text\":\"rain, \"},{\"type\":\"text\",\"text\":\"wind\"}]},"                                    \
    "{\"role\":\"user\",\"content\":\"so?\"},{\"role\":\"assistant\",\"content\":\"Stay \\\"in\\\".\"},"                   \
    "{\"role\":\"user\",\"content\":\"thanks\"}"
#define PAST_TEXT(before, between, after, stay)                                                                       \
    "user: weather?\nassistant: Let me see.\n" before "{\"name\":\"f\",\"arguments\":{\"x\": 1}}" between             \
    "{\"name\":\"g\",\"arguments\":\"no json\"}" after "\nuser: Result of g: 12\nResult of f: rain, wind\nso?\n" stay \
    "user: thanks\n"
    CHECK_EQ(rewritten("{\"model\":\"m\",\"messages\":[" PAST "]}", false), ERR_OK);
    CHECK_STREQ(turns(), PAST_TEXT("", "\n", "", "assistant: Stay \"in\".\n"));
    CHECK(!em->bound && noted("approximated", "messages"));
    CHECK_EQ(rewritten("{\"model\":\"m\",\"messages\":[" PAST "],\"tools\":[" TOOL("f", ANY_OBJECT) "]}", false),
             ERR_OK);
    CHECK(slice_ends(slice_str(turns()), PAST_TEXT("", "\n", "", "assistant: {\"text\":\"Stay \\\"in\\\".\"}\n")));
    CHECK_EQ(rewritten("{\"model\":\"m\",\"messages\":[" PAST
                       "],\"tools\":[" TOOL("f", ANY_OBJECT) "],\"parallel_tool_calls\":true}",
                       false),
             ERR_OK);
    CHECK(slice_ends(slice_str(turns()),
                     PAST_TEXT("{\"calls\":[", ",", "]}", "assistant: {\"text\":\"Stay \\\"in\\\".\"}\n")));
    done();
}

// Anthropic's shape: errors, pictures in results, and words in the turn of the results.
TEST(tools_prompt_writes_results_with_pictures) {
    struct request *r;
    arena_init(&arena, 8u << 20, 0);
    static const char body[] =
        "{\"model\":\"m\",\"max_tokens\":9,\"messages\":[{\"role\":\"user\",\"content\":\"look\"},"
        "{\"role\":\"assistant\",\"content\":[{\"type\":\"tool_use\",\"id\":\"a\",\"name\":\"look\",\"input\":{}}]},"
        "{\"role\":\"user\",\"content\":[{\"type\":\"tool_result\",\"tool_use_id\":\"a\",\"is_error\":true,\"content\":["
        "{\"type\":\"text\",\"text\":\"blurred\"},{\"type\":\"image\",\"source\":{\"type\":\"base64\",\"media_type\":\"image/png\","
        "\"data\":\"AAAA\"}}]},{\"type\":\"text\",\"text\":\"and?\"}]}]}";
    CHECK_EQ(dialect_get(DIALECT_ANTHROPIC)->read_request(&arena, OP_CHAT, slice_str(body), &r, &problem), ERR_OK);
    CHECK_EQ(tools_matter(r), true);
    CHECK_EQ(tools_rewrite(&arena, r, false, &em, &problem), ERR_OK);
    CHECK_STREQ(turns(), "user: look\nassistant: {\"name\":\"look\",\"arguments\":{}}\n"
                         "user: Error of look: blurred\nand?\nuser (other): \n");
    done();
}

// The schema of a tool inside that of the answer: what moves, what is left out, what the engine could not take.
TEST(tools_prompt_moves_schemas) {
    static const struct {
        const char *from, *to, *tight;
    } rows[] = {
        {"{\"type\":\"object\",\"properties\":{\"a\":{\"$ref\":\"#/$defs/x\"},\"$ref\":{\"type\":\"string\"}},\"$defs\":{\"x\":{\"$ref\":\"#\"}}}",
         "{\"type\":\"object\",\"properties\":{\"a\":{\"$ref\":\"#/$defs/t0/$defs/x\"},\"$ref\":{\"type\":\"string\"}},"
         "\"$defs\":{\"x\":{\"$ref\":\"#/$defs/t0\"}}}",
         NULL},
        {"{\"$schema\":\"s\",\"title\":\"t\",\"description\":\"d\",\"type\":\"object\",\"properties\":{\"title\":{\"description\":\"d\","
         "\"default\":{\"$ref\":\"#\"},\"enum\":[{\"title\":\"kept\"}]}}}",
         "{\"type\":\"object\",\"properties\":{\"title\":{\"enum\":[{\"title\":\"kept\"}]}}}",
         "{\"type\":\"object\",\"properties\":{\"title\":{\"enum\":[{\"title\":\"kept\"}]}}}"},
        {"{}", "{\"type\":\"object\"}", "{\"type\":\"object\"}"},
        {"{\"properties\":{\"a\":true,\"b\":{\"items\":false}}}", "{\"properties\":{\"a\":{},\"b\":{\"items\":{}}}}",
         "{\"properties\":{\"a\":{\"type\":\"string\",\"maxLength\":80},\"b\":{\"items\":{}}}}"},
        {"{\"properties\":{\"a\":{}},\"anyOf\":[{\"required\":[\"a\"]}],\"type\":\"object\"}",
         "{\"properties\":{\"a\":{}},\"type\":\"object\"}", NULL},
        {"{\"properties\":{\"a\":{\"allOf\":[{\"$ref\":\"#/definitions/c\"}],\"default\":1}},\"definitions\":{\"c\":{\"enum\":[1]}}}",
         "{\"properties\":{\"a\":{\"$ref\":\"#/$defs/t0/definitions/c\"}},\"definitions\":{\"c\":{\"enum\":[1]}}}",
         NULL},
        {"{\"anyOf\":[{\"type\":\"object\"},{\"$ref\":\"https://x.example\"}]}",
         "{\"anyOf\":[{\"type\":\"object\"},{\"$ref\":\"https://x.example\"}]}", NULL},
        {"{\"type\":\"object\",\"additionalProperties\":{\"type\":\"array\",\"items\":[{\"type\":\"string\"}],\"additionalItems\":false}}",
         "{\"type\":\"object\",\"additionalProperties\":{\"type\":\"array\",\"items\":[{\"type\":\"string\"}],\"additionalItems\":false}}",
         "{\"type\":\"object\",\"properties\":{}}"},
        {"{\"type\":\"object\",\"properties\":{\"a\":{\"type\":\"string\"},\"b\":{\"type\":[\"string\",\"null\"],\"minLength\":200},"
         "\"c\":{\"type\":\"string\",\"format\":\"date\"},\"d\":{\"type\":\"array\",\"items\":{\"type\":\"string\",\"maxLength\":9}},"
         "\"e\":{\"type\":\"array\",\"minItems\":6},\"f\":{\"type\":\"object\"},\"g\":{\"type\":\"string\",\"const\":\"x\"}}}",
         NULL,
         "{\"type\":\"object\",\"properties\":{\"a\":{\"type\":\"string\",\"maxLength\":80},\"b\":{\"type\":[\"string\",\"null\"],"
         "\"minLength\":200,\"maxLength\":200},\"c\":{\"type\":\"string\",\"format\":\"date\"},\"d\":{\"type\":\"array\",\"items\":"
         "{\"type\":\"string\",\"maxLength\":9},\"maxItems\":4},\"e\":{\"type\":\"array\",\"minItems\":6,\"maxItems\":6},"
         "\"f\":{\"type\":\"object\",\"properties\":{}},\"g\":{\"type\":\"string\",\"const\":\"x\"}}}"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        for (int tight = 0; tight < 2; tight++) {
            char body[2048], want[2048];
            const char *to = tight ? rows[i].tight : rows[i].to;
            if (!to)
                continue;
            (void)snprintf(body, sizeof body, ASK("\"tools\":[" TOOL("f", "%s") "]"), rows[i].from);
            (void)snprintf(want, sizeof want, "\"$defs\":{\"t0\":%s}}", to);
            CHECK_EQ(rewritten(body, tight), ERR_OK);
            if (!slice_ends(slice_str(schema()), want))
                FAIL("%s\nbecame\n%s\nand not\n%s", rows[i].from, schema(), want);
        }
    }
    done();
}

TEST(tools_prompt_leaves_out_what_cannot_be) {
    CHECK_EQ(rewritten(ASK("\"tools\":[{\"type\":\"web_search\"}," TOOL(
                           "f", ANY_OBJECT) "],\"n\":2,\"logprobs\":true,\"stop\":\"x\""),
                       false),
             ERR_OK);
    CHECK(em->n_tools == 1 && em->sent.n == 1 && em->sent.n_stops == 0 && em->sent.logprobs == -1);
    CHECK(noted("dropped", "tools") && noted("dropped", "n") && noted("dropped", "logprobs") &&
          noted("dropped", "stop"));
    CHECK_EQ(rewritten(ASK("\"tools\":[{\"type\":\"web_search\"}]"), false), ERR_OK);
    CHECK(!em->bound && noted("dropped", "tools"));
    done();
}

TEST(tools_prompt_blames_the_tool) {
    CHECK_EQ(rewritten(ASK("\"tools\":[" TOOL("f", ANY_OBJECT) "," TOOL("g", ANY_OBJECT) "]"), false), ERR_OK);
    struct problem p = PROBLEM(ERR_UP_REFUSED);
    p.message = SLICE("JSON schema error at #/$defs/t1/properties/a: unrecognized type any");
    tools_blame(em, &arena, &p);
    CHECK(slice_is(p.message, "the engine cannot bind an answer to the parameters of tool 'g': JSON schema error at "
                              "#/$defs/t1/properties/a: unrecognized type any"));
    CHECK(slice_is(p.param, "tools"));
    p.message = SLICE("failed to parse grammar");
    tools_blame(em, &arena, &p);
    CHECK(slice_starts(p.message, "the engine cannot bind an answer to the parameters of tool 'f' 'g': failed"));
    p.message = SLICE("JSON schema error at #/$defs/t77: x");
    tools_blame(em, &arena, &p);
    CHECK(slice_starts(p.message, "the engine cannot bind an answer to the parameters of tool 'f' 'g': JSON"));
    p.message = SLICE("the request exceeds the available context size");
    tools_blame(em, &arena, &p);
    CHECK(slice_is(p.message, "the request exceeds the available context size"));
    done();
}

TEST(tools_prompt_survives_each_failed_allocation) {
    static const char body[] = "{\"model\":\"m\",\"messages\":[" PAST "],\"tools\":[" TOOL(
        "f", "{\"$ref\":\"#/$defs/a\"}") "],"
                                         "\"n\":2,\"tool_choice\":\"required\",\"parallel_tool_calls\":true}";
    enum err e = ERR_NO_MEMORY;
    for (unsigned long k = 1; e && k < 400; k++) {
        done();
        mem_fail_at(k);
        e = rewritten(body, true);
        mem_fail_at(0);
        CHECK(e == ERR_OK || e == ERR_NO_MEMORY);
    }
    done();
    CHECK_EQ(e, ERR_OK);
}
