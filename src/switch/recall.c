// SPDX-License-Identifier: Apache-2.0
// Recall: all that adds content to a request stands here, so that it is there before the label is set: what providers
// signed of past turns, where the client could not keep it (turns.h). Stored state, personal context and remote media
// would follow; none of these exists yet. Decide leaves out targets that would fetch a remote image by themselves.
#include "switch/turns.h"
#include "switch/worker.h"

enum step_result step_recall(struct exchange *x) {
    return turns_recall(x->w->turns, x) ? exchange_refuse(x, ERR_NO_MEMORY, NULL) : STEP_NEXT;
}
