// SPDX-License-Identifier: Apache-2.0
// The `ai` package over each of its providers that speaks a dialect of ours.
import { createAnthropic } from "@ai-sdk/anthropic";
import { createGoogleGenerativeAI } from "@ai-sdk/google";
import { createOpenAI } from "@ai-sdk/openai";
import { Output, generateText, isStepCount, jsonSchema, streamText, tool } from "ai";

const providers = {
    openai: ({ url, key }, model) => createOpenAI({ baseURL: url + "/v1", apiKey: key }).chat(model),
    responses: ({ url, key }, model) => createOpenAI({ baseURL: url + "/v1", apiKey: key }).responses(model),
    anthropic: ({ url, key }, model) => createAnthropic({ baseURL: url + "/v1", apiKey: key })(model),
    gemini: ({ url, key }, model) => createGoogleGenerativeAI({ baseURL: url + "/v1beta", apiKey: key })(model),
};

function options(at, { provider, model, schema, toolSchema, ...what }) {
    const asked = [];
    const all = { maxRetries: 0, ...what, model: providers[provider](at, model) };
    if (schema)
        all.output = Output.object({ schema: jsonSchema(schema) });
    if (toolSchema) {
        const weather = tool({ description: "d", inputSchema: jsonSchema(toolSchema),
            execute: async (input) => (asked.push(input), "12 degrees") });
        Object.assign(all, { tools: { weather }, stopWhen: isStepCount(3) });
    }
    return { all, asked };
}

const told = async (r, asked) => ({ text: await r.text, reasoning: await r.reasoningText ?? "", usage: await r.usage,
    finish: await r.finishReason, asked });

export async function generate(at, what) {
    const { all, asked } = options(at, what);
    const r = await generateText(all);
    return { ...(await told(r, asked)), output: what.schema ? r.output : null };
}

export async function stream(at, what) {
    const { all, asked } = options(at, what);
    let failure = null, pieces = "";
    const r = streamText({ ...all, onError: ({ error }) => { failure = error; } });
    for await (const piece of r.textStream)
        pieces += piece;
    if (failure)
        throw failure;
    return { ...(await told(r, asked)), pieces };
}
