# SPDX-License-Identifier: Apache-2.0
"""The official SDKs for node: openai, @anthropic-ai/sdk, @google/genai, ollama, and ai over three of its providers. One
process of node makes the calls (tests/sdk/node); what came back is checked here."""
import json

import pytest
from conftest import DIRECT
from harness import PNG, SCHEMA, order
from node_process import Refused

OPENAI_TOOLS = [{"type": "function", "function": {"name": "weather", "description": "d", "parameters": SCHEMA}}]
RESPONSES_TOOLS = [{"type": "function", "name": "weather", "description": "d", "parameters": SCHEMA, "strict": False}]
ANTHROPIC_TOOLS = [{"name": "weather", "description": "d", "input_schema": SCHEMA}]
GEMINI_TOOLS = [{"functionDeclarations": [{"name": "weather", "description": "d", "parametersJsonSchema": SCHEMA}]}]
CITIES = [{"name": "weather", "arguments": {"city": "Köln"}}, {"name": "weather", "arguments": {"city": "Rom"}}]
BOUNDED = {"type": "object", "properties": {"city": {"type": "string", "maxLength": 30}}, "required": ["city"],
           "additionalProperties": False}
BROKEN = {"error": "overloaded", "error_after_events": 9, "chunk_chars": 2, "text": "many words in here for it and some more"}


@pytest.fixture
def sdk(node, gate, request):
    """The SDK that the test's name begins with."""
    name = request.function.__name__.split("_")[1]
    return lambda call, what=None: node.call(gate, name, call, what)


def words(*said, **what):
    return [{"role": "user", "content": order(*said, **what)}]


# ---- openai


def test_openai_create_and_stream(sdk, model):
    r = sdk("create", {"model": model, "messages": words(text="Grüße", usage={"input": 9, "output": 4})})
    assert r["choices"][0]["message"]["content"] == "Grüße" and r["choices"][0]["finish_reason"] == "stop"
    assert (r["usage"]["prompt_tokens"], r["usage"]["completion_tokens"]) == (9, 4)
    chunks = sdk("stream", {"model": model, "messages": words(text="one two three"), "stream_options": {"include_usage": True}})
    assert "".join(x["delta"].get("content") or "" for c in chunks for x in c["choices"]) == "one two three"
    assert chunks[-1]["usage"]["completion_tokens"] > 0


@pytest.mark.parametrize("call", ["create", "helper"])
def test_openai_tools_and_results(sdk, model, call):
    what = words(tool_calls=CITIES, chunk_chars=3)
    message = sdk(call, {"model": model, "messages": what, "tools": OPENAI_TOOLS})["choices"][0]["message"]
    calls = message["tool_calls"]
    assert [json.loads(c["function"]["arguments"])["city"] for c in calls] == ["Köln", "Rom"]
    again = [*what, message, *({"role": "tool", "tool_call_id": c["id"], "content": "12"} for c in calls), *words(text="warm")]
    assert sdk("create", {"model": model, "messages": again, "tools": OPENAI_TOOLS})["choices"][0]["message"]["content"] == "warm"


def test_openai_image_and_schema(sdk, model, provider):
    content = [{"type": "text", "text": order(text='{"city": "Rom"}')},
               {"type": "image_url", "image_url": {"url": "data:image/png;base64," + PNG}}]
    form = {"type": "json_schema", "json_schema": {"name": "c", "strict": True, "schema": BOUNDED}}
    r = sdk("create", {"model": model, "messages": [{"role": "user", "content": content}], "response_format": form})
    assert json.loads(r["choices"][0]["message"]["content"]) == {"city": "Rom"} and PNG in provider.last()["body"]


@pytest.mark.parametrize("error,kind", [("rate_limit", "RateLimitError"), ("server_error", "InternalServerError"),
                                        ("overloaded", "InternalServerError"), ("context_length", "BadRequestError")])
