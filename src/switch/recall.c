// SPDX-License-Identifier: Apache-2.0
// Recall: all that adds content to a request stands here, so that it is there before the label is set: stored state,
// runs, personal context, remote media. None of these exists yet, so the request passes as it came; decide leaves out
// targets that would fetch a remote image by themselves.
#include "switch/exchange.h"

enum step_result step_recall(struct exchange *x) {
    (void)x;
    return STEP_NEXT;
}
