# SPDX-License-Identifier: Apache-2.0
"""The official anthropic package, sync and async."""
import asyncio

import anthropic
import pytest
from conftest import DIRECT, KEY
from harness import PNG, SCHEMA, order

TOOLS = [{"name": "weather", "description": "d", "input_schema": SCHEMA}]


def words(*said, **what):
    return [{"role": "user", "content": order(*said, **what)}]


@pytest.fixture
def client(gate):
    with anthropic.Anthropic(base_url=gate.url, api_key=KEY, max_retries=0, timeout=20) as c:
        yield c


def test_create(client, model):
    r = client.messages.create(model=model, max_tokens=50, messages=words(text="Grüße", usage={"input": 9, "output": 4}))
    assert r.content[0].text == "Grüße" and r.stop_reason == "end_turn" and r.type == "message"
    assert (r.usage.input_tokens, r.usage.output_tokens) == (9, 4)


def test_stream(client, model):
    with client.messages.stream(model=model, max_tokens=50, messages=words(text="one two three four")) as stream:
        assert "".join(stream.text_stream) == "one two three four"
        final = stream.get_final_message()
    assert final.stop_reason == "end_turn" and final.usage.output_tokens > 0


def test_raw_events(client, model):
    kinds = [e.type for e in client.messages.create(model=model, max_tokens=50, messages=words(text="a b"), stream=True)]
    assert kinds[0] == "message_start" and kinds[-1] == "message_stop"
    assert kinds.index("content_block_start") < kinds.index("content_block_delta") < kinds.index("content_block_stop")


def test_tools_and_results(client, model):
    what = words(tool_calls=[{"name": "weather", "arguments": {"city": "Köln"}}, {"name": "weather", "arguments": {"city": "Rom"}}])
    with client.messages.stream(model=model, max_tokens=50, messages=what, tools=TOOLS) as stream:
        r = stream.get_final_message()
    calls = [b for b in r.content if b.type == "tool_use"]
    assert [c.input["city"] for c in calls] == ["Köln", "Rom"] and r.stop_reason == "tool_use"
    results = [{"type": "tool_result", "tool_use_id": c.id, "content": "12"} for c in calls]
    again = [*what, {"role": "assistant", "content": r.content},
             {"role": "user", "content": [*results, {"type": "text", "text": order(text="warm")}]}]
    r = client.messages.create(model=model, max_tokens=50, messages=again, tools=TOOLS)
    assert r.content[0].text == "warm"


def test_thinking(client, model):
    with client.messages.stream(model=model, max_tokens=3000, thinking={"type": "enabled", "budget_tokens": 1024},
                                messages=words(thinking="I ponder", text="done")) as stream:
        r = stream.get_final_message()
    assert [(b.type, getattr(b, "thinking", None) or getattr(b, "text", None)) for b in r.content] == \
        [("thinking", "I ponder"), ("text", "done")]


def test_system_and_image(client, model, provider):
    content = [{"type": "text", "text": order(text="a dot")},
               {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": PNG}}]
    r = client.messages.create(model=model, max_tokens=50, system="Be brief.", messages=[{"role": "user", "content": content}])
    assert r.content[0].text == "a dot" and "Be brief." in provider.last()["body"] and PNG in provider.last()["body"]


def test_count_tokens(client, model):
    assert client.messages.count_tokens(model=model, messages=words("many words here")).input_tokens > 0


def test_models(client):
    assert ("m" if DIRECT else "anthropic/m") in [m.id for m in client.models.list()]


@pytest.mark.parametrize("error,kind", [("rate_limit", anthropic.RateLimitError), ("server_error", anthropic.InternalServerError),
                                        ("overloaded", anthropic.InternalServerError),
                                        ("context_length", anthropic.BadRequestError)])
def test_errors_have_their_class(client, model, error, kind):
    with pytest.raises(kind) as caught:
        client.messages.create(model=model, max_tokens=5, messages=words(error=error))
    assert caught.value.body["error"]["message"]


@pytest.mark.skipif(DIRECT, reason="the daemon's own")
def test_errors_of_the_gate_have_their_class(gate, client):
    with pytest.raises(anthropic.NotFoundError):
        client.messages.create(model="nothing", max_tokens=5, messages=words())
    with pytest.raises(anthropic.BadRequestError):
        client.messages.create(model="anthropic/m", max_tokens=-5, messages=words())
    with anthropic.Anthropic(base_url=gate.url, api_key="wrong", max_retries=0) as other:
        with pytest.raises(anthropic.AuthenticationError):
            other.messages.create(model="anthropic/m", max_tokens=5, messages=words())
    with anthropic.Anthropic(base_url=gate.url, auth_token=KEY, api_key=None, max_retries=0) as other:
        assert other.messages.create(model="anthropic/m", max_tokens=5, messages=words()).content


def test_a_broken_stream_raises(client, model):
    with pytest.raises(anthropic.APIError):
        with client.messages.stream(model=model, max_tokens=50, messages=words(
                error="overloaded", error_after_events=7, chunk_chars=2, text="many words in here for it")) as stream:
            for _ in stream:
                pass


def test_async_many_at_once(gate, model):
    async def all_of():
        async with anthropic.AsyncAnthropic(base_url=gate.url, api_key=KEY, max_retries=0) as c:
            async def one(i):
                async with c.messages.stream(model=model, max_tokens=50, messages=words(text=f"no {i} " * 8)) as stream:
                    return "".join([t async for t in stream.text_stream])
            return await asyncio.gather(*(one(i) for i in range(20)))
    assert asyncio.run(all_of()) == [f"no {i} " * 8 for i in range(20)]


@pytest.mark.real
def test_the_real_engine_answers(engine):
    with anthropic.Anthropic(base_url=engine.url, api_key="x", timeout=120) as c:
        r = c.messages.create(model="smollm2:135m", max_tokens=12, messages=[{"role": "user", "content": "Say hello."}])
        assert r.content[0].text and r.usage.output_tokens <= 12
        with c.messages.stream(model="smollm2:135m", max_tokens=12, messages=[{"role": "user", "content": "Count."}]) as stream:
            assert "".join(stream.text_stream)
