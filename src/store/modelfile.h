// SPDX-License-Identifier: Apache-2.0
#ifndef STORE_MODELFILE_H
#define STORE_MODELFILE_H
// A Modelfile as Ollama's users write it: https://github.com/ollama/ollama/blob/main/docs/modelfile.mdx
#include "base/json.h"

#define MODELFILE_BYTES (4u << 20) // licences and conversations stand in it, weights do not
#define MODELFILE_FROMS 4          // weights and a projector
#define MODELFILE_ADAPTERS 8

struct modelfile {
    const char *from[MODELFILE_FROMS];
    size_t n_from;
    const char *adapters[MODELFILE_ADAPTERS];
    size_t n_adapters;
    const char *draft, *template, *system, *license; // NULL: not given
    struct slice parameters;                         // a JSON object; empty: none
    struct slice messages;                           // a JSON array of {role, content}; empty: none
};

// All in the arena. ERR_BAD_FIELD with *problem ("line 3: …"), ERR_NO_MEMORY.
MUST_CHECK enum err modelfile_read(struct arena *a, struct slice text, struct modelfile *ret, struct buf *problem);

// One parameter's value as it stands in a Modelfile, into a JSON member of an open object. False with *problem.
bool parameter_put(struct json_writer *w, struct slice name, struct slice value, struct buf *problem);
// Are these parameters (a JSON object, as a request brings them) ones that we know, of their types? False with *problem.
bool parameters_check(yyjson_val *object, struct buf *problem);

// Is this text a Go template, as Ollama's library has them? llama-server reads Jinja.
bool template_is_go(struct slice text);

#endif
