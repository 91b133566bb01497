# SPDX-License-Identifier: Apache-2.0
"""The official SDKs against the daemon whose provider says again what was recorded of the real ones (../shared/vectors):
each SDK's own reader must take every answer that is translated for it, and hear in it what plain bytes of its dialect hear. An
answer of its own dialect goes through as it is: there it hears what it hears of the provider itself, were it an error."""
import json
from types import SimpleNamespace

import anthropic
import ollama
import openai
import pytest
from conftest import DIRECT, KEY
from google import genai
from google.genai import types
from harness import READERS, chat
from recorded import FOLDERS, VECTORS, recorded_answers, recorded_streams

pytestmark = [pytest.mark.skipif(not VECTORS.is_dir(), reason="no recorded payloads"),
              pytest.mark.skipif(DIRECT, reason="what was recorded is of one dialect each")]


def sdks_at(at, node):
    """One of each."""
    options = {"api_key": KEY, "max_retries": 0, "timeout": 30}
    return SimpleNamespace(
        openai=openai.OpenAI(base_url=at.url + "/v1", **options), anthropic=anthropic.Anthropic(base_url=at.url, **options),
        genai=genai.Client(api_key=KEY, http_options=types.HttpOptions(base_url=at.url, timeout=30000)),
        ollama=ollama.Client(host=at.url, headers={"Authorization": f"Bearer {KEY}"}, timeout=30),
        node=lambda sdk, call, what: node.call(at, sdk, call, what))


@pytest.fixture(scope="module")
def through(gate, node):
    return sdks_at(gate, node)


@pytest.fixture(scope="module")
def straight(provider, node):
    return sdks_at(provider, node)


# ---- what each SDK hears: (text, names of the tools that were called, in their order)


def heard_openai(sdks, what, stream):
    if not stream:
        m = sdks.openai.chat.completions.create(**what).choices[0].message
        return m.content or "", [c.function.name for c in m.tool_calls or []]
    deltas = [c.choices[0].delta for c in sdks.openai.chat.completions.create(**what, stream=True) if c.choices]
    return ("".join(d.content or "" for d in deltas),
            [c.function.name for d in deltas for c in d.tool_calls or [] if c.function.name])


def heard_responses(sdks, what, stream):
    if stream:
        with sdks.openai.responses.stream(**what) as s:
            events = list(s)
        assert [e.sequence_number for e in events] == list(range(len(events)))
        r = events[-1].response
    else:
        r = sdks.openai.responses.create(**what)
    return r.output_text, [i.name for i in r.output if i.type == "function_call"]


def heard_anthropic(sdks, what, stream):
    if stream:
        with sdks.anthropic.messages.stream(**what) as s:
            r = s.get_final_message()
    else:
        r = sdks.anthropic.messages.create(**what)
    return ("".join(b.text for b in r.content if b.type == "text"), [b.name for b in r.content if b.type == "tool_use"])


def parts_heard(parts):
    return ("".join(p.text for p in parts if p.text and not p.thought), [p.function_call.name for p in parts if p.function_call])


def heard_gemini(sdks, what, stream):
    what["config"] = types.GenerateContentConfig(automatic_function_calling=types.AutomaticFunctionCallingConfig(disable=True))
    models = sdks.genai.models
    chunks = list(models.generate_content_stream(**what)) if stream else [models.generate_content(**what)]
    return parts_heard([p for c in chunks if c.candidates and c.candidates[0].content
                        for p in c.candidates[0].content.parts or []])


def heard_ollama(sdks, what, stream):
    r = sdks.ollama.chat(**what, stream=stream)
    messages = [c.message for c in (r if stream else [r])]
    return ("".join(m.content or "" for m in messages), [c.function.name for m in messages for c in m.tool_calls or []])


def heard_node_openai(sdks, what, stream):
    if not stream:
        m = sdks.node("openai", "create", what)["choices"][0]["message"]
        return m["content"] or "", [c["function"]["name"] for c in m.get("tool_calls") or []]
    deltas = [c["choices"][0]["delta"] for c in sdks.node("openai", "stream", what) if c["choices"]]
    return ("".join(d.get("content") or "" for d in deltas),
            [c["function"]["name"] for d in deltas for c in d.get("tool_calls") or [] if c.get("function", {}).get("name")])


def heard_node_responses(sdks, what, stream):
    r = sdks.node("openai", "respondHelper" if stream else "respond", what)
    return (r["output_text"], [i["name"] for i in r["output"] if i["type"] == "function_call"])


def heard_node_anthropic(sdks, what, stream):
    r = sdks.node("anthropic", "helper" if stream else "create", what)
    return ("".join(b["text"] for b in r["content"] if b["type"] == "text"),
            [b["name"] for b in r["content"] if b["type"] == "tool_use"])


def heard_node_gemini(sdks, what, stream):
    chunks = sdks.node("google", "stream", what) if stream else [sdks.node("google", "create", what)]
    parts = [p for c in chunks for x in (c.get("candidates") or [])[:1] for p in x.get("content", {}).get("parts") or []]
    return ("".join(p.get("text", "") for p in parts if not p.get("thought")),
            [p["functionCall"].get("name") for p in parts if "functionCall" in p])


SDKS = {"openai": heard_openai, "responses": heard_responses, "anthropic": heard_anthropic, "gemini": heard_gemini,
        "ollama": heard_ollama, "node-openai": heard_node_openai, "node-responses": heard_node_responses,
        "node-anthropic": heard_node_anthropic, "node-gemini": heard_node_gemini}
HI = [{"role": "user", "content": "Hi"}]


def asked(dialect, model):
    return {"model": model} | {"gemini": {"contents": "Hi"}, "responses": {"input": "Hi"},
                               "anthropic": {"max_tokens": 4096, "messages": HI}}.get(dialect, {"messages": HI})


def outcome(heard, *how):
    try:
        return heard(*how)
    except Exception as e:  # whatever the SDK makes of it
        return type(e), str(e)[:60]


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
@pytest.mark.parametrize("upstream", FOLDERS)
@pytest.mark.parametrize("sdk", SDKS)
def test_recorded_answers_are_heard_by_every_sdk(gate, provider, through, straight, sdk, upstream, stream):
    dialect = sdk.removeprefix("node-")
    files = list((recorded_streams if stream else recorded_answers)(upstream))
    assert files
    for path, body in files:
        provider.script(2 * [{"body": body, "content_type": "text/event-stream" if stream else "application/json"}])
        if dialect == upstream:
            heard = outcome(SDKS[sdk], through, asked(dialect, f"{upstream}/m"), stream)
            assert heard == outcome(SDKS[sdk], straight, asked(dialect, "m"), stream), path.name
            continue
        text, tools = SDKS[sdk](through, asked(dialect, f"{upstream}/m"), stream)
        where, what = chat(dialect, f"{upstream}/m", "Hi", stream)
        a = READERS[dialect](gate.post(where, json.dumps(what), {"Authorization": f"Bearer {KEY}"}).body, stream)
        assert (text, tools) == (a.text, [t["name"] if isinstance(t, dict) else t[0] for t in a.tools]), path.name
