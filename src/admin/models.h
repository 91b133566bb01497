// SPDX-License-Identifier: Apache-2.0
#ifndef ADMIN_MODELS_H
#define ADMIN_MODELS_H
// What changes the store, over HTTP: Ollama's pull, create, copy, delete, blobs, and what shows a model.
#include "admin/daemon.h"
#include "net/server.h"

// Before the loops run. ERR_NO_MEMORY.
MUST_CHECK enum err models_open(struct daemon *d, const char *data_dir);
// Main thread, with each config: watches what other programs hold, or no longer.
void models_watch(struct daemon *d);
// After the loops are done, before the grid closes: cancels jobs and waits for their threads.
void models_close(struct daemon *d);

// Loop's thread. False: none of these addresses.
bool models_serve(struct shift *s, struct conn *c, const struct http_request *r);

// --- watch.c: answers with what a job does, as Ollama's clients read it: NDJSON, or when it is over one object.
// Takes the watcher's place at j. quiet: only whether it went well, with an empty body.
enum watch_as { WATCH_STREAM, WATCH_ONCE, WATCH_QUIET };
void watch_start(struct shift *s, struct conn *c, struct slice path, struct job *j, enum watch_as as);

// --- blobs.c: HEAD and POST /api/blobs/sha256:HEX. A blob comes in pieces, however large it is (server_hooks).
void blob_ask(struct shift *s, struct conn *c, const struct http_request *r);
bool blob_is_upload(const struct http_request *r);
void blob_begin(struct shift *s, struct conn *c, const struct http_request *r);
void blob_piece(struct shift *s, struct conn *c, void *user, struct slice bytes);
void blob_put(struct shift *s, struct conn *c, const struct http_request *r); // all of it has come

// --- store_api.c: what the store takes, and the pulls that were cut
bool store_is_asked(const struct http_request *r);
void store_show(struct shift *s, struct conn *c, const struct http_request *r);

// --- show.c: answers what a local model is, from its GGUF, off the loop
void show_start(struct shift *s, struct conn *c, const struct target *t, bool verbose);

#endif
