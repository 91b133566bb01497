// SPDX-License-Identifier: Apache-2.0
#ifndef STORE_FOREIGN_WATCH_H
#define STORE_FOREIGN_WATCH_H
// Tells when what other programs hold on this disk may have changed.
#include "net/loop.h"

struct foreign_watch;
// changed: called on the loop's thread, some moments after the last change. most: folders that are watched at most
// (LIMIT_WATCHED_FOLDERS); look_ms: how often those beyond are looked at (LIMIT_LOOK_MS). Blocks for a
// first look; what comes after it is told, so models are read after this. ERR_NO_MEMORY.
MUST_CHECK enum err foreign_watch_new(struct loop *l, unsigned most, uint64_t look_ms, void (*changed)(void *ctx),
                                      void *ctx, struct foreign_watch **ret);
// No call of changed any more; freed when the loop has turned. NULL is allowed.
void foreign_watch_close(struct foreign_watch *w);

#endif
