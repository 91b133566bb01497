// SPDX-License-Identifier: Apache-2.0
import { GoogleGenAI } from "@google/genai";

const open = ({ url, key }, version) =>
    new GoogleGenAI({ apiKey: key, httpOptions: { baseUrl: url, apiVersion: version ?? "v1beta", timeout: 60000 } });
// `text` and `functionCalls` are getters, which JSON would leave out.
const plain = (r) => ({ ...r, text: r.text ?? "", functionCalls: r.functionCalls ?? [] });

export const create = async (at, { version, ...what }) => plain(await open(at, version).models.generateContent(what));
export const count = (at, what) => open(at).models.countTokens(what);
export const together = (at, whats) => Promise.all(whats.map((what) => stream(at, what)));

export async function stream(at, { version, ...what }) {
    const found = [];
    for await (const chunk of await open(at, version).models.generateContentStream(what))
        found.push(plain(chunk));
    return found;
}

export async function chat(at, { model, said }) {
    const chat = open(at).chats.create({ model });
    const found = [];
    for (const message of said)
        found.push((await chat.sendMessage({ message })).text);
    return found;
}
