// SPDX-License-Identifier: Apache-2.0
#ifndef GRID_CATALOGUE_H
#define GRID_CATALOGUE_H
// What is known of models that others run: prices, limits, capabilities. Two public tables, compiled to one file that is
// mapped: litellm's (one row a model) and genai-prices' (rows that match names by clauses).
#include "grid/grid.h"

enum { // what a model can do, bits
    CAN_CHAT = 1 << 0,
    CAN_TOOLS = 1 << 1,
    CAN_SEE = 1 << 2,
    CAN_HEAR = 1 << 3,
    CAN_READ_PDF = 1 << 4,
    CAN_THINK = 1 << 5,
    CAN_SCHEMA = 1 << 6,
    CAN_CACHE = 1 << 7,
    CAN_EMBED = 1 << 8,
    CAN_DRAW = 1 << 9,
    CAN_SPEAK = 1 << 10,
    CAN_RERANK = 1 << 11, // and nothing else; the tables do not tell
};

struct model_facts {
    struct price price;
    int64_t context, max_output; // tokens, 0 unknown
    unsigned can;                // 0: nothing is said
    unsigned retires;            // 20261022; 0: not said
    const char *source;          // whose price it is: "litellm", "genai-prices"; NULL: there is none
    bool differs;                // the two tables have different prices
    struct price other;          // then: that of genai-prices
    struct slice matched;        // the name in the table
};

// Shared by reference count; immutable.
struct catalogue;
struct catalogue *catalogue_ref(struct catalogue *c); // NULL is allowed
void catalogue_unref(struct catalogue *c);            // any thread; NULL is allowed

// Maps a compiled file. ERR_NOT_FOUND: there is none; ERR_UP_PROTOCOL: it is broken, or of another version of gridtie.
MUST_CHECK enum err catalogue_open(const char *path, struct catalogue **ret);
// The same from memory, which is copied (tests).
MUST_CHECK enum err catalogue_of(struct slice file, struct catalogue **ret);
// False: the model is in neither table. Borrowed from c. Any thread.
bool catalogue_find(const struct catalogue *c, const struct provider *p, struct slice model, struct model_facts *ret);

// --- catalogue_compile.c
// Texts of the two tables (either may be empty) → the file's bytes. wall_s: which dated prices hold. ERR_UP_PROTOCOL with
// *problem: a text is no such table. ERR_NO_MEMORY. Any thread; some tens of milliseconds.
MUST_CHECK enum err catalogue_compile(struct slice litellm, struct slice genai, struct slice versions, int64_t wall_s,
                                      struct buf *out, struct buf *problem);
// From the folder's litellm.json, genai-prices.json and versions.json into the file `to`. ERR_NOT_FOUND: there are none.
// Blocks on the disk.
MUST_CHECK enum err catalogue_compile_files(const char *folder, const char *to, int64_t wall_s, struct buf *problem);
// USD as decimal text, times 10^shift, in pico-USD: "2.5", 0 → 2500000000000. False: no number, negative, or beyond sense.
bool catalogue_picousd(struct slice text, int shift, int64_t *ret);

// --- catalogue_show.c: JSON. c NULL: there is none
// {"versions", "made", "models", "providers": [{name, models, priced}], …}
void catalogue_summary_json(const struct catalogue *c, struct json_writer *w);
// Rows whose name holds `text`, at most `most`, as a list.
void catalogue_search_json(const struct catalogue *c, struct slice text, size_t most, struct json_writer *w);
// Where the two tables differ about models of our providers, as a list.
void catalogue_diff_json(const struct catalogue *c, struct json_writer *w);
void price_json(const struct price *p, struct json_writer *w); // {"input": pico-USD per token, …} or null
void facts_json(const struct model_facts *f, struct json_writer *w);

#endif
