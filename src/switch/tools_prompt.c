// SPDX-License-Identifier: Apache-2.0
// A request with tools → the same request for a model that knows none. The tools go into the system text, earlier calls and
// results become turns of text in the very form that the model is to answer in, and the answer is bound by a schema made of
// the tools' own. Turns of one role in a row become one, since many templates refuse anything else. The text in front
// depends on the tools only, never on the choice among them, so that the engine's prefix cache holds from turn to turn.
// Everything is made in the attempt's arena; nothing is sent, logged or asked from here.
#include "switch/tools.h"
#include <stdio.h>
#include "base/limits.h"
#include "dialect/codec.h"

static bool has_past(const struct request *r) {
    for (const struct message *m = r->messages; m; m = m->next)
        for (const struct part *p = m->parts; p; p = p->next)
            if (p->kind == PART_TOOL_CALL || p->kind == PART_TOOL_RESULT)
                return true;
    return false;
}

bool tools_matter(const struct request *r) {
    return r->tools || has_past(r);
}

static void note(struct arena *a, struct emulation *em, const char *action, const char *path, const char *reason) {
    notes_add(a, &em->notes, action, slice_str(path), reason);
}

// ---- a tool's schema, as llama-server's converter to a grammar takes it

// With these bounds a second try of a call with a dozen texts fits into a few hundred tokens.
#define TIGHT_TEXT 80
#define TIGHT_ITEMS 4

struct schema_out {
    struct json_writer w;
    const char *root; // where this schema stands in the document: "#/$defs/t0"
    bool tight;
};

enum holds { HOLDS_DATA, HOLDS_SCHEMA, HOLDS_SCHEMAS, HOLDS_NOTHING };

