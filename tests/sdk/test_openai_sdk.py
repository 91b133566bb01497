# SPDX-License-Identifier: Apache-2.0
"""The official openai package, sync and async."""
import asyncio
import json

import openai
import pytest
from conftest import DIRECT, KEY
from harness import PNG, SCHEMA, order

TOOLS = [{"type": "function", "function": {"name": "weather", "description": "d", "parameters": SCHEMA}}]


def words(*said, **what):
    return [{"role": "user", "content": order(*said, **what)}]


@pytest.fixture
def client(gate):
    with openai.OpenAI(base_url=gate.url + "/v1", api_key=KEY, max_retries=0, timeout=20) as c:
        yield c


def test_create(client, model):
    r = client.chat.completions.create(model=model, messages=words(text="Grüße", usage={"input": 9, "output": 4}))
    assert r.choices[0].message.content == "Grüße" and r.choices[0].finish_reason == "stop"
    assert (r.usage.prompt_tokens, r.usage.completion_tokens, r.usage.total_tokens) == (9, 4, 13)


def test_stream(client, model):
    stream = client.chat.completions.create(model=model, messages=words(text="one two three four"), stream=True,
                                            stream_options={"include_usage": True})
    chunks = list(stream)
    assert "".join(c.choices[0].delta.content or "" for c in chunks if c.choices) == "one two three four"
    assert [c.choices[0].finish_reason for c in chunks if c.choices][-1] == "stop"
    assert chunks[-1].usage.completion_tokens > 0


def test_stream_helper_accumulates(client, model):
    with client.chat.completions.stream(model=model, messages=words(text="helped")) as stream:
        for _ in stream:
            pass
        assert stream.get_final_completion().choices[0].message.content == "helped"


def test_tools(client, model):
    what = words(tool_calls=[{"name": "weather", "arguments": {"city": "Köln"}}, {"name": "weather", "arguments": {"city": "Rom"}}])
    r = client.chat.completions.create(model=model, messages=what, tools=TOOLS)
    calls = r.choices[0].message.tool_calls
    assert [json.loads(c.function.arguments)["city"] for c in calls] == ["Köln", "Rom"]
    assert r.choices[0].finish_reason == "tool_calls" and len({c.id for c in calls}) == 2
    again = [*what, r.choices[0].message, *({"role": "tool", "tool_call_id": c.id, "content": "12"} for c in calls),
             *words("thanks", text="warm")]
    assert client.chat.completions.create(model=model, messages=again, tools=TOOLS).choices[0].message.content == "warm"


def test_streamed_tools(client, model):
    what = words(tool_calls=[{"name": "weather", "arguments": {"city": "Köln"}}], chunk_chars=3)
    with client.chat.completions.stream(model=model, messages=what, tools=TOOLS) as stream:
        for _ in stream:
            pass
        call = stream.get_final_completion().choices[0].message.tool_calls[0]
    assert json.loads(call.function.arguments) == {"city": "Köln"}


def test_image(client, model):
    content = [{"type": "text", "text": order(text="a dot")},
               {"type": "image_url", "image_url": {"url": "data:image/png;base64," + PNG}}]
    r = client.chat.completions.create(model=model, messages=[{"role": "user", "content": content}])
    assert r.choices[0].message.content == "a dot"


@pytest.mark.skipif(DIRECT, reason="the scripted provider has no vectors of its own")
@pytest.mark.parametrize("upstream", ["openai", "ollama", "gemini"])
def test_embeddings(client, provider, upstream):
    """The package asks for base64, and reads either."""
    body = {"openai": {"object": "list", "model": "m", "usage": {"prompt_tokens": 2, "total_tokens": 2},
                       "data": [{"object": "embedding", "index": i, "embedding": [0.5, -i]} for i in (0, 1)]},
            "ollama": {"model": "m", "embeddings": [[0.5, 0], [0.5, -1]], "prompt_eval_count": 2},
            "gemini": {"embeddings": [{"values": [0.5, 0]}, {"values": [0.5, -1]}], "usageMetadata": {"promptTokenCount": 2}}}[upstream]
    for more in ({}, {"encoding_format": "float"}):
        provider.reset()
        provider.script([{"body": json.dumps(body), "content_type": "application/json"}])
        r = client.embeddings.create(model=f"{upstream}/m", input=["one", "two"], **more)
        assert [d.embedding for d in r.data] == [[0.5, 0], [0.5, -1]] and r.usage.total_tokens == 2


