# SPDX-License-Identifier: Apache-2.0
"""Structured output: an answer that breaks the schema it was asked for is asked for once more, then it is an error; a
stream that has begun keeps its text and loses its proper end."""
import json

import pytest

from harness import DIALECTS, FINISH, ask, assert_error_shape, chat

both = pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
pairs = pytest.mark.parametrize("client,upstream", [(c, u) for c in DIALECTS for u in DIALECTS])
SCHEMA = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"], "additionalProperties": False}
GOOD, BAD = '{"n": 7}', '{"n": "7"}'


def form(client, schema=SCHEMA, **more):
    """What a client says to bind an answer."""
    if client == "ollama":
        return {"format": schema}
    if client == "anthropic":
        return {"output_config": {"format": {"type": "json_schema", "schema": schema}}}
    if client == "responses":
        return {"text": {"format": {"type": "json_schema", "name": "x", "schema": schema, **more}}}
    if client == "gemini":
        return {"generationConfig": {"responseMimeType": "application/json", "responseJsonSchema": schema}}
    return {"response_format": {"type": "json_schema", "json_schema": {"name": "x", "schema": schema, **more}}}


@pytest.mark.tsan
@pairs
def test_a_breaking_answer_is_asked_for_once_more(three, client, upstream):
    three.sim.script([{"text": BAD}, {"text": GOOD, "usage": {"input": 5, "output": 3}}])
    reply, a = ask(three.daemon, client, f"{upstream}/m", "n?", False, **form(client))
    assert (reply.status, a.text, a.finish) == (200, GOOD, FINISH[client]["stop"])
    assert len(three.sim.requests()) == 2
    attempts = three.daemon.why(reply)["attempts"]
    assert [at["err"] for at in attempts] == ["up_schema", None]
    assert all(at["usage"]["output_tokens"] > 0 for at in attempts), "the broken one cost as well"


@pairs
def test_an_answer_broken_twice_is_an_error(three, client, upstream):
    three.sim.script({"default": {"text": BAD}})
    path, body = chat(client, f"{upstream}/m", "n?", **form(client))
    reply = three.daemon.post(path, body)
    assert reply.status == 502 and len(three.sim.requests()) == 2
    assert "does not fit the schema" in assert_error_shape(client, reply)


@pairs
@both
def test_a_fitting_answer_passes_at_once(three, client, upstream, stream):
    three.sim.script({"default": {"text": GOOD, "chunk_chars": 2}})
    _, a = ask(three.daemon, client, f"{upstream}/m", "n?", stream, **form(client))
    assert (a.text, a.error, a.ended, len(three.sim.requests())) == (GOOD, None, True, 1)


@pairs
def test_a_stream_that_breaks_has_no_proper_end(three, client, upstream):
    three.sim.script({"default": {"text": BAD, "chunk_chars": 2, "chunk_ms": 2}})
    reply, a = ask(three.daemon, client, f"{upstream}/m", "n?", True, **form(client))
    assert reply.status == 200 and BAD.startswith(a.text) and len(a.text) >= 2
    assert a.error and not a.ended and len(three.sim.requests()) == 1
    assert three.daemon.why(reply)["err"] == "up_schema"


@both
def test_after_the_second_break_comes_the_next_target(sims, gridtie, stream):
    bad, good = sims(), sims()
    daemon = gridtie({"endpoints": [bad.endpoint("bad"), good.endpoint("good")], "routes": {"r": {"targets": ["bad/m", "good/m"]}}})
    bad.always(text="")  # nothing is said, so that a stream is not committed either
    good.always(text=GOOD)
    reply, a = ask(daemon, "openai", "r", "n?", stream, **form("openai"))
    assert (reply.status, a.text, reply.headers["x-gridtie-target"]) == (200, GOOD, "good/m")
    assert (len(bad.requests()), len(good.requests())) == (2, 1)
    assert [at["target"] for at in daemon.why(reply)["attempts"]] == ["bad/m", "bad/m", "good/m"]


@both
@pytest.mark.parametrize("what", ["not strict", "length", "tool", "no schema"])
def test_what_is_not_judged(three, stream, what):
    order = {"text": "no JSON at all"}
    asked = form("openai", strict=False) if what == "not strict" else form("openai", strict=True)
    if what == "no schema":
        asked = {"response_format": {"type": "json_object"}}
    if what == "length":
        order["finish"] = "length"
    if what == "tool":
        order = {"tool_calls": [{"name": "weather", "arguments": {"city": "Rom"}}]}
    three.sim.script({"default": order})
    reply, a = ask(three.daemon, "openai", "openai/m", "n?", stream, tools=what == "tool", **asked)
    assert reply.status == 200 and a.ended and len(three.sim.requests()) == 1
    assert a.text == order.get("text", "") and bool(a.tools) == (what == "tool")


def test_a_schema_without_an_end_gives_up_and_says_so(three):
    three.sim.script({"default": {"text": GOOD}})
    reply, a = ask(three.daemon, "openai", "openai/m", "n?", False, **form("openai", {"$ref": "#"}))
    assert (reply.status, a.text) == (200, GOOD)
    assert [d["path"] for d in three.daemon.why(reply)["drops"]] == ["response_format"]


def test_the_names_of_the_schema_stay_out_of_the_record(three):
    three.sim.script({"default": {"text": '{"canary_in_the_answer": 1}'}})
    schema = {"type": "object", "properties": {"canary_in_the_schema": {"type": "string"}}, "required": ["canary_in_the_schema"]}
    path, body = chat("openai", "openai/m", "n?", **form("openai", schema))
    reply = three.daemon.post(path, body)
    assert reply.status == 502 and "canary_in_the_schema: is missing" in reply.text and "canary_in_the_answer" not in reply.text
    assert "canary" not in json.dumps(three.daemon.why(reply)) and "canary" not in three.daemon.stderr
