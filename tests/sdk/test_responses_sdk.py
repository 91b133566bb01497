# SPDX-License-Identifier: Apache-2.0
"""The official openai package, its responses: sync and async."""
import asyncio
import json

import openai
import pydantic
import pytest
from conftest import DIRECT, KEY
from harness import PNG, SCHEMA, order

TOOLS = [{"type": "function", "name": "weather", "description": "d", "parameters": SCHEMA, "strict": False}]


class City(pydantic.BaseModel):
    city: str


@pytest.fixture
def client(gate):
    with openai.OpenAI(base_url=gate.url + "/v1", api_key=KEY, max_retries=0, timeout=20) as c:
        yield c


def test_create(client, model):
    r = client.responses.create(model=model, input=order(text="Grüße", usage={"input": 9, "output": 4}), instructions="Be brief.",
                                store=False)
    assert (r.output_text, r.status, r.error) == ("Grüße", "completed", None)
    assert (r.usage.input_tokens, r.usage.output_tokens, r.usage.total_tokens) == (9, 4, 13)


def test_raw_events(client, model):
    events = list(client.responses.create(model=model, input=order(text="one two three four"), stream=True))
    assert [e.sequence_number for e in events] == list(range(len(events)))
    kinds = [e.type.removeprefix("response.") for e in events]
    assert kinds[:3] == ["created", "in_progress", "output_item.added"] and kinds[-1] == "completed"
    assert "".join(e.delta for e in events if e.type == "response.output_text.delta") == "one two three four"
    assert events[-1].response.output_text == "one two three four"


def test_the_stream_helper_accumulates(client, model):
    with client.responses.stream(model=model, input=order(text="helped", thinking="I ponder"), reasoning={"summary": "auto"}) as s:
        for _ in s:
            pass
        r = s.get_final_response()
    assert r.output_text == "helped" and [i.type for i in r.output] == ["reasoning", "message"]
    said = "".join(p.text for p in [*r.output[0].summary, *(r.output[0].content or [])])
    assert said == "I ponder"


def test_a_cut_answer_is_incomplete(client, model):
    r = client.responses.create(model=model, input=order(text="cut", finish="length"), max_output_tokens=50)
    assert r.status == "incomplete" and r.incomplete_details.reason == "max_output_tokens" and r.output_text == "cut"


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
def test_tools_and_results(client, model, stream):
    what = [{"role": "user", "content": order(chunk_chars=3, tool_calls=[
        {"name": "weather", "arguments": {"city": "Köln"}}, {"name": "weather", "arguments": {"city": "Rom"}}])}]
    if stream:
        with client.responses.stream(model=model, input=what, tools=TOOLS) as s:
            r = s.get_final_response()
    else:
        r = client.responses.create(model=model, input=what, tools=TOOLS)
    calls = [i for i in r.output if i.type == "function_call"]
    assert [json.loads(c.arguments)["city"] for c in calls] == ["Köln", "Rom"] and len({c.call_id for c in calls}) == 2
    again = [*what, *r.output, *({"type": "function_call_output", "call_id": c.call_id, "output": "12"} for c in calls),
             {"role": "user", "content": order("thanks", text="warm")}]
    assert client.responses.create(model=model, input=again, tools=TOOLS).output_text == "warm"


def test_image(client, model, provider):
    content = [{"type": "input_text", "text": order(text="a dot")},
               {"type": "input_image", "detail": "auto", "image_url": "data:image/png;base64," + PNG}]
    r = client.responses.create(model=model, input=[{"role": "user", "content": content}])
    assert r.output_text == "a dot" and PNG in provider.last()["body"]


def test_parse_gives_the_type(client, model):
    r = client.responses.parse(model=model, input=order(text='{"city": "Köln"}'), text_format=City)
    assert r.output_parsed == City(city="Köln")


def test_counted_tokens(client, model):
    assert client.responses.input_tokens.count(model=model, input="many words here", tools=TOOLS).input_tokens > 3


@pytest.mark.parametrize("error,kind", [("rate_limit", openai.RateLimitError), ("server_error", openai.InternalServerError),
                                        ("overloaded", openai.InternalServerError),
                                        ("context_length", openai.BadRequestError)])