def test_completions(client, model):
    if DIRECT or model == "openai/m":
        pytest.skip("the scripted provider answers in the shape of chats")
    r = client.completions.create(model=model, prompt=order(text="one two"), max_tokens=20)
    assert r.choices[0].text == "one two" and r.object == "text_completion"
    stream = client.completions.create(model=model, prompt=order(text="one two"), stream=True)
    assert "".join(c.choices[0].text for c in stream) == "one two"


def test_models(client, gate):
    names = [m.id for m in client.models.list()]
    assert ("m" if DIRECT else "openai/m") in names


@pytest.mark.parametrize("error,kind", [("rate_limit", openai.RateLimitError), ("server_error", openai.InternalServerError),
                                        ("overloaded", openai.InternalServerError),
                                        ("context_length", openai.BadRequestError)])
def test_errors_have_their_class(client, model, error, kind):
    with pytest.raises(kind) as caught:
        client.chat.completions.create(model=model, messages=words(error=error))
    assert caught.value.body["message"]


@pytest.mark.skipif(DIRECT, reason="the daemon's own")
def test_errors_of_the_gate_have_their_class(gate, client):
    with pytest.raises(openai.NotFoundError):
        client.chat.completions.create(model="nothing", messages=words())
    with pytest.raises(openai.BadRequestError):
        client.chat.completions.create(model="openai/m", messages=words(), temperature="hot")
    with pytest.raises(openai.InternalServerError):
        client.chat.completions.create(model="dead/m", messages=words())
    with openai.OpenAI(base_url=gate.url + "/v1", api_key="wrong", max_retries=0) as other:
        with pytest.raises(openai.AuthenticationError):
            other.chat.completions.create(model="openai/m", messages=words())
    r = client.chat.completions.with_raw_response.create(model="openai/m", messages=words())
    assert r.headers["x-gridtie-target"] == "openai/m"


def test_a_broken_stream_raises(client, model):
    with pytest.raises(openai.APIError):
        for _ in client.chat.completions.create(model=model, messages=words(error="overloaded", error_after_events=7, chunk_chars=2,
                                                                           text="many words in here for it"), stream=True):
            pass


def test_retries_of_the_sdk_succeed(gate, provider, model):
    provider.script([{"error": "server_error"}, {"text": "second"}])
    with openai.OpenAI(base_url=gate.url + "/v1", api_key=KEY, max_retries=2) as c:
        r = c.chat.completions.create(model=model, messages=[{"role": "user", "content": "x"}])
    assert r.choices[0].message.content == "second"


def test_async_many_at_once(gate, model):
    async def all_of():
        async with openai.AsyncOpenAI(base_url=gate.url + "/v1", api_key=KEY, max_retries=0) as c:
            async def one(i):
                text = ""
                async for chunk in await c.chat.completions.create(model=model, stream=True, messages=words(text=f"no {i} " * 8)):
                    text += chunk.choices[0].delta.content or "" if chunk.choices else ""
                return text
            return await asyncio.gather(*(one(i) for i in range(20)))
    assert asyncio.run(all_of()) == [f"no {i} " * 8 for i in range(20)]


@pytest.mark.real
def test_the_real_engine_answers(engine):
    with openai.OpenAI(base_url=engine.url + "/v1", api_key="x", timeout=120) as c:
        r = c.chat.completions.create(model="smollm2:135m", messages=[{"role": "user", "content": "Say hello."}], max_tokens=12)
        assert r.choices[0].message.content and r.usage.completion_tokens <= 12
        chunks = list(c.chat.completions.create(model="local/smollm2:135m", stream=True, max_tokens=12,
                                                messages=[{"role": "user", "content": "Count to five."}]))
        assert "".join(x.choices[0].delta.content or "" for x in chunks if x.choices)
