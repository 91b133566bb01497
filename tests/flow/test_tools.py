# SPDX-License-Identifier: Apache-2.0
"""Tools for a model that has none: what the engine is asked instead, and that every client gets proper calls, or an
honest error. The scripted provider plays a llama-server whose model is known to have no tools."""
import json

import pytest

from harness import DIALECTS, FINISH, Client, Gridtie, Sim, ask, assert_error_shape, chat, read, sse

both = pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
each = pytest.mark.parametrize("client", DIALECTS)
CALL = {"name": "weather", "arguments": {"city": "Köln \"am\" Rhein"}}
FORCED = {"openai": "required", "anthropic": {"type": "any"}, "responses": "required", "gemini": {"mode": "ANY"}}
NAMED = {"openai": {"type": "function", "function": {"name": "weather"}}, "anthropic": {"type": "tool", "name": "weather"},
         "responses": {"type": "function", "name": "weather"}, "gemini": {"mode": "ANY", "allowedFunctionNames": ["weather"]}}
NONE = {"openai": "none", "anthropic": {"type": "none"}, "responses": "none", "gemini": {"mode": "NONE"}}


@pytest.fixture(scope="module")
def plain_of_module(tmp_path_factory, loops):
    folder = tmp_path_factory.mktemp("plain")
    sim = Sim(folder)
    model = {"name": "m", "tools": False, "vision": False}
    daemon = Gridtie(folder, {"endpoints": [{"name": "plain", "provider": "llama-server", "url": sim.url + "/v1", "models": [model]}]},
                     loops=loops)
    daemon.sim = sim
    yield daemon
    try:
        daemon.stop()
    finally:
        daemon.kill()
        sim.stop()


@pytest.fixture
def plain(plain_of_module):
    """A daemon in front of a model without tools; `plain.sim` plays it."""
    plain_of_module.sim.reset()
    yield plain_of_module
    assert plain_of_module.process.poll() is None, plain_of_module.stderr[-6000:]


def said(what, **more):
    return {"text": what if isinstance(what, str) else json.dumps(what, ensure_ascii=False), **more}


def sent(daemon):
    return json.loads(daemon.sim.last()["body"])


def bound_by(body):
    assert "tools" not in body and "tool_choice" not in body and "parallel_tool_calls" not in body
    return body["response_format"]["json_schema"]["schema"]


def choose(client, table):
    if client == "gemini":
        return {"toolConfig": {"functionCallingConfig": table[client]}}
    return {"tool_choice": table[client]} if client in table else {}


@pytest.mark.tsan
@each
@both
def test_a_call_is_a_call_in_every_dialect(plain, client, stream):
    plain.sim.always(**said(CALL, chunk_chars=3, usage={"input": 77, "output": 9}))
    reply, a = ask(plain, client, "plain/m", "Weather?", stream, tools=True, **choose(client, FORCED))
    assert reply.status == 200 and reply.complete and a.ended and a.error is None
    assert (a.tools, a.text) == ([("weather", CALL["arguments"])], "")
    assert a.finish == FINISH[client]["tool"] and (a.input_tokens, a.output_tokens) == (77, 9)
    alternatives = bound_by(sent(plain))["anyOf"]
    assert len(alternatives) == (1 if client in FORCED else 2)
    assert alternatives[0]["properties"]["name"] == {"const": "weather"}
    system = sent(plain)["messages"][0]
    assert system["role"] == "system" and '{"name":"weather"' in system["content"] and "The weather." in system["content"]
    notes = [(d["action"], d["path"]) for d in plain.why(reply)["drops"]]
    assert ("approximated", "tools") in notes


@each
@both
def test_words_are_words(plain, client, stream):
    text = "Grüße, \"quoted\"\n\ttab \\ 😀 end"
    plain.sim.always(text=json.dumps({"text": text}), chunk_chars=1)  # with \u escapes, cut everywhere
    reply, a = ask(plain, client, "plain/m", "Hi", stream, tools=True)
    assert reply.status == 200 and (a.text, a.tools, a.error, a.ended) == (text, [], None, True)
    assert a.finish == FINISH[client]["stop"]


@each
def test_words_stream_as_they_come(plain, client):
    """The text is there while the model is still at it."""
    plain.sim.always(**said({"text": "alpha beta gamma omega"}, chunk_chars=16, stall_after_events=3))
    path, body = chat(client, "plain/m", "Hi", stream=True, tools=True)
    with Client(plain.port) as c:
        c.request("POST", path, body)
        assert c.head()[0] == 200
        got = b""
        while b"alpha" not in got:
            more = c.some()
            assert more, got
            got += more
    assert b"omega" not in got


