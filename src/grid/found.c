// SPDX-License-Identifier: Apache-2.0
// Lists of models as upstreams give them: OpenAI and Anthropic {data: [{id, …}]}, Ollama and Gemini {models: [{name, …}]};
// and what some say beside the name: context, capabilities, price, zone. The text is a stranger's: names are bounded and must be printable, what does not fit is left out. No I/O, all memory is the
// caller's arena.
#include "base/json.h"
#include "base/limits.h"
#include "grid/catalogue.h"
#include "grid/discovery.h"

#define FOUND_MAX 4096

static bool name_is_fine(struct slice name) {
    if (name.n == 0 || name.n > LIMIT_MODEL_NAME_BYTES)
        return false;
    for (size_t i = 0; i < name.n; i++)
        if ((unsigned char)name.p[i] <= 0x20 || (unsigned char)name.p[i] == 0x7f)
            return false;
    return true;
}

static int64_t context_in(yyjson_val *v) {
    static const char *const names[] = {"context_length", "context_window", "max_model_len", "max_context_length"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        int64_t n = json_get_int(v, names[i], 0);
        if (n > 0)
            return n;
    }
    return json_get_int(yyjson_obj_get(v, "meta"), "n_ctx", 0); // llama-server
}

// Hugging Face's router lists those who serve it, each with a context of its own: the least holds with any of them.
static int64_t context_of(yyjson_val *v) {
    int64_t least = context_in(v);
    yyjson_val *p;
    size_t i, n;
    yyjson_arr_foreach(yyjson_obj_get(v, "providers"), i, n, p) {
        int64_t c = context_in(p);
        if (c > 0 && (least == 0 || c < least))
            least = c;
    }
    return least;
}

static bool list_has(yyjson_val *list, const char *word) {
    yyjson_val *v;
    size_t i, n;
    yyjson_arr_foreach(list, i, n, v) {
        if (slice_is(json_str(v), word))
            return true;
    }
    return false;
}

static int flag(yyjson_val *v) {
    return yyjson_is_bool(v) ? yyjson_get_bool(v) : -1;
}

// Mistral: capabilities; Fireworks: supports_*; OpenRouter and another gridtie: architecture and parameters.
static void caps_read(yyjson_val *v, struct found_model *m) {
    yyjson_val *caps = yyjson_obj_get(v, "capabilities"), *params = yyjson_obj_get(v, "supported_parameters");
    yyjson_val *inputs = yyjson_obj_get(yyjson_obj_get(v, "architecture"), "input_modalities");
    m->vision = flag(yyjson_obj_get(caps, "vision"));
    m->tools = flag(yyjson_obj_get(caps, "function_calling"));
    m->thinking = flag(yyjson_obj_get(caps, "reasoning"));
    if (m->vision < 0)
        m->vision = flag(yyjson_obj_get(v, "supports_image_input"));
    if (m->tools < 0)
        m->tools = flag(yyjson_obj_get(v, "supports_tools"));
    if (m->vision < 0 && yyjson_is_arr(inputs))
        m->vision = list_has(inputs, "image");
    if (m->tools < 0 && yyjson_is_arr(params))
        m->tools = list_has(params, "tools");
    if (m->thinking < 0 && yyjson_is_arr(params))
        m->thinking = list_has(params, "reasoning");
}

static int64_t usd_per_token(yyjson_val *pricing, const char *name) {
    int64_t v;
    return catalogue_picousd(json_get_str(pricing, name), 0, &v) ? v : -1;
}

// OpenRouter (and another gridtie): USD per token as text, "-1" where it depends. What also costs by the request is more
// than a price per token can say.
static struct price price_of(yyjson_val *v) {
    yyjson_val *pricing = yyjson_obj_get(v, "pricing");
    struct price p = PRICE_UNKNOWN;
    if (usd_per_token(pricing, "request") > 0)
        return p;
    p.input = usd_per_token(pricing, "prompt");
    p.output = usd_per_token(pricing, "completion");
    p.cache_read = usd_per_token(pricing, "input_cache_read");
    p.cache_write = usd_per_token(pricing, "input_cache_write");
    return price_known(&p) ? p : PRICE_UNKNOWN;
}

static void data_entry(yyjson_val *v, struct found_model *m) {
    m->name = json_get_str(v, "id");
    m->owner = json_get_str(v, "owned_by");
    m->context = context_of(v);
    m->price = price_of(v);
    m->has_zone = zone_parse(json_get_str(v, "zone"), &m->zone);
    caps_read(v, m);
}

static void ollama_entry(yyjson_val *v, struct found_model *m) {
    yyjson_val *details = yyjson_obj_get(v, "details");
    m->name = json_get_str(v, "name");
    m->cloud = slice_ends(m->name, ":cloud") || slice_ends(m->name, "-cloud") || json_get_str(v, "remote_host").n > 0;
    m->size_bytes = json_get_int(v, "size", 0);
    m->digest = json_get_str(v, "digest");
    m->family = json_get_str(details, "family");
    m->quantization = json_get_str(details, "quantization_level");
    m->parameter_size = json_get_str(details, "parameter_size");
}

static void gemini_entry(yyjson_val *v, struct found_model *m) {
    yyjson_val *methods = yyjson_obj_get(v, "supportedGenerationMethods"), *method;
    size_t i, n;
    bool generates = !methods;
    yyjson_arr_foreach(methods, i, n, method) {
        generates |= yyjson_equals_str(method, "generateContent") || yyjson_equals_str(method, "embedContent");
    }
    struct slice name = json_get_str(v, "name");
    if (generates) // the others make pictures or films by another address
        m->name = slice_starts(name, "models/") ? slice_from(name, 7) : name;
    m->context = json_get_int(v, "inputTokenLimit", 0);
}

enum err found_read(enum dialect_id dialect, struct slice body, struct arena *a, struct found_model **ret,
                    size_t *ret_n) {
    struct json_doc doc;
    struct json_error why;
    struct slice own = arena_copy(a, body); // names point into the tree, which lives in the arena
    enum err e = own.p ? json_read(a, own, &doc, &why) : ERR_NO_MEMORY;
    if (e != ERR_OK)
        return e == ERR_NO_MEMORY ? e : ERR_UP_PROTOCOL;
    bool ollama = dialect == DIALECT_OLLAMA, gemini = dialect == DIALECT_GEMINI;
    yyjson_val *root = yyjson_doc_get_root(doc.doc);
    yyjson_val *list = yyjson_obj_get(root, ollama || gemini ? "models" : "data");
    if (!ollama && yyjson_is_arr(root))
        list = root; // Together
    if (!yyjson_is_arr(list) && !(ollama && yyjson_is_obj(root) && yyjson_is_null(list)))
        return ERR_UP_PROTOCOL;
    struct found_model *v = arena_array(a, yyjson_arr_size(list) + 1, sizeof *v);
    if (!v)
        return ERR_NO_MEMORY;
    size_t n = 0, i, max;
    yyjson_val *item;
    yyjson_arr_foreach(list, i, max, item) {
        if (n == FOUND_MAX)
            break;
        v[n] = (struct found_model){.price = PRICE_UNKNOWN, .vision = -1, .tools = -1, .thinking = -1};
        if (ollama)
            ollama_entry(item, &v[n]);
        else if (gemini)
            gemini_entry(item, &v[n]);
        else
            data_entry(item, &v[n]);
        if (name_is_fine(v[n].name))
            n++;
    }
    *ret = v;
    *ret_n = n;
    return ERR_OK;
}
