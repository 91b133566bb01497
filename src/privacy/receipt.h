// SPDX-License-Identifier: Apache-2.0
#ifndef PRIVACY_RECEIPT_H
#define PRIVACY_RECEIPT_H
// Receipts: one line for each attempt that leaves the device, written before its first byte does, chained by hashes. No
// content. <state>/receipts/NNNNNNNN.jsonl:
//   {"seq":7,"prev":"<hash of 6>","wall_us":…,"exchange":…,"attempt":0,"endpoint":…,"target":…,"zone":"cloud","key":…,
//    "rule":"personal: pseudonymised","bytes":…,"sha256":"<of the bytes>","spans":{"email":2},"hash":"<of all before>"}
// hash is SHA-256 over the line's bytes in front of ,"hash". The first line of all has prev 000….
#include "base/buf.h"
#include "base/err.h"
#include "base/zone.h"
#include "privacy/pattern.h"

#define RECEIPT_HASH_HEX 64

struct receipts; // the writer; any thread

// state_dir is copied. Takes up the chain where the files end; what a power cut tore off is cut and said so in the chain.
// ERR_DISK with *problem, ERR_NO_MEMORY. Blocks.
MUST_CHECK enum err receipts_open(const char *state_dir, int64_t keep_s, struct receipts **ret, struct buf *problem);
void receipts_close(struct receipts *r); // NULL is allowed

struct receipt {
    struct slice exchange, endpoint, target, key;
    unsigned attempt;
    int64_t wall_us;
    enum zone zone;
    enum label label;
    enum condition condition; // of the label's row
    bool checked;             // detection looked at it; false: none was loaded yet
    size_t bytes;             // of the body
    const uint8_t *sha256;    // of the body as it leaves, 32 bytes
    const uint32_t *counts;   // ENTITY_COUNT: places that were replaced, by entity
};
// One write(2). ERR_DISK: then the attempt must not be sent.
MUST_CHECK enum err receipts_put(struct receipts *r, const struct receipt *one);
// What was written survives a power cut, and the chain's head is noted beside it. Blocks; nothing to do returns at once.
void receipts_sync(struct receipts *r);

// --- reading; the files alone, any process, blocks. JSON is appended.
struct receipts_filter {
    int64_t since_us;
    int zone;      // -1: all
    int64_t limit; // the newest
};
// {"receipts":[…newest last…]}
MUST_CHECK enum err receipts_list(const char *state_dir, const struct receipts_filter *f, struct buf *json);
// {"seq":…,"hash":…,"time":…}; seq 0: there is none yet.
MUST_CHECK enum err receipts_head(const char *state_dir, struct buf *json);
// Looks at every line. anchor: "SEQ:HASH" as receipts_head gave it once, or empty. {"ok":…,"receipts":…,"first":…,
// "last":…,"hash":…,"problems":["…"]}; *ret_ok likewise.
MUST_CHECK enum err receipts_verify(const char *state_dir, struct slice anchor, struct buf *json, bool *ret_ok);

#endif
