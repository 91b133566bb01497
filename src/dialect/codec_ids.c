// SPDX-License-Identifier: Apache-2.0
// Ids for tool calls, in dialects where they are not needed (Ollama, Gemini). A call without one gets its number within the
// request, and a result the id of the call that it names, or of the first that waits. Pure, arena memory.
#include "dialect/codec.h"

struct open_call {
    struct open_call *next;
    const struct part *call;
};

void call_ids_turn(struct call_ids *ids) {
    ids->open = NULL;
    ids->tail = &ids->open;
}

static struct slice next_id(struct field_reader *rd, struct call_ids *ids) {
    return slice_str(arena_printf(rd->a, "call_%u", ids->made++));
}

enum err call_ids_add(struct field_reader *rd, struct call_ids *ids, struct part *call) {
    struct open_call *o = ARENA_NEW(rd->a, struct open_call);
    if (!call->id.n)
        call->id = next_id(rd, ids);
    if (!o || !call->id.p)
        return field_no_memory(rd);
    if (!ids->tail)
        call_ids_turn(ids);
    o->call = call;
    *ids->tail = o;
    ids->tail = &o->next;
    return ERR_OK;
}

static struct open_call **open_find(struct call_ids *ids, struct slice id, struct slice name) {
    for (struct open_call **at = &ids->open; *at; at = &(*at)->next)
        if (id.n ? slice_eq((*at)->call->id, id) : slice_eq((*at)->call->name, name))
            return at;
    return &ids->open;
}

enum err call_ids_take(struct field_reader *rd, struct call_ids *ids, struct part *result) {
    struct slice id = result->id;
    struct open_call **at = open_find(ids, id, result->name), *found = *at;
    bool meant = found && (!id.n || slice_eq(found->call->id, id));
    if (meant) {
        *at = found->next;
        if (!found->next)
            ids->tail = at;
    }
    if (!id.n)
        result->id = found ? found->call->id : next_id(rd, ids);
    return result->id.p ? ERR_OK : field_no_memory(rd);
}