def test_openai_errors_have_their_class(sdk, model, error, kind):
    for call, what in (("create", {"messages": words(error=error)}), ("respond", {"input": order(error=error)})):
        with pytest.raises(Refused) as caught:
            sdk(call, {"model": model, **what})
        assert caught.value.kind == kind


def test_openai_broken_streams_raise(sdk, model):
    with pytest.raises(Refused):
        sdk("stream", {"model": model, "messages": words(**BROKEN)})
    what = {"model": model, "input": order(**BROKEN)}
    if model in ("m", "responses/m"):  # its own `error` event, at which the SDK raises
        with pytest.raises(Refused):
            sdk("respondHelper", what)
    else:
        r = sdk("respondHelper", what)
        assert r["status"] == "failed" and r["error"]["message"]


def test_openai_many_at_once(sdk, model):
    got = sdk("together", [{"model": model, "messages": words(text=f"no {i} " * 8)} for i in range(20)])
    assert [r["choices"][0]["message"]["content"] for r in got] == [f"no {i} " * 8 for i in range(20)]


def test_openai_responses(sdk, model):
    r = sdk("respond", {"model": model, "input": order(text="Grüße", usage={"input": 9, "output": 4}), "store": False})
    assert (r["output_text"], r["status"], r["usage"]["total_tokens"]) == ("Grüße", "completed", 13)
    events = sdk("events", {"model": model, "input": order(text="one two")})
    assert [e["sequence_number"] for e in events] == list(range(len(events))) and events[-1]["type"] == "response.completed"
    assert "".join(e["delta"] for e in events if e["type"] == "response.output_text.delta") == "one two"
    r = sdk("respondHelper", {"model": model, "input": order(text="done", thinking="I ponder"), "reasoning": {"summary": "auto"}})
    assert [i["type"] for i in r["output"]] == ["reasoning", "message"] and r["output_text"] == "done"
    assert sdk("count", {"model": model, "input": "many words here"})["input_tokens"] > 2


@pytest.mark.parametrize("call", ["respond", "respondHelper"])
def test_openai_responses_tools_and_results(sdk, model, call):
    what = [{"role": "user", "content": order(tool_calls=CITIES, chunk_chars=3)}]
    calls = [i for i in sdk(call, {"model": model, "input": what, "tools": RESPONSES_TOOLS})["output"] if i["type"] == "function_call"]
    assert [json.loads(c["arguments"])["city"] for c in calls] == ["Köln", "Rom"]
    kept = [{k: c[k] for k in ("type", "call_id", "name", "arguments")} for c in calls]
    again = [*what, *kept, *({"type": "function_call_output", "call_id": c["call_id"], "output": "12"} for c in calls), *words(text="warm")]
    assert sdk("respond", {"model": model, "input": again, "tools": RESPONSES_TOOLS})["output_text"] == "warm"


# ---- @anthropic-ai/sdk


def test_anthropic_create_and_stream(sdk, model):
    r = sdk("create", {"model": model, "max_tokens": 50, "messages": words(text="Grüße", usage={"input": 9, "output": 4})})
    assert (r["content"][0]["text"], r["stop_reason"], r["usage"]["output_tokens"]) == ("Grüße", "end_turn", 4)
    kinds = [e["type"] for e in sdk("events", {"model": model, "max_tokens": 50, "messages": words(text="a b")})]
    assert kinds[0] == "message_start" and kinds[-1] == "message_stop"
    r = sdk("helper", {"model": model, "max_tokens": 3000, "thinking": {"type": "enabled", "budget_tokens": 1024},
                       "messages": words(thinking="I ponder", text="done")})
    assert [(b["type"], b.get("thinking") or b.get("text")) for b in r["content"]] == [("thinking", "I ponder"), ("text", "done")]
    assert sdk("count", {"model": model, "messages": words("many words here")})["input_tokens"] > 2


