// SPDX-License-Identifier: Apache-2.0
#ifndef IR_SCHEMA_H
#define IR_SCHEMA_H
// Does a JSON value fit a JSON Schema? The part of draft 2020-12 that tools and structured outputs use: type, enum, const,
// properties, required, additionalProperties, min/maxProperties, items, prefixItems, min/maxItems, uniqueItems,
// min/maxLength, minimum, maximum and their exclusive forms, multipleOf, anyOf, oneOf, allOf, not, $ref into the same
// document, and OpenAPI's nullable. What is not known (pattern, format, if, a $ref to elsewhere) allows everything.
#include "base/json.h"

// Where and why a value does not fit: "items[2].city: expected a string". Names are the schema's, never the value's.
struct schema_fault {
    char text[200];
};

// schema is the document that "$ref" looks into; both values borrowed. ERR_OK: it fits. ERR_UP_SCHEMA: it does not, *ret
// tells. ERR_LIMIT: more than LIMIT_SCHEMA_STEPS or LIMIT_SCHEMA_DEPTH, undecided. Allocates nothing.
MUST_CHECK enum err schema_check(yyjson_val *schema, yyjson_val *value, struct schema_fault *ret);
// The value that a "$ref" points to ("#", "#/$defs/a~1b"); NULL if it points to nothing in this document.
yyjson_val *schema_resolve(yyjson_val *document, struct slice ref);

#endif
