// SPDX-License-Identifier: Apache-2.0
import OpenAI from "openai";

const open = ({ url, key }) => new OpenAI({ baseURL: url + "/v1", apiKey: key, maxRetries: 0, timeout: 60000 });

async function all(stream) {
    const found = [];
    for await (const event of stream)
        found.push(event);
    return found;
}

export const create = (at, what) => open(at).chat.completions.create(what);
export const stream = async (at, what) => all(await open(at).chat.completions.create({ ...what, stream: true }));
export const helper = (at, what) => open(at).chat.completions.stream(what).finalChatCompletion();
export const respond = (at, what) => open(at).responses.create(what);
export const events = async (at, what) => all(await open(at).responses.create({ ...what, stream: true }));
export const respondHelper = (at, what) => open(at).responses.stream(what).finalResponse();
export const count = (at, what) => open(at).responses.inputTokens.count(what);
export const models = async (at) => all(await open(at).models.list());
export const together = (at, whats) => Promise.all(whats.map((what) => helper(at, what)));
