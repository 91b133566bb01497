// SPDX-License-Identifier: Apache-2.0
// The catalogue for people, as JSON: what it holds, single models, and where its two sources differ. Any thread; reads
// only. Money is pico-USD per token, as everywhere inside.
#include "base/clock.h"
#include "base/json.h"
#include "grid/catalogue_inner.h"

void price_json(const struct price *p, struct json_writer *w) {
    if (!price_known(p)) {
        json_put_null(w);
        return;
    }
    json_obj(w);
    json_kv_int(w, "input", p->input);
    json_kv_int(w, "output", p->output);
    if (p->cache_read >= 0)
        json_kv_int(w, "cache_read", p->cache_read);
    if (p->cache_write >= 0)
        json_kv_int(w, "cache_write", p->cache_write);
    if (p->tier_tokens > 0) {
        json_kv_int(w, "tier_tokens", p->tier_tokens);
        json_kv_int(w, "tier_input", p->tier_input);
        json_kv_int(w, "tier_output", p->tier_output);
    }
    json_obj_end(w);
}

static void can_json(unsigned can, struct json_writer *w) {
    static const char *const names[] = {"chat",   "tools", "images_in", "audio_in",  "pdf_in",   "thinking",
                                        "schema", "cache", "embedding", "image_out", "audio_out"};
    json_arr(w);
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        if (can & 1u << i)
            json_put_cstr(w, names[i]);
    json_arr_end(w);
}

static void date_json(unsigned yyyymmdd, const char *name, struct json_writer *w) {
    struct buf text = BUF_INIT(32);
    buf_printf(&text, "%04u-%02u-%02u", yyyymmdd / 10000, yyyymmdd / 100 % 100, yyyymmdd % 100);
    json_kv_str(w, name, buf_slice(&text));
    buf_done(&text);
}

void facts_json(const struct model_facts *f, struct json_writer *w) {
    json_obj(w);
    json_kv_str(w, "matched", f->matched);
    json_kv_cstr(w, "source", f->source);
    json_key(w, "price_picousd_per_token");
    price_json(&f->price, w);
    json_kv_int(w, "context", f->context);
    json_kv_int(w, "max_output", f->max_output);
    json_key(w, "can");
    can_json(f->can, w);
    if (f->retires)
        date_json(f->retires, "retires", w);
    if (f->differs) {
        json_key(w, "genai_prices_picousd_per_token");
        price_json(&f->other, w);
    }
    json_obj_end(w);
}

// The first of our rows that has this name in litellm's table: more than one may (openai, openai-responses).
static const struct provider *row_of(const char *litellm) {
    for (size_t i = 0; i < n_providers; i++)
        if (providers[i].litellm && !providers[i].second && strcmp(providers[i].litellm, litellm) == 0)
            return &providers[i];
    return NULL;
}

static bool row_facts(const struct catalogue *c, const struct cat_row *r, const struct provider *p,
                      struct model_facts *ret) {
    return p && catalogue_find(c, p, slice_str(c->text + r->model), ret);
}

static void counts_json(const struct catalogue *c, struct json_writer *w) {
    json_key(w, "providers");
    json_arr(w);
    for (size_t i = 0; i < n_providers; i++) {
        const struct provider *p = &providers[i];
        int64_t rows = 0, rules = 0;
        if (p->second || (!p->litellm && !p->genai))
            continue;
        for (uint32_t k = 0; p->litellm && k < c->head->n_rows; k++)
            rows += strcmp(c->text + c->rows[k].provider, p->litellm) == 0;
        for (uint32_t k = 0; p->genai && k < c->head->n_rules; k++)
            rules += strcmp(c->text + c->rules[k].provider, p->genai) == 0;
        json_obj(w);
        json_kv_cstr(w, "name", p->name);
        json_kv_int(w, "litellm", rows);
        json_kv_int(w, "genai_prices", rules);
        json_obj_end(w);
    }
    json_arr_end(w);
}

void catalogue_summary_json(const struct catalogue *c, struct json_writer *w) {
    json_obj(w);
    json_kv_bool(w, "present", c != NULL);
    if (c) {
        struct buf made = BUF_INIT(64);
        clock_append_rfc3339(&made, c->head->made_s * 1000000);
        json_kv_str(w, "made", buf_slice(&made));
        json_key(w, "versions");
        json_obj(w);
        json_kv_cstr(w, "litellm", c->text + c->head->litellm_version);
        json_kv_cstr(w, "genai-prices", c->text + c->head->genai_version);
        json_obj_end(w);
        json_kv_int(w, "models", c->head->n_rows);
        json_kv_int(w, "rules", c->head->n_rules);
        counts_json(c, w);
        buf_done(&made);
    }
    json_obj_end(w);
}

static void named_facts(const char *provider, const char *model, const struct model_facts *f, struct json_writer *w) {
    json_obj(w);
    json_kv_cstr(w, "provider", provider);
    json_kv_cstr(w, "model", model);
    json_key(w, "facts");
    facts_json(f, w);
    json_obj_end(w);
}

void catalogue_search_json(const struct catalogue *c, struct slice text, size_t most, struct json_writer *w) {
    json_arr(w);
    for (uint32_t i = 0; c && i < c->head->n_rows && most > 0; i++) {
        const struct provider *p = row_of(c->text + c->rows[i].provider);
        const char *model = c->text + c->rows[i].model;
        struct model_facts f;
        if (slice_search(slice_str(model), text) == SIZE_MAX || !row_facts(c, &c->rows[i], p, &f))
            continue;
        named_facts(p->name, model, &f, w);
        most--;
    }
    // What only the rules know, by their ids.
    for (uint32_t i = 0; c && i < c->head->n_rules && most > 0; i++) {
        const char *id = c->text + c->rules[i].id;
        const struct provider *p = NULL;
        for (size_t k = 0; k < n_providers && !p; k++)
            if (providers[k].genai && !providers[k].second &&
                strcmp(providers[k].genai, c->text + c->rules[i].provider) == 0)
                p = &providers[k];
        struct model_facts f;
        bool known = p && slice_search(slice_str(id), text) != SIZE_MAX && catalogue_find(c, p, slice_str(id), &f);
        if (!known || (f.source && strcmp(f.source, "litellm") == 0))
            continue;
        named_facts(p->name, id, &f, w);
        most--;
    }
    json_arr_end(w);
}

void catalogue_diff_json(const struct catalogue *c, struct json_writer *w) {
    json_arr(w);
    for (uint32_t i = 0; c && i < c->head->n_rows; i++) {
        const struct provider *p = row_of(c->text + c->rows[i].provider);
        struct model_facts f;
        if (row_facts(c, &c->rows[i], p, &f) && f.differs)
            named_facts(p->name, c->text + c->rows[i].model, &f, w);
    }
    json_arr_end(w);
}
