# SPDX-License-Identifier: Apache-2.0
"""What the daemon itself writes for each client, held against the types of the official SDKs: every answer and every event
has all fields that its type requires, of their types, and none that the type does not know. The SDKs are lenient when
they read; here they are not."""
import functools
import json

import pydantic
import pytest
from anthropic.types import Message, MessageTokensCount, RawMessageStreamEvent
from conftest import DIRECT, KEY
from google.genai.types import CountTokensResponse, GenerateContentResponse
from harness import DIALECTS, chat, order, sse
from ollama import ChatResponse, GenerateResponse
from openai.types.chat import ChatCompletion, ChatCompletionChunk
from openai.types.responses import Response, ResponseStreamEvent
from openai.types.responses.input_token_count_response import InputTokenCountResponse

pytestmark = pytest.mark.skipif(DIRECT, reason="what the daemon writes")
AUTH = {"Authorization": f"Bearer {KEY}"}
WHOLE = {"openai": ChatCompletion, "anthropic": Message, "ollama": ChatResponse, "responses": Response, "gemini": GenerateContentResponse}
EVENT = {"openai": ChatCompletionChunk, "anthropic": RawMessageStreamEvent, "ollama": ChatResponse, "responses": ResponseStreamEvent,
         "gemini": GenerateContentResponse}
# What the types lack: how servers of open models tell thinking, what OpenAI itself sends and describes, what Ollama itself
# sends for a call.
MORE = {"reasoning_content", "store"}
MORE_OF = {"response.function_call_arguments.done": [".name"]}
MORE_KEPT_BACK = {".message.tool_calls[].id", ".message.tool_calls[].function.index"}
ORDERS = [{"text": "Hi"}, {"text": ""}, {"text": "cut", "finish": "length"}, {"text": "no", "finish": "filter"},
          {"thinking": "First, I ponder.", "text": "Done.", "usage": {"input": 9, "output": 8, "cached": 4}},
          {"text": "Let me see.", "tool_calls": [{"name": "weather", "arguments": {"city": "Köln"}}, {"name": "weather"}]}]


def unknown(value, path=""):
    """The paths of what no type of the SDK knows."""
    if isinstance(value, pydantic.BaseModel):
        found = [f"{path}.{name}" for name in value.model_extra or {} if name not in MORE]
        return found + [p for name in value.model_fields_set - set(value.model_extra or {})
                        for p in unknown(getattr(value, name), f"{path}.{name}")]
    if isinstance(value, list):
        return [p for i, item in enumerate(value) for p in unknown(item, f"{path}[{i}]")]
    return []


def names(value, path=""):
    """The paths of all members; those of schemas and arguments are the client's own."""
    if isinstance(value, list):
        return {p for item in value for p in names(item, f"{path}[]")}
    if not isinstance(value, dict) or path.rsplit(".", 1)[-1] in ("args", "arguments", "input", "metadata", "parameters"):
        return set()
    return {f"{path}.{k}" for k in value} | {p for k, v in value.items() for p in names(v, f"{path}.{k}")}


@functools.cache
def adapter(kind):
    return pydantic.TypeAdapter(kind)


def assert_typed(kind, text):
    value = json.loads(text)
    made = adapter(kind).validate_json(text, strict=True)
    found = [path for path in unknown(made) if path not in MORE_OF.get(value.get("type"), ())]
    assert not found, f"the SDK does not know {found} of {text}"
    kept = json.loads(adapter(kind).dump_json(made, by_alias=True, exclude_unset=True))
    assert names(value) - names(kept) <= (MORE_KEPT_BACK if kind is ChatResponse else set()), f"the SDK drops them, of {text}"


def said(client, reply, stream):
    if client == "ollama":
        return reply.text.splitlines()
    if not stream:
        return [reply.text]
    return [data for _, data in sse(reply.body) if data != "[DONE]" and not (client == "anthropic" and '"ping"' in data)]


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
@pytest.mark.parametrize("client", DIALECTS)
def test_answers_and_events_have_their_types(gate, provider, client, stream):
    provider.reset()
    for upstream in DIALECTS:
        if upstream == client:
            continue  # those bytes are the upstream's
        for what in ORDERS:
            path, body = chat(client, f"{upstream}/m", order(**what), stream, tools=True, think=True)
            reply = gate.post(path, body, AUTH)
            assert reply.status == 200, reply.text
            texts = said(client, reply, stream)
            assert texts
            for text in texts:
                assert_typed((EVENT if stream else WHOLE)[client], text)


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
def test_ollamas_generate_has_its_types(gate, provider, stream):
    provider.reset()
    for upstream in DIALECTS:
        if upstream != "ollama":
            reply = gate.post("/api/generate", {"model": f"{upstream}/m", "prompt": order(text="made up"), "stream": stream}, AUTH)
            for text in reply.text.splitlines():
                assert_typed(GenerateResponse, text)


def test_counts_have_their_types(gate, provider):
    provider.reset()
    counts = {"anthropic": ("/v1/messages/count_tokens", MessageTokensCount), "gemini": ("/v1beta/models/{}:countTokens", CountTokensResponse),
              "responses": ("/v1/responses/input_tokens", InputTokenCountResponse)}
    for upstream in DIALECTS:
        for client, (path, kind) in counts.items():
            _, body = chat(client, f"{upstream}/m", "count")
            body.pop("max_tokens", None)
            if client != upstream:
                assert_typed(kind, gate.post(path.format(f"{upstream}/m"), body, AUTH).text)
