// SPDX-License-Identifier: Apache-2.0
#ifndef BASE_LOG_H
#define BASE_LOG_H
#include "base/slice.h"

// One line of key=value text (or JSON) per event on stderr or a file. Fields are given one by one and never hold
// bodies or secrets: there is no formatter for struct secret, and no field that takes a client's content.
enum log_level { LOG_DEBUG, LOG_INFO, LOG_WARN, LOG_ERROR };

struct log_field {
    const char *key;
    enum { LOG_STR, LOG_INT } kind;
    struct slice str;
    int64_t num;
};
#define LOG_S(k, v) ((struct log_field){(k), LOG_STR, slice_str(v), 0})
#define LOG_SL(k, v) ((struct log_field){(k), LOG_STR, (v), 0})
#define LOG_I(k, v) ((struct log_field){(k), LOG_INT, SLICE_NONE, (int64_t)(v)})

void log_set_level(enum log_level level);
void log_set_json(bool json);
// Any thread; one write(2) a line. Values are cut at 512 bytes and control characters escaped.
void log_write(enum log_level level, const char *event, const struct log_field *fields, size_t n);
#define LOG(level, event, ...)                                                                        \
    do {                                                                                              \
        const struct log_field log_fields_[] = {{0}, ##__VA_ARGS__};                                  \
        log_write((level), (event), log_fields_ + 1, sizeof log_fields_ / sizeof log_fields_[0] - 1); \
    } while (0)

#endif
