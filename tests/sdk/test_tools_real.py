# SPDX-License-Identifier: Apache-2.0
"""Tools on the real engine with SmolLM2, which has none of its own, through the official SDKs. What a model of that size
says is chance; that a forced call is a call which fits, and that a choice gives one or the other, is not."""
import json

import anthropic
import ollama
import openai
import pytest
from openai.types.chat.chat_completion import Choice

pytestmark = pytest.mark.real
MODEL = "smollm2:135m"
PARAMETERS = {"type": "object", "properties": {"city": {"type": "string", "maxLength": 40},
                                               "unit": {"$ref": "#/$defs/unit"},
                                               "days": {"type": "integer", "minimum": 1, "maximum": 7}},
              "required": ["city", "unit"], "additionalProperties": False, "$defs": {"unit": {"enum": ["C", "F"]}}}
# Bounded, so that a forced call always ends before BOUND.
NOTE = {"type": "object", "properties": {"title": {"type": "string", "maxLength": 40},
                                         "tags": {"type": "array", "items": {"type": "string", "maxLength": 20}, "maxItems": 3}},
        "required": ["title", "tags"], "additionalProperties": False}
SCHEMAS = {"weather": PARAMETERS, "note": NOTE}
WORDS = {"weather": "The weather of a city.", "note": "Writes a note down."}
OPENAI = [{"type": "function", "function": {"name": n, "description": WORDS[n], "parameters": SCHEMAS[n]}} for n in SCHEMAS]
ANTHROPIC = [{"name": n, "description": WORDS[n], "input_schema": SCHEMAS[n]} for n in SCHEMAS]
ASK = [{"role": "user", "content": "What is the weather in Paris, in degrees C?"}]
BOUND = 200


def assert_fits(name, arguments):
    if name == "weather":
        assert {"city", "unit"} <= set(arguments) <= {"city", "unit", "days"}
        assert isinstance(arguments["city"], str) and len(arguments["city"]) <= 40 and arguments["unit"] in ("C", "F")
        assert arguments.get("days", 1) in range(1, 8)
    else:
        assert name == "note" and set(arguments) == {"title", "tags"}
        assert isinstance(arguments["title"], str) and all(isinstance(t, str) for t in arguments["tags"])


@pytest.fixture
def openai_client(engine):
    with openai.OpenAI(base_url=engine.url + "/v1", api_key="x", timeout=300, max_retries=0) as c:
        yield c


@pytest.fixture
def anthropic_client(engine):
    with anthropic.Anthropic(base_url=engine.url, api_key="x", timeout=300, max_retries=0) as c:
        yield c


def completion(client, stream, **what):
    """The first choice. Not by the SDK's helper for streams, which raises when a model runs into its length: one of this
    size may do that at any time."""
    what = {"model": MODEL, "messages": ASK, "tools": OPENAI, "max_tokens": BOUND, **what}
    if not stream:
        return client.chat.completions.create(**what).choices[0]
    text, calls, finishes = "", {}, []
    for chunk in client.chat.completions.create(stream=True, **what):
        for choice in chunk.choices:
            assert choice.index == 0 and not finishes, "something came after the end"
            text += choice.delta.content or ""
            for piece in choice.delta.tool_calls or []:
                call = calls.setdefault(piece.index, {"id": piece.id, "type": piece.type,
                                                      "function": {"name": piece.function.name, "arguments": ""}})
                call["function"]["arguments"] += piece.function.arguments or ""
            finishes += [choice.finish_reason] if choice.finish_reason else []
    assert len(finishes) == 1 and sorted(calls) == list(range(len(calls)))
    return Choice.model_validate({"index": 0, "finish_reason": finishes[0], "message": {
        "role": "assistant", "content": text or None, "tool_calls": [calls[i] for i in sorted(calls)] or None}}, strict=True)


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("choice", ["required", "weather", "note"])
def test_openai_forced(openai_client, stream, choice):
    forced = choice if choice == "required" else {"type": "function", "function": {"name": choice}}
    c = completion(openai_client, stream, tool_choice=forced)
    assert c.finish_reason == "tool_calls" and len(c.message.tool_calls) == 1 and not c.message.content
    call = c.message.tool_calls[0].function
    assert choice in ("required", call.name)
    assert_fits(call.name, json.loads(call.arguments))


@pytest.mark.parametrize("stream", [False, True])
def test_openai_free(openai_client, stream):
    c = completion(openai_client, stream)
    if c.message.tool_calls:
        assert c.finish_reason == "tool_calls"
        assert_fits(c.message.tool_calls[0].function.name, json.loads(c.message.tool_calls[0].function.arguments))
    else:
        assert c.finish_reason in ("stop", "length") and not (c.message.content or "").startswith('{"')