def test_errors_have_their_class(client, model, error, kind):
    with pytest.raises(kind) as caught:
        client.responses.create(model=model, input=order(error=error))
    assert caught.value.body["message"]


@pytest.mark.skipif(DIRECT, reason="the daemon's own")
def test_errors_of_the_gate_have_their_class(client):
    with pytest.raises(openai.NotFoundError):
        client.responses.create(model="nothing", input="x")
    with pytest.raises(openai.BadRequestError, match="temperature") as caught:
        client.responses.create(model="responses/m", input="x", temperature="hot")
    assert caught.value.param == "temperature"
    with pytest.raises(openai.BadRequestError, match="previous_response_id") as caught:
        client.responses.create(model="responses/m", input="x", previous_response_id="resp_1")
    assert caught.value.param == "previous_response_id"


def test_a_broken_stream_says_so(client, model):
    kinds = []
    with pytest.raises(openai.APIError):
        for e in client.responses.create(model=model, stream=True, input=order(
                error="overloaded", error_after_events=9, chunk_chars=2, text="many words in here for it and some more")):
            kinds.append(e.type)
            assert e.type not in ("response.completed", "response.incomplete")
            if e.type in ("response.failed", "error"):
                raise openai.APIError("told", request=None, body=None)
    assert "response.output_text.delta" in kinds


def test_async_many_at_once(gate, model):
    async def all_of():
        async with openai.AsyncOpenAI(base_url=gate.url + "/v1", api_key=KEY, max_retries=0) as c:
            async def one(i):
                async with c.responses.stream(model=model, input=order(text=f"no {i} " * 8)) as s:
                    return (await s.get_final_response()).output_text
            return await asyncio.gather(*(one(i) for i in range(20)))
    assert asyncio.run(all_of()) == [f"no {i} " * 8 for i in range(20)]


@pytest.mark.real
def test_the_real_engine_answers(engine):
    with openai.OpenAI(base_url=engine.url + "/v1", api_key="x", timeout=120, max_retries=0) as c:
        what = {"model": "smollm2:135m", "input": "Count to five.", "max_output_tokens": 12}
        r = c.responses.create(**what)
        assert r.output_text and r.usage.output_tokens <= 12 and r.status in ("completed", "incomplete")
        events = list(c.responses.create(**what, stream=True))  # the helper above it wants an answer that was not cut
        assert events[-1].type in ("response.completed", "response.incomplete")
        assert "".join(e.delta for e in events if e.type == "response.output_text.delta") == events[-1].response.output_text != ""
        assert c.responses.input_tokens.count(model="smollm2:135m", input="Count to five.").input_tokens > 3


@pytest.mark.real
@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
def test_the_real_engine_calls_a_tool_and_keeps_a_schema(engine, stream):
    bounded = {"type": "object", "properties": {"city": {"type": "string", "maxLength": 30}}, "required": ["city"],
               "additionalProperties": False}
    with openai.OpenAI(base_url=engine.url + "/v1", api_key="x", timeout=120, max_retries=0) as c:
        what = {"model": "smollm2:135m", "input": [{"role": "user", "content": "The weather in Paris?"}], "max_output_tokens": 200,
                "tools": [{**TOOLS[0], "parameters": bounded}], "tool_choice": "required"}
        if stream:
            r = list(c.responses.create(**what, stream=True))[-1].response
        else:
            r = c.responses.create(**what)
        call, = [i for i in r.output if i.type == "function_call"]
        assert call.name == "weather" and list(json.loads(call.arguments)) == ["city"]
        again = [*what["input"], call.model_dump(exclude_none=True, exclude={"parsed_arguments"}),
                 {"type": "function_call_output", "call_id": call.call_id, "output": "12 degrees"}]
        form = {"format": {"type": "json_schema", "name": "p", "schema": bounded, "strict": True}}
        r = c.responses.create(model="smollm2:135m", input=again, text=form, max_output_tokens=200)
        assert list(json.loads(r.output_text)) == ["city"]