static enum holds keyword_holds(struct slice name) {
    static const struct {
        const char *name;
        enum holds holds;
    } rows[] = {
        {"properties", HOLDS_SCHEMAS},  {"items", HOLDS_SCHEMA},        {"anyOf", HOLDS_SCHEMAS},
        {"oneOf", HOLDS_SCHEMAS},       {"allOf", HOLDS_SCHEMAS},       {"additionalProperties", HOLDS_SCHEMA},
        {"$defs", HOLDS_SCHEMAS},       {"definitions", HOLDS_SCHEMAS}, {"prefixItems", HOLDS_SCHEMAS},
        {"description", HOLDS_NOTHING}, {"title", HOLDS_NOTHING},       {"default", HOLDS_NOTHING},
        {"examples", HOLDS_NOTHING},    {"$schema", HOLDS_NOTHING},     {"$id", HOLDS_NOTHING},
        {"$comment", HOLDS_NOTHING},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        if (slice_is(name, rows[i].name))
            return rows[i].holds;
    return HOLDS_DATA;
}

static bool has(yyjson_val *schema, const char *name) {
    return yyjson_obj_get(schema, name) != NULL;
}

static void put_schema(struct schema_out *o, yyjson_val *v, bool object);

static void put_schemas(struct schema_out *o, yyjson_val *v) {
    yyjson_val *key, *one;
    size_t i, n;
    if (yyjson_is_arr(v)) {
        json_arr(&o->w);
        yyjson_arr_foreach(v, i, n, one) put_schema(o, one, false);
        json_arr_end(&o->w);
        return;
    }
    json_obj(&o->w);
    yyjson_obj_foreach(v, i, n, key, one) {
        json_key_slice(&o->w, json_str(key));
        put_schema(o, one, false);
    }
    json_obj_end(&o->w);
}

static void put_ref(struct schema_out *o, yyjson_val *v) {
    struct slice ref = json_str(v);
    if (!slice_starts(ref, "#")) { // the engine says that it cannot
        json_put_val(&o->w, v);
        return;
    }
    struct buf moved = BUF_INIT(LIMIT_BODY_BYTES);
    buf_append_str(&moved, o->root);
    buf_append(&moved, slice_from(ref, 1));
    json_put_str(&o->w, buf_slice(&moved));
    o->w.out->failed |= moved.failed;
    buf_done(&moved);
}

static bool type_has(yyjson_val *schema, const char *name) {
    yyjson_val *type = yyjson_obj_get(schema, "type"), *one;
    size_t i, n;
    yyjson_arr_foreach(type, i, n, one) {
        if (yyjson_equals_str(one, name))
            return true;
    }
    return yyjson_equals_str(type, name);
}

static int64_t at_least(yyjson_val *schema, const char *name, int64_t otherwise) {
    int64_t least = json_get_int(schema, name, 0);
    return least > otherwise ? least : otherwise;
}

// An end to whatever the schema leaves open.
static void put_bounds(struct schema_out *o, yyjson_val *v) {
    struct json_writer *w = &o->w;
    bool chosen = has(v, "enum") || has(v, "const") || has(v, "$ref") || has(v, "anyOf") || has(v, "oneOf");
    if (type_has(v, "string") && !chosen && !has(v, "maxLength") && !has(v, "pattern") && !has(v, "format"))
        json_kv_int(w, "maxLength", at_least(v, "minLength", TIGHT_TEXT));
    if (type_has(v, "array") && !has(v, "maxItems"))
        json_kv_int(w, "maxItems", at_least(v, "minItems", TIGHT_ITEMS));
    if (type_has(v, "object") && !has(v, "properties") && !has(v, "allOf"))
        json_kv_raw(w, "properties", SLICE("{}"));
    if (!has(v, "type") && !chosen && !has(v, "properties") && !has(v, "allOf") && !has(v, "items")) {
        json_kv_cstr(w, "type", "string");
        json_kv_int(w, "maxLength", TIGHT_TEXT);
    }
}

// Beside properties the converter would forget those for the alternatives; they are left to the check of the whole call.
// A tight schema opens no object.
static bool left_out(const struct schema_out *o, yyjson_val *schema, struct slice key) {
    bool alternatives = slice_is(key, "anyOf") || slice_is(key, "oneOf") || slice_is(key, "allOf");
    return keyword_holds(key) == HOLDS_NOTHING || (alternatives && has(schema, "properties")) ||
           (o->tight && slice_is(key, "additionalProperties"));
}

static void put_keyword(struct schema_out *o, yyjson_val *key, yyjson_val *v) {
    enum holds holds = keyword_holds(json_str(key));
    json_key_slice(&o->w, json_str(key));
    if (yyjson_equals_str(key, "$ref") && yyjson_is_str(v))
        put_ref(o, v);
    else if (holds == HOLDS_SCHEMAS && yyjson_is_ctn(v))
        put_schemas(o, v);
    else if (holds == HOLDS_SCHEMA && yyjson_is_arr(v)) // "items" as a tuple
        put_schemas(o, v);
    else if (holds == HOLDS_SCHEMA && yyjson_is_obj(v))
        put_schema(o, v, false);
    else if (yyjson_equals_str(key, "items"))
        json_put_raw(&o->w, SLICE("{}")); // true or false
    else
        json_put_val(&o->w, v);
}

// allOf with one element alone is how some generators say $ref; the converter takes it for an object.
static yyjson_val *lone_of(yyjson_val *schema) {
    yyjson_val *all = yyjson_obj_get(schema, "allOf");
    bool own = has(schema, "properties") || has(schema, "$defs") || has(schema, "definitions");
    return yyjson_arr_size(all) == 1 && !own ? yyjson_arr_get_first(all) : schema;
}

// object: it must be one, also where the schema does not say so. Recursion is bounded by LIMIT_JSON_DEPTH.
static void put_schema(struct schema_out *o, yyjson_val *v, bool object) {
    yyjson_val *schema = lone_of(v), *key, *one;
    size_t i, n;
    if (schema != v) {
        put_schema(o, schema, object);
        return;
    }
    json_obj(&o->w);
    yyjson_obj_foreach(schema, i, n, key, one) {
        if (!left_out(o, schema, json_str(key)))
            put_keyword(o, key, one);
    }
    bool says = has(schema, "type") || has(schema, "$ref") || has(schema, "anyOf") || has(schema, "oneOf") ||
                has(schema, "allOf") || has(schema, "enum") || has(schema, "const") || has(schema, "properties");
    if (object && !says)
        json_kv_cstr(&o->w, "type", "object");
    else if (o->tight)
        put_bounds(o, schema);
    json_obj_end(&o->w);
}

// ---- what the answer is bound by

static void put_call_schema(struct json_writer *w, const struct emulation *em, size_t i) {
    struct buf *b = w->out;
    json_obj(w);
    json_kv_raw(w, "type", SLICE("\"object\""));
    json_key(w, "properties");
    json_obj(w);
    json_key(w, "name");
    json_obj(w);
    json_kv_str(w, "const", em->tools[i].name);
    json_obj_end(w);
    json_key(w, "arguments");
    buf_printf(b, "{\"$ref\":\"#/$defs/t%zu\"}", i);
    w->comma = true;
    json_obj_end(w);
    json_kv_raw(w, "required", SLICE("[\"name\",\"arguments\"]"));
    json_obj_end(w);
}

static void put_call_schemas(struct json_writer *w, const struct emulation *em) {
    for (size_t i = 0; i < em->n_tools; i++)
        if (!em->only || em->only == &em->tools[i])
            put_call_schema(w, em, i);
}

static void put_alternatives(struct json_writer *w, const struct emulation *em) {
    json_key(w, "anyOf");
    json_arr(w);
    if (em->parallel) {
        json_put_raw(w, SLICE("{\"type\":\"object\",\"required\":[\"calls\"],\"properties\":{\"calls\":"));
        buf_printf(w->out, "{\"type\":\"array\",\"minItems\":1,\"maxItems\":%d,\"items\":{\"anyOf\":[",
                   TOOLS_CALLS_MAX);
        w->comma = false;
        put_call_schemas(w, em);
        buf_append_str(w->out, "]}}}}");
        w->comma = true;
    } else {
        put_call_schemas(w, em);
    }
    if (!em->forced)
        json_put_raw(w, em->answer_schema.p ? SLICE("{\"type\":\"object\",\"required\":[\"answer\"],"
                                                    "\"properties\":{\"answer\":{\"$ref\":\"#/$defs/answer\"}}}")
                                            : SLICE("{\"type\":\"object\",\"required\":[\"text\"],"
                                                    "\"properties\":{\"text\":{\"type\":\"string\"}}}"));
    json_arr_end(w);
}

static enum err put_definitions(struct json_writer *w, struct arena *a, const struct emulation *em) {
    struct schema_out o = {.w = *w, .tight = em->again};
    struct json_doc doc;
    struct json_error why;
    char root[32];
    o.root = root;
    for (size_t i = 0; i < em->n_tools; i++) {
        (void)snprintf(root, sizeof root, "#/$defs/t%zu", i);
        json_key(&o.w, root + 8);
        if (em->tools[i].schema.doc)
            put_schema(&o, yyjson_doc_get_root(em->tools[i].schema.doc), true);
        else
            json_put_raw(&o.w, SLICE("{\"type\":\"object\",\"properties\":{}}"));
    }
    *w = o.w;
    if (em->forced || !em->answer_schema.p)
        return ERR_OK;
    enum err e = json_read(a, em->answer_schema, &doc, &why);
    if (e)
        return e;
    (void)snprintf(root, sizeof root, "#/$defs/answer");
    o.tight = false; // it is the answer's text, which may be cut like any other
    json_key(&o.w, "answer");
    put_schema(&o, yyjson_doc_get_root(doc.doc), false);
    *w = o.w;
    return ERR_OK;
}

static enum err write_schema(struct arena *a, struct emulation *em) {
    struct buf b = BUF_INIT(LIMIT_BODY_BYTES);
    struct json_writer w = JSON_WRITER(&b);
    json_obj(&w);
    put_alternatives(&w, em);
    json_key(&w, "$defs");
    json_obj(&w);
    enum err e = put_definitions(&w, a, em);
    json_obj_end(&w);
    json_obj_end(&w);
    enum err copied = buf_into_arena(&b, a, &em->sent.format_schema);
    em->sent.format = FORMAT_SCHEMA;
    em->sent.format_name = SLICE("tool_call");
    em->sent.format_strict = -1;
    return e ? e : copied;
}

// ---- turns of text

struct scribe {
    struct arena *a;
    const struct request *r;
    struct emulation *em;
    struct message **tail;
    // the turn at hand
    enum role role;
    struct slice name;
    struct buf text;
    struct part *others, **others_tail; // pictures, thinking
    bool open;
};

static enum err turn_close(struct scribe *s) {
    struct slice text;
    if (!s->open)
        return ERR_OK;
    s->open = false;
    bool some = s->text.len || !s->others;
    enum err e = buf_into_arena(&s->text, s->a, &text);
    struct message *m = e ? NULL : message_add(s->a, &s->tail, s->role);
    if (!m)
        return ERR_NO_MEMORY;
    struct part **parts = &m->parts, *p = some ? part_add(s->a, &parts, PART_TEXT) : NULL;
    if (some && !p)
        return ERR_NO_MEMORY;
    if (p)
        p->text = text.p ? text : SLICE("");
    *parts = s->others;
    m->name = s->name;
    return ERR_OK;
}

static enum err turn_open(struct scribe *s, enum role role, struct slice name) {
    if (s->open && s->role == role)
        return ERR_OK;
    enum err e = turn_close(s);
    buf_init(&s->text, 2 * (size_t)LIMIT_BODY_BYTES);
    s->role = role;
    s->name = name;
    s->others = NULL;
    s->others_tail = &s->others;
    s->open = true;
    return e;
}

// Each on a line of its own.
static void say(struct scribe *s, struct slice text) {
    if (s->text.len && text.n)
        buf_append_char(&s->text, '\n');
    buf_append(&s->text, text);
}

static enum err keep_part(struct scribe *s, const struct part *p) {
    struct part *copy = part_add(s->a, &s->others_tail, p->kind);
    if (!copy)
        return ERR_NO_MEMORY;
    *copy = *p;
    copy->next = NULL;
    return ERR_OK;
}

static void put_call(struct scribe *s, struct json_writer *w, const struct part *p) {
    struct slice arguments = arguments_object(s->a, p->text);
    json_obj(w);
    json_kv_str(w, "name", p->name);
    json_key(w, "arguments");
    if (arguments.p)
        json_put_raw(w, arguments);
    else
        json_put_str(w, p->text);
    json_obj_end(w);
}

static void say_calls(struct scribe *s, const struct message *m) {
    struct json_writer w = JSON_WRITER(&s->text);
    const struct part *p = m->parts;
    while (p && p->kind != PART_TOOL_CALL)
        p = p->next;
    if (!p)
        return;
    say(s, SLICE(""));
    if (s->text.len)
        buf_append_char(&s->text, '\n');
    if (s->em->parallel)
        buf_append_str(&s->text, "{\"calls\":[");
    for (; p; p = p->next) {
        if (p->kind != PART_TOOL_CALL)
            continue;
        put_call(s, &w, p);
        if (!s->em->parallel) {
            buf_append_char(&s->text, '\n');
            w.comma = false;
        }
    }
    if (s->em->parallel)
        buf_append_str(&s->text, "]}");
    else
        s->text.len -= s->text.len > 0; // the last line break
}

// What an assistant said in words, in the form that it is to answer in.
static void say_answer(struct scribe *s, struct slice text, bool calls) {
    if (!s->em->bound || calls || s->em->answer_schema.p || !text.n) {
        say(s, text);
        return;
    }
    say(s, SLICE("{\"text\":\""));
    json_escape(&s->text, text);
    buf_append_str(&s->text, "\"}");
}

// Whom a result answers: its own word, or the call with its id.
static struct slice result_name(const struct scribe *s, const struct part *result) {
    if (result->name.n)
        return result->name;
    for (const struct message *m = s->r->messages; m; m = m->next)
        for (const struct part *p = m->parts; p; p = p->next)
            if (p->kind == PART_TOOL_CALL && slice_eq(p->id, result->id))
                return p->name;
    return SLICE("the tool");
}

static enum err say_result(struct scribe *s, const struct part *result) {
    say(s, result->is_error ? SLICE("Error of ") : SLICE("Result of "));
    buf_append(&s->text, result_name(s, result));
    buf_append_str(&s->text, ": ");
    for (const struct part *p = result->content; p; p = p->next) {
        enum err e = ERR_OK;
        if (p->kind == PART_TEXT)
            buf_append(&s->text, p->text);
        else
            e = keep_part(s, p);
        if (e)
            return e;
    }
    return ERR_OK;
}

static enum err say_message(struct scribe *s, const struct message *m) {
    bool calls = false;
    for (const struct part *p = m->parts; p; p = p->next)
        calls |= p->kind == PART_TOOL_CALL;
    for (const struct part *p = m->parts; p; p = p->next) {
        enum err e = ERR_OK;
        if (p->kind == PART_TEXT && m->role == ROLE_ASSISTANT)
            say_answer(s, p->text, calls);
        else if (p->kind == PART_TEXT)
            say(s, p->text);
        else if (p->kind == PART_TOOL_RESULT)
            e = say_result(s, p);
        else if (p->kind != PART_TOOL_CALL)
            e = keep_part(s, p);
        if (e)
            return e;
    }
    say_calls(s, m);
    return ERR_OK;
}

static void say_tool(struct scribe *s, const struct tool *t, const struct emulated_tool *known) {
    struct json_writer w = JSON_WRITER(&s->text);
    buf_append_char(&s->text, '\n');
    json_obj(&w);
    json_kv_str(&w, "name", t->name);
    if (t->description.n)
        json_kv_str(&w, "description", t->description);
    json_key(&w, "parameters");
    if (known->schema.doc)
        json_put_val(&w, yyjson_doc_get_root(known->schema.doc));
    else
        json_put_raw(&w, SLICE("{}"));
    json_obj_end(&w);
}

static void say_tools(struct scribe *s) {
    const struct emulated_tool *known = s->em->tools;
    if (s->text.len)
        buf_append_char(&s->text, '\n');
    say(s, SLICE("You can call tools. These are the tools, one a line:"));
    for (const struct tool *t = s->r->tools; t; t = t->next)
        if (!t->opaque)
            say_tool(s, t, known++);
    say(s, SLICE("Answer with one JSON object. To call a tool: "));
    buf_append_str(&s->text, s->em->parallel ? "{\"calls\": [{\"name\": \"…\", \"arguments\": {…}}, …]}"
                                             : "{\"name\": \"…\", \"arguments\": {…}}");
    if (!s->em->answer_schema.p) {
        buf_append_str(&s->text, ". To answer in words: {\"text\": \"…\"}");
        return;
    }
    buf_append_str(&s->text, ". To give the answer: {\"answer\": …}, which fits the schema ");
    buf_append(&s->text, s->em->answer_schema);
}

static enum err write_turns(struct scribe *s) {
    const struct message *m = s->r->messages;
    enum err e = ERR_OK;
    if (s->em->bound) {
        e = turn_open(s, ROLE_SYSTEM, SLICE_NONE);
        for (; m && m->role == ROLE_SYSTEM && !e; m = m->next)
            e = say_message(s, m);
        say_tools(s);
    }
    for (; m && !e; m = m->next) {
        e = turn_open(s, m->role == ROLE_TOOL ? ROLE_USER : m->role, m->name);
        if (!e)
            e = say_message(s, m);
    }
    enum err closed = turn_close(s);
    return e ? e : closed;
}

// ---- the upstream refused the schema

// "… at #/$defs/t12/properties/a: …" → the tool's number; SIZE_MAX.
static size_t tool_at(struct slice message) {
    static const char mark[] = "#/$defs/t";
    size_t at = slice_search(message, SLICE("#/$defs/t")), n = 0, digits = 0;
    if (at == SIZE_MAX)
        return SIZE_MAX;
    for (struct slice s = slice_from(message, at + sizeof mark - 1); digits < s.n && digits < 6; digits++) {
        if (s.p[digits] < '0' || s.p[digits] > '9')
            break;
        n = n * 10 + (size_t)(s.p[digits] - '0');
    }
    return digits ? n : SIZE_MAX;
}

void tools_blame(const struct emulation *em, struct arena *a, struct problem *p) {
    bool schema = slice_search(p->message, SLICE("JSON schema")) != SIZE_MAX ||
                  slice_search(p->message, SLICE("grammar")) != SIZE_MAX;
    if (!em->bound || !schema)
        return;
    size_t at = tool_at(p->message);
    struct buf text = BUF_INIT(8192);
    buf_append_str(&text, "the engine cannot bind an answer to the parameters of tool");
    for (size_t i = 0; i < em->n_tools; i++)
        if (i == at || (at >= em->n_tools && (!em->only || em->only == &em->tools[i])))
            buf_printf(&text, " '%.*s'", SLICE_FMT(slice_first(em->tools[i].name, LIMIT_MODEL_NAME_BYTES)));
    buf_printf(&text, ": %.*s", SLICE_FMT(slice_first(p->message, 1024)));
    p->param = SLICE("tools");
    if (!text.failed)
        p->message = arena_copy(a, buf_slice(&text));
    buf_done(&text);
}

// ---- the request as a whole

static enum err tools_known(struct arena *a, const struct request *r, struct emulation *em) {
    struct json_error why;
    size_t n = 0;
    for (const struct tool *t = r->tools; t; t = t->next)
        n += !t->opaque;
    em->tools = arena_array(a, n + 1, sizeof *em->tools);
    if (!em->tools)
        return ERR_NO_MEMORY;
    for (const struct tool *t = r->tools; t; t = t->next) {
        if (t->opaque)
            continue;
        struct emulated_tool *known = &em->tools[em->n_tools++];
        known->name = t->name;
        enum err e = t->schema.n ? json_read(a, t->schema, &known->schema, &why) : ERR_OK;
        if (e)
            return e;
    }
    return ERR_OK;
}

static enum err choose(const struct request *r, struct emulation *em, struct arena *a, struct problem *problem) {
    em->bound = em->n_tools > 0 && r->tool_choice != TOOL_CHOICE_NONE;
    em->forced = r->tool_choice == TOOL_CHOICE_REQUIRED || r->tool_choice == TOOL_CHOICE_NAMED;
    em->parallel = r->parallel_tools > 0;
    if (r->format == FORMAT_SCHEMA)
        em->answer_schema = r->format_schema;
    else if (r->format == FORMAT_JSON)
        em->answer_schema = SLICE("{\"type\":\"object\"}");
    for (size_t i = 0; i < em->n_tools && r->tool_choice == TOOL_CHOICE_NAMED && !em->only; i++)
        if (slice_eq(em->tools[i].name, r->tool_choice_name))
            em->only = &em->tools[i];
    if (r->tool_choice != TOOL_CHOICE_NAMED || em->only)
        return ERR_OK;
    *problem = PROBLEM(ERR_BAD_FIELD);
    problem->param = SLICE("tool_choice");
    problem->message = slice_str(arena_printf(a, "tool_choice: there is no tool '%.*s'",
                                              SLICE_FMT(slice_first(r->tool_choice_name, LIMIT_MODEL_NAME_BYTES))));
    return ERR_BAD_FIELD;
}

// What would cut or count the words between us and the model instead of the answer.
static void leave_out(struct arena *a, const struct request *r, struct emulation *em) {
    struct request *sent = &em->sent;
    if (r->n_stops)
        note(a, em, "dropped", "stop", "the answer comes wrapped while tools are emulated");
    if (r->logprobs > 0 || r->top_logprobs > 0)
        note(a, em, "dropped", "logprobs", "the answer comes wrapped while tools are emulated");
    if (r->n > 1)
        note(a, em, "dropped", "n", "one answer at a time while tools are emulated");
    sent->n_stops = 0;
    sent->logprobs = -1;
    sent->top_logprobs = -1;
    sent->n = 1;
}

static void note_tools(struct arena *a, const struct request *r, struct emulation *em) {
    for (const struct tool *t = r->tools; t; t = t->next) {
        if (!t->opaque)
            continue;
        note(a, em, "dropped", "tools", "a tool that a provider runs");
        break;
    }
    if (!em->bound) {
        note(a, em, "approximated", "messages", "the model has no tools: past calls and results are written as text");
        return;
    }
    note(a, em, "approximated", "tools",
         "the model has none: they are written into the prompt and the answer is bound by a schema");
    if (r->parallel_tools < 0)
        note(a, em, "approximated", "parallel_tool_calls", "one call a turn, as the request does not ask for more");
}

enum err tools_rewrite(struct arena *a, const struct request *r, bool again, struct emulation **ret,
                       struct problem *problem) {
    struct emulation *em = ARENA_NEW(a, struct emulation);
    if (!em)
        return ERR_NO_MEMORY;
    em->sent = *r;
    em->sent.messages = NULL;
    em->again = again;
    notes_init(&em->notes);
    enum err e = tools_known(a, r, em);
    if (!e)
        e = choose(r, em, a, problem);
    if (e)
        return e;
    struct request *sent = &em->sent;
    sent->doc = (struct json_doc){0};
    sent->tools = NULL;
    sent->tool_choice = TOOL_CHOICE_UNSET;
    sent->tool_choice_name = SLICE_NONE;
    sent->parallel_tools = -1;
    note_tools(a, r, em);
    struct scribe s = {.a = a, .r = r, .em = em, .tail = &sent->messages};
    e = write_turns(&s);
    buf_done(&s.text);
    if (e || !em->bound) {
        *ret = em;
        return e;
    }
    leave_out(a, r, em);
    if (em->forced && r->max_tokens < 0) {
        sent->max_tokens = LIMIT_CALL_TOKENS;
        note(a, em, "added", "max_tokens", "a call that was asked for has an end");
    }
    *ret = em;
    return write_schema(a, em);
}
