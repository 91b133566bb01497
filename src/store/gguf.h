// SPDX-License-Identifier: Apache-2.0
#ifndef STORE_GGUF_H
#define STORE_GGUF_H
// What the header of a GGUF file says about a model.
// Format: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md (versions 2 and 3, little endian).
#include <stdint.h>
#include "base/err.h"
#include "base/json.h"

struct gguf {
    char architecture[32]; // "llama"; empty if not given
    char size_label[16];   // "135M"
    int64_t parameters;    // elements of all tensors
    int64_t file_bytes;    // where the last tensor's data end: a file with less is cut
    int64_t context_length, block_count, embedding_length, head_count, head_count_kv; // 0: not given
    int file_type;  // general.file_type, -1: not given
    bool adapter;   // no model by itself: changes one's weights (LoRA)
    bool embedding; // has a pooling type: a model for embeddings
    bool rerank;    // whose pooling type is a rank: it orders documents
    bool chat_template, template_tools, template_thinking;
};

// Blocks on the disk. ERR_UP_PROTOCOL: not GGUF, or broken; ERR_TOO_LARGE: a header beyond GGUF_HEADER_BYTES;
// ERR_DISK: can't be read. *ret is untouched on failure.
#define GGUF_HEADER_BYTES (UINT64_C(256) << 20) // the largest vocabularies with merges make about 15 MB
MUST_CHECK enum err gguf_read_file(const char *path, struct gguf *ret);
// The same from memory, for tests.
MUST_CHECK enum err gguf_read(struct slice bytes, struct gguf *ret);
// All of its metadata as members of an open object, keys as they stand there; arrays are null unless `verbose`. The chat
// template is not among them but appended to *template. tensors: an array of {name, type, shape} is put here; NULL: it is
// not wanted. Errors as gguf_read_file, with the object in pieces.
MUST_CHECK enum err gguf_metadata(const char *path, bool verbose, struct json_writer *w, struct buf *template,
                                  struct json_writer *tensors);
// Of a tensor's type: "Q4_0", "" when unknown; bytes of n elements, 0 when unknown.
const char *gguf_type_name(uint32_t type);
uint64_t gguf_type_bytes(uint32_t type, uint64_t n);
// "Q4_1"; "" when unknown.
const char *gguf_quantization(int file_type);
// Bytes of keys and values (16 bit) for so many tokens of context; 0 when the header does not say enough.
int64_t gguf_kv_bytes(const struct gguf *g, int64_t context_tokens);

#endif