@pytest.mark.parametrize("client", list(NAMED))
@both
def test_a_named_tool_is_the_only_one(plain, client, stream):
    plain.sim.always(**said(CALL))
    path, body = chat(client, "plain/m", "Hi", stream, tools=True, **choose(client, NAMED))
    other = json.loads(json.dumps(body["tools"][0]).replace("weather", "other"))
    reply = plain.post(path, {**body, "tools": [other, *body["tools"]]})
    assert read(client, reply, stream).tools == [("weather", CALL["arguments"])]
    schema = bound_by(sent(plain))
    assert [a["properties"]["name"]["const"] for a in schema["anyOf"]] == ["weather"]
    assert schema["anyOf"][0]["properties"]["arguments"] == {"$ref": "#/$defs/t1"}


@pytest.mark.parametrize("client", list(NONE))
@both
def test_none_passes_without(plain, client, stream):
    plain.sim.always(text="plain words")
    reply, a = ask(plain, client, "plain/m", "Hi", stream, tools=True, **choose(client, NONE))
    assert (reply.status, a.text, a.tools) == (200, "plain words", [])
    body = sent(plain)
    assert "tools" not in body and "response_format" not in body and "weather" not in json.dumps(body)


@each
@both
def test_the_past_is_written_as_text(plain, client, stream):
    plain.sim.always(**said({"text": "Warm."}))
    reply, a = ask(plain, client, "plain/m", "So?", stream, results=True)
    assert reply.status == 200 and a.text == "Warm."
    turns = [(m["role"], m["content"]) for m in sent(plain)["messages"]]
    assert [role for role, _ in turns] == ["system", "user", "assistant", "user"]
    name, result = turns[2][1], turns[3][1]
    assert json.loads(name) == {"name": "weather", "arguments": {"city": "Köln"}}
    assert result == "Result of weather: 12 degrees\nSo?"


BROKEN = {
    "arguments that do not fit": {"name": "weather", "arguments": {"city": 7}},
    "arguments that are missing": {"name": "weather"},
    "another tool": {"name": "rm", "arguments": {}},
    "no JSON": "I would rather talk.",
    "half of it": '{"name":"weather","arguments":{"city":"K',
    "words": {"text": "I would rather talk."},
}


@pytest.mark.parametrize("client", list(FORCED))
@both
@pytest.mark.parametrize("how", list(BROKEN))
def test_a_broken_call_is_asked_for_once_more(plain, client, stream, how):
    plain.sim.script([said(BROKEN[how]), said(CALL)])
    reply, a = ask(plain, client, "plain/m", "Hi", stream, tools=True, **choose(client, FORCED))
    assert (reply.status, a.tools) == (200, [("weather", CALL["arguments"])])
    first, second = [bound_by(json.loads(r["body"])) for r in plain.sim.requests()]
    assert "maxLength" not in json.dumps(first) and second["$defs"]["t0"]["properties"]["city"]["maxLength"] == 80
    attempts = plain.why(reply)["attempts"]
    assert [at["err"] for at in attempts] == ["up_schema", None]
    assert "again as the answer broke its schema" in attempts[1]["reason"]


@pytest.mark.tsan
@pytest.mark.parametrize("client", list(FORCED))
@both
@pytest.mark.parametrize("how", list(BROKEN))
def test_a_call_broken_twice_is_an_error(plain, client, stream, how):
    plain.sim.always(**said(BROKEN[how], chunk_chars=2))
    path, body = chat(client, "plain/m", "Hi", stream, tools=True, **choose(client, FORCED))
    reply = plain.post(path, body)
    assert reply.status == 502 and len(plain.sim.requests()) == 2
    text = assert_error_shape(client, reply)
    assert "the model" in text and "weather" not in json.dumps(plain.why(reply)["attempts"])


@each
@both
def test_a_call_cut_by_its_length_is_no_call(plain, client, stream):
    plain.sim.always(**said('{"name":"weather","arguments":{"city":"Kö', finish="length"))
    reply, a = ask(plain, client, "plain/m", "Hi", stream, tools=True)
    assert reply.status == 200 and len(plain.sim.requests()) == 2
    assert (a.tools, a.text, a.finish, a.ended) == ([], "", FINISH[client]["length"], True)


@each
@both
def test_words_cut_by_their_length_say_so(plain, client, stream):
    plain.sim.always(**said('{"text":"and then \\u00e', finish="length", chunk_chars=1))
    _, a = ask(plain, client, "plain/m", "Hi", stream, tools=True)
    assert (a.text, a.finish) == ("and then ", FINISH[client]["length"]) and len(plain.sim.requests()) == 1


