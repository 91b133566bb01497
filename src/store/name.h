// SPDX-License-Identifier: Apache-2.0
#ifndef STORE_NAME_H
#define STORE_NAME_H
// Names of models in the store: PART[/PART…][:TAG], as Ollama's users know them. A part begins with a letter or digit and
// goes on with those, dot, dash and underscore; so neither "..", nor an empty part, nor a control character is in one.
#include "base/buf.h"
#include "base/slice.h"

#define NAME_BYTES 200 // with what file names put around it, below the 255 bytes of one

// Checks a name and writes it with its tag (":latest" where none is given) and a NUL. False with *problem filled.
bool name_parse(struct slice given, char ret[NAME_BYTES], struct buf *problem);
// A name made of a file's or a repository's: what a name may not hold becomes a dash. False: nothing is left of it.
bool name_make(struct slice from, struct slice tag, char ret[NAME_BYTES]);
// "qwen3@8b", "hf.co+org+repo@Q4_0": '/' and ':' of a checked name as what names never hold.
void name_file(const char *name, struct buf *out);
// Is this the name, also where one of both leaves ":latest" out?
bool model_name_same(struct slice name, struct slice asked);

// Of a GGUF in parts, "x-00002-of-00003.gguf": which part, of how many, and how long "x" is. False: it is no such name.
struct split_name {
    unsigned part, of;
    size_t stem_bytes;
};
bool split_name_parse(struct slice file, struct split_name *ret);

#endif
