// SPDX-License-Identifier: Apache-2.0
import Anthropic from "@anthropic-ai/sdk";

const open = ({ url, key }) => new Anthropic({ baseURL: url, apiKey: key, maxRetries: 0, timeout: 60000 });

export const create = (at, what) => open(at).messages.create(what);
export const helper = (at, what) => open(at).messages.stream(what).finalMessage();
export const count = (at, what) => open(at).messages.countTokens(what);
export const together = (at, whats) => Promise.all(whats.map((what) => helper(at, what)));

export async function events(at, what) {
    const found = [];
    for await (const event of await open(at).messages.create({ ...what, stream: true }))
        found.push(event);
    return found;
}

export async function models(at) {
    const found = [];
    for await (const model of open(at).models.list())
        found.push(model);
    return found;
}
