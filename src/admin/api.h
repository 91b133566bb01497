// SPDX-License-Identifier: Apache-2.0
#ifndef ADMIN_API_H
#define ADMIN_API_H
#include "admin/daemon.h"
#include "base/json.h"
#include "net/server.h"

// The daemon's own addresses and the lists that clients ask for: /gridtie/v1/*, /metrics, /healthz, /, /v1/models,
// /api/tags … False: none of them; nothing was answered.
bool api_serve(struct shift *s, struct conn *c, const struct http_request *r);

// A page of the snapshot's targets: written by the pool where they are many.
typedef void api_page_fn(const struct daemon *d, const struct snapshot *snap, struct buf *out);
void api_page(struct shift *s, struct conn *c, const char *content_type, api_page_fn *write);

// --- metrics.c: Prometheus text format 0.0.4
api_page_fn metrics_write;

// --- lists.c: model lists in the dialects' shapes
bool lists_serve(struct shift *s, struct conn *c, const struct http_request *r);
// Is there a list at this path, for GET?
bool lists_has(struct slice path);

// --- money.c: spending, runs, keys
bool money_serve(struct shift *s, struct conn *c, const struct http_request *r);

// --- catalogue.c: what is known of models
bool catalogue_serve(struct shift *s, struct conn *c, const struct http_request *r);
// Members of an open object: context, price and where that is from.
void target_facts_json(const struct target *t, struct json_writer *w);

// --- lists.c: ["text", "image", …], what it takes
void target_inputs_json(const struct target *t, struct json_writer *w);

// --- lists.c: members of an open object, in Ollama's shape
void ollama_details_json(struct json_writer *w, const struct target *t);
void ollama_capabilities_json(struct json_writer *w, const struct target *t);
void rfc3339_json(struct json_writer *w, const char *key, int64_t wall_s);

// A member of a query string, decoded into `to`; empty when it is not there.
struct slice api_query(struct slice query, const char *name, char *to, size_t room);
void api_respond_json(struct conn *c, int status, struct buf *body); // given
void api_respond_error(struct conn *c, struct slice path, enum err e, const char *message);

#endif