@both
def test_several_calls_where_they_are_allowed(plain, stream):
    calls = [{"name": "weather", "arguments": {"city": c}} for c in ("Köln", "Oslo")]
    plain.sim.always(**said({"calls": calls}, chunk_chars=5))
    _, a = ask(plain, "openai", "plain/m", "Hi", stream, tools=True, parallel_tool_calls=True)
    assert a.tools == [("weather", {"city": "Köln"}), ("weather", {"city": "Oslo"})]
    assert bound_by(sent(plain))["anyOf"][0]["properties"]["calls"]["maxItems"] == 8


@each
@both
def test_a_schema_that_the_engine_refuses_names_the_tool(plain, client, stream):
    plain.sim.always(status=400, body=json.dumps({"error": {"code": 400, "type": "invalid_request_error", "message":
                     "JSON schema error at #/$defs/t0/properties/city: unrecognized type any"}}))
    path, body = chat(client, "plain/m", "Hi", stream, tools=True)
    reply = plain.post(path, body)
    assert reply.status == 400 and len(plain.sim.requests()) == 1
    assert "tool 'weather'" in assert_error_shape(client, reply)


def test_a_choice_of_no_tool_is_refused(plain):
    path, body = chat("openai", "plain/m", "Hi", tools=True, tool_choice={"type": "function", "function": {"name": "rm"}})
    reply = plain.post(path, body)
    assert reply.status == 400 and "there is no tool 'rm'" in assert_error_shape("openai", reply)
    assert plain.sim.requests() == []


@both
def test_tools_and_a_schema_for_the_answer(plain, stream):
    schema = {"type": "object", "properties": {"n": {"$ref": "#/$defs/n"}}, "required": ["n"], "$defs": {"n": {"type": "integer"}}}
    form = {"type": "json_schema", "json_schema": {"name": "x", "strict": True, "schema": schema}}
    plain.sim.always(**said({"answer": {"n": 7}}, chunk_chars=1))
    _, a = ask(plain, "openai", "plain/m", "Hi", stream, tools=True, response_format=form)
    assert json.loads(a.text) == {"n": 7} and a.finish == "stop"
    plain.sim.reset()
    plain.sim.always(**said(CALL))
    _, a = ask(plain, "openai", "plain/m", "Hi", stream, tools=True, response_format=form)
    assert a.tools == [("weather", CALL["arguments"])]
    plain.sim.reset()
    plain.sim.script([said({"answer": {"n": "7"}}), said({"answer": {"n": 8}})])
    _, a = ask(plain, "openai", "plain/m", "Hi", False, tools=True, response_format=form)
    assert json.loads(a.text) == {"n": 8}


def test_thinking_stands_before_a_call(plain):
    plain.sim.always(**said(CALL, thinking="rain or sun?"))
    reply, a = ask(plain, "anthropic", "plain/m", "Hi", True, tools=True)
    assert (a.thinking, a.tools) == ("rain or sun?", [("weather", CALL["arguments"])])
    assert [json.loads(d)["content_block"]["type"] for e, d in sse(reply.body) if e == "content_block_start"] == ["thinking", "tool_use"]


def test_a_model_with_tools_gets_them(sim, gridtie):
    daemon = gridtie({"endpoints": [{"name": "able", "provider": "llama-server", "url": sim.url + "/v1",
                                     "models": [{"name": "m", "tools": True, "vision": False}, "unknown"]}]})
    for model in ("able/m", "able/unknown"):
        sim.always(tool_calls=[{"name": "weather", "arguments": {"city": "Rom"}}])
        _, a = ask(daemon, "openai", model, "Hi", False, tools=True)
        assert a.tools == [("weather", {"city": "Rom"})] and "tools" in json.loads(sim.last()["body"])


def test_elsewhere_a_model_without_tools_is_no_candidate(sim, gridtie):
    daemon = gridtie({"endpoints": [sim.endpoint("far", models=[{"name": "m", "tools": False, "vision": False}])]})
    path, body = chat("openai", "far/m", "Hi", tools=True)
    reply = daemon.post(path, body)
    assert reply.status == 400 and "cannot call tools" in reply.text


def test_tokens_are_counted_with_the_tools_in_the_prompt(plain):
    plain.sim.always(**said('{"te', finish="length", usage={"input": 123, "output": 1}))
    body = chat("anthropic", "plain/m", "Hi", tools=True)[1]
    body.pop("max_tokens")
    reply = plain.post("/v1/messages/count_tokens", body)
    assert reply.status == 200 and reply.json["input_tokens"] > 0
