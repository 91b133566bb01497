// SPDX-License-Identifier: Apache-2.0
import { Ollama } from "ollama";

const open = ({ url, key }) => new Ollama({ host: url, headers: { Authorization: `Bearer ${key}` } });

async function all(stream) {
    const found = [];
    for await (const part of stream)
        found.push(part);
    return found;
}

export const chat = (at, what) => open(at).chat(what);
export const stream = async (at, what) => all(await open(at).chat({ ...what, stream: true }));
export const generate = (at, what) => open(at).generate(what);
export const generateStream = async (at, what) => all(await open(at).generate({ ...what, stream: true }));
export const list = (at) => open(at).list();
export const show = (at, what) => open(at).show(what);
export const together = (at, whats) => Promise.all(whats.map((what) => stream(at, what)));
