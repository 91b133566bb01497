// SPDX-License-Identifier: Apache-2.0
// Names and the one question that everybody asks about an event: does it commit the exchange to its target? Events are
// made by the readers of the dialects, pass the filters, and end in the client's writer; all their slices are borrowed
// for the length of a call. Nothing is allocated here.
#include "ir/event.h"

// A block that is whole in its begin event is content as much as a delta is; a text block that begins is not yet.
static bool begin_commits(const struct event *ev) {
    switch (ev->block_kind) {
    case BLOCK_TEXT:
    case BLOCK_REFUSAL:
        return ev->text.n > 0;
    case BLOCK_THINK:
        return ev->redacted || ev->text.n > 0;
    case BLOCK_TOOL:
    case BLOCK_MEDIA:
    case BLOCK_SERVER_TOOL:
    case BLOCK_OPAQUE:
        return true;
    }
    return true;
}

bool event_commits(const struct event *ev) {
    if (ev->kind == EV_DELTA)
        return ev->text.n > 0;
    return ev->kind == EV_BLOCK_BEGIN && begin_commits(ev);
}

const char *event_kind_name(enum event_kind k) {
    static const char *const names[] = {
        [EV_START] = "start",         [EV_BLOCK_BEGIN] = "block_begin",
        [EV_DELTA] = "delta",         [EV_META] = "meta",
        [EV_BLOCK_END] = "block_end", [EV_FINISH] = "finish",
        [EV_USAGE] = "usage",         [EV_PING] = "ping",
        [EV_ERROR] = "error",         [EV_END] = "end",
    };
    return (size_t)k < sizeof names / sizeof names[0] ? names[k] : "unknown";
}

const char *finish_name(enum finish f) {
    static const char *const names[] = {
        [FINISH_NONE] = "none",   [FINISH_STOP] = "stop",       [FINISH_LENGTH] = "length",
        [FINISH_TOOL] = "tool",   [FINISH_FILTER] = "filter",   [FINISH_STOP_SEQUENCE] = "stop_sequence",
        [FINISH_PAUSE] = "pause", [FINISH_REFUSAL] = "refusal", [FINISH_LOAD] = "load",
    };
    return (size_t)f < sizeof names / sizeof names[0] ? names[f] : "unknown";
}