@pytest.mark.parametrize("call", ["create", "helper"])
def test_anthropic_tools_and_results(sdk, model, call):
    what, more = words(tool_calls=CITIES, chunk_chars=3), {"model": model, "max_tokens": 50, "tools": ANTHROPIC_TOOLS}
    r = sdk(call, {"messages": what, **more})
    calls = [b for b in r["content"] if b["type"] == "tool_use"]
    assert [c["input"]["city"] for c in calls] == ["Köln", "Rom"] and r["stop_reason"] == "tool_use"
    results = [{"type": "tool_result", "tool_use_id": c["id"], "content": "12"} for c in calls]
    again = [*what, {"role": "assistant", "content": r["content"]},
             {"role": "user", "content": [*results, {"type": "text", "text": order(text="warm")}]}]
    assert sdk("create", {"messages": again, **more})["content"][0]["text"] == "warm"


def test_anthropic_image(sdk, model, provider):
    content = [{"type": "text", "text": order(text="a dot")},
               {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": PNG}}]
    r = sdk("create", {"model": model, "max_tokens": 50, "messages": [{"role": "user", "content": content}]})
    assert r["content"][0]["text"] == "a dot" and PNG in provider.last()["body"]


@pytest.mark.parametrize("error,kind", [("rate_limit", "RateLimitError"), ("overloaded", "OverloadedError"),
                                        ("context_length", "BadRequestError")])
def test_anthropic_errors_have_their_class(sdk, model, error, kind):
    with pytest.raises(Refused) as caught:
        sdk("create", {"model": model, "max_tokens": 5, "messages": words(error=error)})
    assert caught.value.kind == kind


def test_anthropic_broken_streams_raise(sdk, model):
    with pytest.raises(Refused):
        sdk("helper", {"model": model, "max_tokens": 50, "messages": words(**BROKEN)})


def test_anthropic_many_at_once(sdk, model):
    got = sdk("together", [{"model": model, "max_tokens": 50, "messages": words(text=f"no {i} " * 8)} for i in range(20)])
    assert [r["content"][0]["text"] for r in got] == [f"no {i} " * 8 for i in range(20)]


# ---- @google/genai


@pytest.mark.parametrize("version", ["v1beta", "v1"])
def test_google_create_and_stream(sdk, model, version):
    r = sdk("create", {"version": version, "model": model, "contents": order(text="Grüße", usage={"input": 9, "output": 4})})
    assert r["text"] == "Grüße" and r["candidates"][0]["finishReason"] == "STOP" and r["usageMetadata"]["totalTokenCount"] == 13
    chunks = sdk("stream", {"version": version, "model": model, "contents": order(text="one two three")})
    assert "".join(c["text"] for c in chunks) == "one two three"
    assert chunks[-1]["candidates"][0]["finishReason"] == "STOP" and chunks[-1]["usageMetadata"]["candidatesTokenCount"] > 0


@pytest.mark.parametrize("call", ["create", "stream"])
def test_google_tools_and_results(sdk, model, call):
    asked, more = {"role": "user", "parts": [{"text": order(tool_calls=CITIES, chunk_chars=3)}]}, {"config": {"tools": GEMINI_TOOLS}}
    heard = sdk(call, {"model": model, "contents": [asked], **more})
    heard = heard if call == "stream" else [heard]
    calls = [f for r in heard for f in r["functionCalls"]]
    assert [c["args"]["city"] for c in calls] == ["Köln", "Rom"]
    parts = [p for r in heard for p in r["candidates"][0]["content"]["parts"]]
    results = [{"functionResponse": {"name": c["name"], "response": {"result": "12"}, **({"id": c["id"]} if "id" in c else {})}}
               for c in calls]
    again = [asked, {"role": "model", "parts": parts}, {"role": "user", "parts": results},
             {"role": "user", "parts": [{"text": order(text="warm")}]}]
    assert sdk("create", {"model": model, "contents": again, **more})["text"] == "warm"


def test_google_thinking_image_schema_chat_count(sdk, model, provider):
    r = sdk("create", {"model": model, "contents": order(text="done", thinking="I ponder"),
                       "config": {"thinkingConfig": {"includeThoughts": True, "thinkingBudget": 1024}}})
    assert r["text"] == "done" and [p["text"] for p in r["candidates"][0]["content"]["parts"] if p.get("thought")] == ["I ponder"]
    image = {"inlineData": {"mimeType": "image/png", "data": PNG}}
    form = {"responseMimeType": "application/json", "responseJsonSchema": BOUNDED}
    r = sdk("create", {"model": model, "contents": [image, {"text": order(text='{"city": "Rom"}')}], "config": form})
    assert json.loads(r["text"]) == {"city": "Rom"} and PNG in provider.last()["body"]
    assert sdk("chat", {"model": model, "said": [order("first", text="one"), order("second", text="two")]}) == ["one", "two"]
    assert "first" in provider.last()["body"]
    assert sdk("count", {"model": model, "contents": "many words here"})["totalTokens"] > 2


@pytest.mark.parametrize("error,status", [("rate_limit", 429), ("overloaded", 503), ("context_length", 400)])
def test_google_errors_have_their_status(sdk, model, error, status):
    with pytest.raises(Refused) as caught:
        sdk("create", {"model": model, "contents": order(error=error)})
    assert (caught.value.kind, caught.value.status) == ("ApiError", status)


def test_google_broken_streams_raise(sdk, model):
    with pytest.raises(Refused):
        sdk("stream", {"model": model, "contents": order(**BROKEN)})


def test_google_many_at_once(sdk, model):
    got = sdk("together", [{"model": model, "contents": order(text=f"no {i} " * 8)} for i in range(20)])
    assert ["".join(c["text"] for c in chunks) for chunks in got] == [f"no {i} " * 8 for i in range(20)]


# ---- ollama


def test_ollama_chat_and_generate(sdk, model, provider):
    r = sdk("chat", {"model": model, "messages": words(text="Grüße", thinking="hm", usage={"input": 9, "output": 4}), "think": True})
    assert (r["message"]["content"], r["message"]["thinking"], r["done_reason"], r["eval_count"]) == ("Grüße", "hm", "stop", 4)
    parts = sdk("stream", {"model": model, "messages": words(text="one two three")})
    assert "".join(p["message"]["content"] for p in parts) == "one two three" and parts[-1]["done"]
    assert sdk("generate", {"model": model, "prompt": order(text="made"), "images": [PNG]})["response"] == "made"
    assert PNG in provider.last()["body"]
    assert "".join(p["response"] for p in sdk("generateStream", {"model": model, "prompt": order(text="made up")})) == "made up"


@pytest.mark.parametrize("call", ["chat", "stream"])
def test_ollama_tools_and_results(sdk, model, call):
    what = words(tool_calls=CITIES)
    heard = sdk(call, {"model": model, "messages": what, "tools": OPENAI_TOOLS})
    calls = [c for p in (heard if call == "stream" else [heard]) for c in p["message"].get("tool_calls") or []]
    assert [c["function"]["arguments"]["city"] for c in calls] == ["Köln", "Rom"]
    again = [*what, {"role": "assistant", "content": "", "tool_calls": calls},
             *({"role": "tool", "content": "12", "tool_name": "weather"} for _ in calls), *words(text="warm")]
    assert sdk("chat", {"model": model, "messages": again, "tools": OPENAI_TOOLS})["message"]["content"] == "warm"


def test_ollama_lists(sdk):
    assert ("m" if DIRECT else "ollama/m") in [m["model"] for m in sdk("list")["models"]]
    assert sdk("show", {"model": "m" if DIRECT else "ollama/m"})["details"] is not None


@pytest.mark.parametrize("error,status", [("rate_limit", 429), ("context_length", 400)])
def test_ollama_errors_have_their_status(sdk, model, error, status):
    with pytest.raises(Refused) as caught:
        sdk("chat", {"model": model, "messages": words(error=error)})
    assert caught.value.status == status


def test_ollama_broken_streams_raise_and_many_run(sdk, model):
    with pytest.raises(Refused):
        sdk("stream", {"model": model, "messages": words(**BROKEN)})
    got = sdk("together", [{"model": model, "messages": words(text=f"no {i} " * 8)} for i in range(20)])
    assert ["".join(p["message"]["content"] for p in parts) for parts in got] == [f"no {i} " * 8 for i in range(20)]


# ---- ai


@pytest.fixture(params=["openai", "responses", "anthropic", "gemini"])
def over(request, model):
    return {"provider": request.param, "model": model}


@pytest.mark.parametrize("call", ["generate", "stream"])
def test_ai_text(sdk, over, call):
    r = sdk(call, {**over, "system": "Be brief.", "prompt": order(text="Grüße an alle", usage={"input": 9, "output": 4})})
    assert r["text"] == "Grüße an alle" == r.get("pieces", r["text"]) and r["finish"] == "stop"
    assert (r["usage"]["inputTokens"], r["usage"]["outputTokens"]) == (9, 4)


@pytest.mark.parametrize("call", ["generate", "stream"])
def test_ai_runs_a_tool(sdk, over, call, provider):
    provider.script([{"tool_calls": CITIES, "chunk_chars": 3}, {"text": "warm"}])
    r = sdk(call, {**over, "prompt": "weather?", "toolSchema": SCHEMA})
    assert r["text"] == "warm" and r["asked"] == [c["arguments"] for c in CITIES] and "12 degrees" in provider.last()["body"]


def test_ai_object_and_image(sdk, over, provider):
    content = [{"type": "text", "text": order(text='{"city": "Rom"}')}, {"type": "file", "data": PNG, "mediaType": "image/png"}]
    r = sdk("generate", {**over, "messages": [{"role": "user", "content": content}], "schema": BOUNDED})
    assert r["output"] == {"city": "Rom"} and PNG in provider.last()["body"]


def test_ai_errors_have_their_status(sdk, over):
    for call in ("generate", "stream"):
        with pytest.raises(Refused) as caught:
            sdk(call, {**over, "prompt": order(error="rate_limit")})
        assert (caught.value.name, caught.value.status) == ("AI_APICallError", 429)


# ---- the real engine


@pytest.mark.real
def test_the_real_engine_answers_each(node, engine):
    name, said, few = "smollm2:135m", [{"role": "user", "content": "Count to five."}], {"max_tokens": 12}
    def call(*what):
        return node.call(engine, *what)
    r = call("openai", "create", {"model": name, "messages": said, **few})
    assert r["choices"][0]["message"]["content"] and r["usage"]["completion_tokens"] <= 12
    r = call("openai", "respondHelper", {"model": name, "input": "Count to five.", "max_output_tokens": 12})
    assert r["output_text"] and r["usage"]["output_tokens"] <= 12
    r = call("anthropic", "helper", {"model": name, "messages": said, **few})
    assert r["content"][0]["text"] and r["usage"]["output_tokens"] <= 12
    chunks = call("google", "stream", {"model": name, "contents": "Count to five.", "config": {"maxOutputTokens": 12}})
    assert "".join(c["text"] for c in chunks)
    parts = call("ollama", "stream", {"model": name, "messages": said, "options": {"num_predict": 12}})
    assert "".join(p["message"]["content"] for p in parts) and parts[-1]["done"]
    for over in ("openai", "responses", "anthropic", "gemini"):
        r = call("ai", "stream", {"provider": over, "model": name, "prompt": "Count to five.", "maxOutputTokens": 12})
        assert r["text"] == r["pieces"] != ""
        r = call("ai", "generate", {"provider": over, "model": name, "prompt": "Where is the Louvre?", "schema": BOUNDED,
                                    "maxOutputTokens": 100})
        assert list(r["output"]) == ["city"]
