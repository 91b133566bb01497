// SPDX-License-Identifier: Apache-2.0
#ifndef LEDGER_LINE_H
#define LEDGER_LINE_H
// The lines of a journal: JSON objects that start with their kind. A settlement's line is also the record that the store
// keeps, so `why` shows exactly what the loop wrote. Fields that are -1 or empty are left out; unknown ones are ignored.
//   {"k":"i","id":…,"attempt":…,"wall_us":…,"target":…,"endpoint":…,"model":…,"zone":…,"key":…,"run":…,"cap":…,"at":…,"reserved":…}
//   {"k":"t", … as "i"}: the same attempt holds more
//   {"k":"s","id":…, … ,"attempts":[{…}],"drops":[[action,path,reason]…]}
#include "ledger/ledger.h"

#define LINE_INTENT_PREFIX "{\"k\":\"i\",\"id\":\""
#define LINE_RAISED_PREFIX "{\"k\":\"t\",\"id\":\""
#define LINE_SETTLED_PREFIX "{\"k\":\"s\",\"id\":\""

// Without the newline. False: it does not fit in out->max, or memory is out.
MUST_CHECK bool line_write_intent(struct buf *out, const struct attempt_intent *i);
// Texts are shortened until the line fits; money and ids never are. outcome: NULL, or "open" or "unknown" for an exchange
// whose settlement was never written.
MUST_CHECK bool line_write_settlement(struct buf *out, const struct settlement *s, const char *outcome);

#endif
