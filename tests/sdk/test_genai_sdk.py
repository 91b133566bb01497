# SPDX-License-Identifier: Apache-2.0
"""The official google-genai package, sync and async. Its types refuse fields that they do not know."""
import asyncio
import base64
import json

import pytest
from conftest import DIRECT, KEY
from google import genai
from google.genai import errors, types
from harness import PNG, SCHEMA, order

WEATHER = types.Tool(function_declarations=[types.FunctionDeclaration(name="weather", description="d", parameters_json_schema=SCHEMA)])
NO_TOOLS_RUN = types.AutomaticFunctionCallingConfig(disable=True)


def client_of(gate, key=KEY, version="v1beta", timeout=20000):
    return genai.Client(api_key=key, http_options=types.HttpOptions(base_url=gate.url, api_version=version, timeout=timeout))


@pytest.fixture(params=["v1beta", "v1"])
def versions(gate, request):
    with client_of(gate, version=request.param) as c:
        yield c


@pytest.fixture
def client(gate):
    with client_of(gate) as c:
        yield c


def config(**what):
    return types.GenerateContentConfig(automatic_function_calling=NO_TOOLS_RUN, **what)


def test_generate(versions, model):
    r = versions.models.generate_content(model=model, contents=order(text="Grüße", usage={"input": 9, "output": 4}),
                                         config=config(system_instruction="Be brief.", temperature=0.5, max_output_tokens=50))
    assert r.text == "Grüße" and r.candidates[0].finish_reason == types.FinishReason.STOP
    assert (r.usage_metadata.prompt_token_count, r.usage_metadata.candidates_token_count) == (9, 4)
    assert r.usage_metadata.total_token_count == 13


@pytest.mark.skipif(DIRECT, reason="the scripted provider has no vectors of its own")
@pytest.mark.parametrize("upstream", ["openai", "ollama", "gemini"])
def test_embed_content(versions, provider, upstream):
    body = {"openai": {"object": "list", "model": "m", "data": [{"object": "embedding", "index": i, "embedding": [0.5, -i]} for i in (0, 1)]},
            "ollama": {"model": "m", "embeddings": [[0.5, 0], [0.5, -1]]},
            "gemini": {"embeddings": [{"values": [0.5, 0]}, {"values": [0.5, -1]}]}}[upstream]
    provider.reset()
    provider.script([{"body": json.dumps(body), "content_type": "application/json"}])
    r = versions.models.embed_content(model=f"{upstream}/m", contents=["one", "two"], config=types.EmbedContentConfig(output_dimensionality=2))
    assert [e.values for e in r.embeddings] == [[0.5, 0], [0.5, -1]]


def test_stream(versions, model):
    chunks = list(versions.models.generate_content_stream(model=model, contents=order(text="one two three four")))
    assert "".join(c.text or "" for c in chunks) == "one two three four"
    assert [c.candidates[0].finish_reason for c in chunks if c.candidates][-1] == types.FinishReason.STOP
    assert chunks[-1].usage_metadata.candidates_token_count > 0


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
def test_tools_and_results(client, model, stream):
    asked = types.UserContent(order(chunk_chars=3, tool_calls=[
        {"name": "weather", "arguments": {"city": "Köln"}}, {"name": "weather", "arguments": {"city": "Rom"}}]))
    what = {"model": model, "contents": [asked], "config": config(tools=[WEATHER])}
    if stream:
        parts = [p for c in client.models.generate_content_stream(**what) for x in c.candidates or []
                 for p in (x.content.parts if x.content else None) or []]
    else:
        parts = client.models.generate_content(**what).candidates[0].content.parts
    calls = [p.function_call for p in parts if p.function_call]
    assert [(c.name, c.args) for c in calls] == [("weather", {"city": "Köln"}), ("weather", {"city": "Rom"})]
    results = [types.Part(function_response=types.FunctionResponse(id=c.id, name=c.name, response={"result": "12"})) for c in calls]
    turn = [asked, types.ModelContent(parts), types.UserContent(results), types.UserContent(order("thanks", text="warm"))]
    assert client.models.generate_content(model=model, contents=turn, config=config(tools=[WEATHER])).text == "warm"


def test_a_function_is_called_by_the_sdk(client, model, provider):
    provider.script([{"tool_calls": [{"name": "weather_in", "arguments": {"city": "Köln"}}]}, {"text": "warm"}])
    asked = []

    def weather_in(city: str) -> str:
        """The weather of a city."""
        asked.append(city)
        return "12 degrees"
    r = client.models.generate_content(model=model, contents="weather?", config=types.GenerateContentConfig(tools=[weather_in]))
    assert r.text == "warm" and asked == ["Köln"] and "12 degrees" in provider.last()["body"]


def test_a_chat_keeps_its_turns(client, model, provider):
    chat = client.chats.create(model=model)
    assert chat.send_message(order("first", text="one")).text == "one"
    assert "".join(c.text or "" for c in chat.send_message_stream(order("second", text="two"))) == "two"
    sent = provider.last()["body"]
    assert "first" in sent and "one" in sent and "second" in sent


