// SPDX-License-Identifier: Apache-2.0
#ifndef CONFIG_SCHEMA_H
#define CONFIG_SCHEMA_H
// The table behind config.h: every key a config file may hold, with its type, default, bounds and one line of text.
#include <stddef.h>
#include "config/config.h"

enum field_type {
    FIELD_STRING,      // const char *
    FIELD_PATH,        // const char *; ~/ is home, a relative one is looked for beside the config
    FIELD_BOOL,        // bool
    FIELD_INT,         // int64_t
    FIELD_BYTES,       // int64_t; 8GiB, 512MB, 100
    FIELD_DURATION,    // int64_t ms; 250ms, 30s, 5m, 1h, 30d
    FIELD_SECONDS,     // int64_t s, written as a duration
    FIELD_STRINGS,     // const char ** and size_t; a list, or one value
    FIELD_ENUM,        // int-sized enum; names in `sub`
    FIELD_MONEY,       // int64_t pico-USD; "50 USD"
    FIELD_PRICE,       // int64_t pico-USD per token; "2.50 USD/M"
    FIELD_SECRET,      // struct secret, the value itself
    FIELD_SECRET_FILE, // struct secret, read from a file
    FIELD_TRISTATE,    // int: -1 unset, 0, 1
    FIELD_OBJECT,      // the sub-table's fields stand in the same struct, at `offset`
    FIELD_LIST,        // T * and size_t of sub-table objects
    FIELD_MAP,         // the same, written as a map; the key becomes the sub-table's first field, a string
    FIELD_HEADERS,     // struct config_header * and size_t, written as a map
    FIELD_REACH,       // enum condition[ZONE_COUNT], a row of the privacy matrix
};

struct schema;
struct field {
    const char *key;
    enum field_type type;
    size_t offset;       // of the value
    size_t count_offset; // of its size_t, for lists
    size_t has_offset;   // of a bool that tells whether it was given; 0: none
    const char *initial; // default as one would write it; NULL: none
    const char *shown;   // the default in words, where `initial` can't say it
    int64_t min, max;    // of a number; max 0: unbounded. FIELD_STRINGS: min 1 refuses an empty list and empty items
    bool required;
    bool from_key;            // set from the key of a map, can't be written
    const char *const *names; // FIELD_ENUM, NULL-terminated
    const struct schema *sub;
    const char *text; // one line for people
};

struct schema {
    const char *name;
    size_t size;                // of the struct
    const struct field *fields; // ends with key NULL
    const char *scalar;         // key that a plain scalar in place of the object stands for; NULL: none
};

extern const struct schema schema_root;
// The sample of the reference page.
extern const char config_sample[];
// v as it would be written in a config, for messages and the reference.
const char *field_number_text(const struct field *f, int64_t v, char text[32]);

#endif
