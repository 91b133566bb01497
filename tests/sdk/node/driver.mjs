// SPDX-License-Identifier: Apache-2.0
// What tests/sdk/test_node_sdks.py asks for: reads lines of JSON {sdk, call, url, key, what}, calls that function of
// that file with ({url, key}, what), and answers each with a line {ok: …} or {error: {class, status, message}}. Only plain
// JSON goes back, so that what the SDK added to its objects does not.
import { createInterface } from "node:readline";

const sdks = {};

function told(e) {
    const cause = e.lastError ?? e; // of ai, when it gave up trying again
    return { class: cause.constructor.name, name: cause.name, status: cause.status ?? cause.statusCode ?? cause.status_code ?? null,
        message: String(cause.message ?? cause), body: cause.error ?? null };
}

async function answer({ sdk, call, url, key, what }) {
    try {
        sdks[sdk] ??= await import(`./${sdk}.mjs`);
        return { ok: (await sdks[sdk][call]({ url, key }, what)) ?? null };
    } catch (e) {
        return { error: told(e) };
    }
}

for await (const line of createInterface({ input: process.stdin }))
    process.stdout.write(JSON.stringify(await answer(JSON.parse(line))) + "\n");