def test_openai_none(openai_client):
    c = completion(openai_client, False, tool_choice="none", max_tokens=20)
    assert not c.message.tool_calls and c.message.content


def test_openai_a_second_turn(openai_client):
    first = completion(openai_client, False, tool_choice={"type": "function", "function": {"name": "weather"}})
    turn = [*ASK, first.message, {"role": "tool", "tool_call_id": first.message.tool_calls[0].id, "content": "12 degrees, rain"}]
    second = completion(openai_client, True, messages=turn, tool_choice="none", max_tokens=40)
    assert second.message.content and not second.message.tool_calls and second.finish_reason in ("stop", "length")
    third = completion(openai_client, False, messages=turn, tool_choice="required")
    assert_fits(third.message.tool_calls[0].function.name, json.loads(third.message.tool_calls[0].function.arguments))


def test_openai_several_calls(openai_client):
    c = completion(openai_client, False, tool_choice={"type": "function", "function": {"name": "weather"}},
                   parallel_tool_calls=True, max_tokens=150)
    assert 1 <= len(c.message.tool_calls or []) <= 8 or c.finish_reason == "length"
    for call in c.message.tool_calls or []:
        assert_fits(call.function.name, json.loads(call.function.arguments))


def test_openai_a_cut_call_is_none(openai_client):
    c = completion(openai_client, False, tool_choice="required", max_tokens=6)
    assert c.finish_reason == "length" and not c.message.tool_calls and not c.message.content


def test_openai_a_schema_that_no_grammar_can_say(openai_client):
    bad = [*OPENAI, {"type": "function", "function": {"name": "odd", "parameters": {
        "type": "object", "properties": {"x": {"type": "quaternion"}}, "required": ["x"]}}}]
    with pytest.raises(openai.BadRequestError, match="tool 'odd'"):
        completion(openai_client, False, tools=bad)


def test_openai_structured(openai_client):
    form = {"type": "json_schema", "json_schema": {"name": "p", "strict": True, "schema": PARAMETERS}}
    r = openai_client.chat.completions.create(model=MODEL, messages=ASK, response_format=form, max_tokens=BOUND)
    assert_fits("weather", json.loads(r.choices[0].message.content))


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("choice", [{"type": "any"}, {"type": "tool", "name": "weather"}])
def test_anthropic_forced(anthropic_client, stream, choice):
    what = {"model": MODEL, "messages": ASK, "tools": ANTHROPIC, "tool_choice": choice, "max_tokens": BOUND}
    if stream:
        with anthropic_client.messages.stream(**what) as s:
            m = s.get_final_message()
    else:
        m = anthropic_client.messages.create(**what)
    assert m.stop_reason == "tool_use" and [b.type for b in m.content] == ["tool_use"]
    assert choice.get("name") in (None, m.content[0].name)
    assert_fits(m.content[0].name, m.content[0].input)


def test_anthropic_a_second_turn(anthropic_client):
    what = {"model": MODEL, "tools": ANTHROPIC, "max_tokens": BOUND}
    first = anthropic_client.messages.create(messages=ASK, tool_choice={"type": "tool", "name": "weather"}, **what)
    result = {"type": "tool_result", "tool_use_id": first.content[0].id, "content": "12 degrees, rain"}
    turn = [*ASK, {"role": "assistant", "content": first.content}, {"role": "user", "content": [result]}]
    second = anthropic_client.messages.create(messages=turn, **what)
    assert second.stop_reason in ("end_turn", "tool_use", "max_tokens")
    for block in second.content:
        if block.type == "tool_use":
            assert_fits(block.name, block.input)


@pytest.mark.parametrize("stream", [False, True])
def test_ollama_free(engine, stream):
    c = ollama.Client(host=engine.url, timeout=300)
    r = c.chat(model=MODEL, messages=ASK, tools=OPENAI, options={"num_predict": BOUND}, stream=stream)
    parts = list(r) if stream else [r]
    calls = [call for p in parts for call in p.message.tool_calls or []]
    text = "".join(p.message.content or "" for p in parts)
    assert parts[-1].done and len(calls) <= 1 and not (calls and text)
    for call in calls:  # the SDK sends types and names of parameters only, so that is what can hold
        arguments = dict(call.function.arguments)
        assert set(SCHEMAS[call.function.name]["required"]) <= set(arguments)
        assert isinstance(arguments.get("city", arguments.get("title")), str)


def test_ollama_says_that_it_can(engine):
    c = ollama.Client(host=engine.url, timeout=300)
    assert "tools" in c.show(MODEL).capabilities


def test_ollama_structured(engine):
    c = ollama.Client(host=engine.url, timeout=300)
    r = c.chat(model=MODEL, messages=ASK, format=PARAMETERS, options={"num_predict": BOUND})
    assert_fits("weather", json.loads(r.message.content))