def test_thinking(client, model):
    r = client.models.generate_content(model=model, contents=order(thinking="I ponder", text="done"), config=config(
        thinking_config=types.ThinkingConfig(include_thoughts=True, thinking_budget=1024)))
    assert [(bool(p.thought), p.text) for p in r.candidates[0].content.parts] == [(True, "I ponder"), (False, "done")]
    assert r.text == "done"


def test_image(client, model, provider):
    r = client.models.generate_content(model=model, contents=[
        types.Part.from_bytes(data=base64.b64decode(PNG), mime_type="image/png"), order(text="a dot")])
    sent = provider.last()["body"]  # the SDK writes the alphabet for URLs, which Gemini alone understands
    assert r.text == "a dot" and (PNG in sent or model in ("m", "gemini/m") and PNG.replace("+", "-").replace("/", "_") in sent)


def test_schema(client, model):
    r = client.models.generate_content(model=model, contents=order(text='{"city": "Köln"}'), config=config(
        response_mime_type="application/json", response_json_schema=SCHEMA))
    assert json.loads(r.text) == {"city": "Köln"}


def test_count_tokens(versions, model):
    assert versions.models.count_tokens(model=model, contents="many words here").total_tokens > 3


@pytest.mark.parametrize("error,kind,code", [("rate_limit", errors.ClientError, 429), ("context_length", errors.ClientError, 400),
                                             ("overloaded", errors.ServerError, 503)])
def test_errors_have_their_class(client, model, error, kind, code):
    with pytest.raises(kind) as caught:
        client.models.generate_content(model=model, contents=order(error=error))
    assert caught.value.code == code and caught.value.status and caught.value.message


@pytest.mark.skipif(DIRECT, reason="the daemon's own")
def test_errors_of_the_gate_have_their_class(gate, client):
    with pytest.raises(errors.ClientError) as caught:
        client.models.generate_content(model="nothing", contents="x")
    assert (caught.value.code, caught.value.status) == (404, "NOT_FOUND")
    with client_of(gate, "wrong") as other, pytest.raises(errors.ClientError) as caught:
        other.models.generate_content(model="gemini/m", contents="x")
    assert (caught.value.code, caught.value.status) == (401, "UNAUTHENTICATED")


def test_a_broken_stream_raises(client, model):
    heard = ""
    with pytest.raises(errors.APIError):
        for c in client.models.generate_content_stream(model=model, contents=order(
                error="overloaded", error_after_events=7, chunk_chars=2, text="many words in here for it and some more")):
            heard += c.text or ""
    assert "many words in here for it and some more".startswith(heard)


def test_async_many_at_once(gate, model):
    async def all_of():
        async with client_of(gate).aio as c:
            async def one(i):
                stream = await c.models.generate_content_stream(model=model, contents=order(text=f"no {i} " * 8))
                return "".join([x.text or "" async for x in stream])
            return await asyncio.gather(*(one(i) for i in range(20)))
    assert asyncio.run(all_of()) == [f"no {i} " * 8 for i in range(20)]


@pytest.mark.real
def test_the_real_engine_answers(engine):
    with client_of(engine, "x", timeout=120000) as c:
        few = config(max_output_tokens=12)
        r = c.models.generate_content(model="smollm2:135m", contents="Count to five.", config=few)
        assert r.text and r.usage_metadata.candidates_token_count <= 12
        assert "".join(x.text or "" for x in c.models.generate_content_stream(model="local/smollm2:135m", contents="Count.", config=few))
        assert c.models.count_tokens(model="smollm2:135m", contents="Count to five.").total_tokens > 3


@pytest.mark.real
@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
def test_the_real_engine_calls_a_tool_and_keeps_a_schema(engine, stream):
    bounded = {"type": "object", "properties": {"city": {"type": "string", "maxLength": 30}}, "required": ["city"],
               "additionalProperties": False}
    tool = types.Tool(function_declarations=[types.FunctionDeclaration(name="weather", description="d", parameters_json_schema=bounded)])
    forced = types.ToolConfig(function_calling_config=types.FunctionCallingConfig(mode="ANY", allowed_function_names=["weather"]))
    what = {"model": "smollm2:135m", "contents": "The weather in Paris?",
            "config": config(max_output_tokens=200, tools=[tool], tool_config=forced)}
    with client_of(engine, "x", timeout=120000) as c:
        heard = list(c.models.generate_content_stream(**what)) if stream else [c.models.generate_content(**what)]
        call, = [f for r in heard for f in r.function_calls or []]
        assert call.name == "weather" and list(call.args) == ["city"]
        what["config"] = config(max_output_tokens=200, response_mime_type="application/json", response_json_schema=bounded)
        assert list(json.loads(c.models.generate_content(**what).text)) == ["city"]
