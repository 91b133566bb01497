# SPDX-License-Identifier: Apache-2.0
"""What goes over the wire, held against what its owners publish: OpenAI's description of its API for requests, answers and
every event of a stream, Ollama's for answers and lists. What is told are recorded streams of all providers
(../shared/vectors), as every client hears them."""
import json

import pytest
import yaml

from harness import DIALECTS, READERS, ask, chat, order, sse
from recorded import FOLDERS, VECTORS, recorded_streams

OPENAPI = VECTORS / "openai+openai-openapi/openapi.yaml"
pytestmark = pytest.mark.skipif(not OPENAPI.exists(), reason="no recorded payloads")
both = pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])


def loosened(v):
    """Its alternatives overlap (a message is one of two kinds of item), so that "one of" holds for nothing."""
    if isinstance(v, dict):
        return {"anyOf" if k == "oneOf" else k: loosened(x) for k, x in v.items()}
    return [loosened(x) for x in v] if isinstance(v, list) else v


class Described:
    """The components of an OpenAPI description, as validators."""

    def __init__(self, path):
        from jsonschema import Draft202012Validator
        self.validator = Draft202012Validator
        self.components = loosened(yaml.load(path.read_text(), Loader=yaml.CSafeLoader)["components"])
        self.made, self.events = {}, {}
        for row in self.components["schemas"].get("ResponseStreamEvent", {"anyOf": []})["anyOf"]:
            name = row["$ref"].split("/")[-1]
            self.events[self.components["schemas"][name]["properties"]["type"]["enum"][0]] = name

    def check(self, name, value):
        if name not in self.made:
            self.made[name] = self.validator({"$ref": f"#/components/schemas/{name}", "components": self.components})
        found = sorted(self.made[name].iter_errors(value), key=lambda e: len(e.absolute_path))
        assert not found, [f"{name} {e.json_path}: {e.message[:300]}" for e in found[:3]]

    def check_events(self, body):
        for _, data in sse(body):
            j = json.loads(data)
            if j.get("response", {}).get("usage", 0) is None:
                del j["response"]["usage"]  # OpenAI's own streams say null here, which its description forgets
            self.check(self.events[j["type"]], j)


@pytest.fixture(scope="module")
def described():
    return Described(OPENAPI)


@pytest.fixture(scope="module")
def ollama():
    return Described(VECTORS / "ollama+ollama/openapi.yaml")


@pytest.mark.parametrize("upstream", [d for d in DIALECTS if d != "ollama"])
def test_answers_for_an_ollama_client_are_as_described(three, ollama, upstream):
    for what in ORDERS:
        for stream in (False, True):
            reply, _ = ask(three.daemon, "ollama", f"{upstream}/m", order(**what), stream, tools=True)
            lines = [json.loads(line) for line in reply.text.splitlines()]
            for j in lines:
                ollama.check("ChatStreamEvent" if stream else "ChatResponse", j)
            assert [j["done"] for j in lines] == [False] * (len(lines) - 1) + [True]
            body = {"model": f"{upstream}/m", "prompt": order(**what), "stream": stream}
            for line in three.daemon.post("/api/generate", body).text.splitlines():
                ollama.check("GenerateStreamEvent" if stream else "GenerateResponse", json.loads(line))


@pytest.mark.parametrize("method, path, schema", [("GET", "/api/tags", "ListResponse"), ("GET", "/api/ps", "PsResponse"),
                                                  ("GET", "/api/version", "VersionResponse"), ("POST", "/api/show", "ShowResponse")])
def test_ollamas_lists_are_as_described(three, ollama, method, path, schema):
    ollama.check(schema, three.daemon.call(method, path, {"model": "openai/m"} if method == "POST" else None).json)


@pytest.mark.parametrize("upstream", FOLDERS)
def test_recorded_streams_are_told_alike_to_every_client(three, described, upstream):
    files = list(recorded_streams(upstream))
    assert files
    for path, body in files:
        heard = {}
        for client in DIALECTS:
            three.sim.script([{"body": body, "content_type": "text/event-stream"}])
            where, asked = chat(client, f"{upstream}/m", "x", True, tools=True, think=True)
            reply = three.daemon.post(where, asked)
            assert reply.status == 200 and reply.complete, (path.name, client, reply.text[:300])
            if client == "responses" != upstream:
                described.check_events(reply.body)
            if client != upstream:
                a = READERS[client](reply.body, True)
                assert a.ended and not a.error, (path.name, client, a.error)
                heard[client] = a
        texts = {a.text for a in heard.values()}
        assert len(texts) == 1, (path.name, {c: a.text[:80] for c, a in heard.items()})
        assert len({json.dumps(a.tools) for a in heard.values()}) == 1, (path.name, {c: a.tools for c, a in heard.items()})


ORDERS = [{"text": "Hi"}, {"text": ""}, {"text": "cut", "finish": "length"}, {"text": "no", "finish": "filter"},
          {"thinking": "First, I ponder.", "text": "Done.", "usage": {"input": 9, "output": 8, "cached": 4}},
          {"text": "Let me see.", "tool_calls": [{"name": "weather", "arguments": {"city": "Köln"}}, {"name": "weather"}]}]


@pytest.mark.parametrize("upstream", [d for d in DIALECTS if d != "responses"])
@both
def test_answers_for_a_responses_client_are_as_described(three, described, upstream, stream):
    for what in ORDERS:
        reply, a = ask(three.daemon, "responses", f"{upstream}/m", order(**what), stream, tools=True, think=True,
                       metadata={"a": "b"}, instructions="Be brief.", temperature=0.5)
        assert reply.status == 200 and a.ended
        if stream:
            described.check_events(reply.body)
        else:
            described.check("Response", reply.json)


@pytest.mark.parametrize("upstream", DIALECTS)
def test_a_stream_that_breaks_is_as_described(three, described, upstream):
    events = {"responses": 7, "anthropic": 6}.get(upstream, 4)
    reply, a = ask(three.daemon, "responses", f"{upstream}/m", order(text="a b c d e f g h", chunk_chars=2, error="overloaded",
                                                                    error_after_events=events), True)
    assert reply.status == 200 and a.error and a.text
    if upstream != "responses":
        described.check_events(reply.body)
    else:
        described.check("ResponseErrorEvent", json.loads(sse(reply.body)[-1][1]))


def check_chunks(described, body, schema, asked, finishes):
    """What the description says of each chunk, and what it says in words of the stream."""
    datas = [data for _, data in sse(body)]
    assert datas[-1] == "[DONE]" and datas.count("[DONE]") == 1
    chunks = [json.loads(data) for data in datas[:-1]]
    for member in ("id", "created", "model", "object"):
        assert len({c[member] for c in chunks}) == 1, f"{member} changes"
    assert isinstance(chunks[0]["created"], int)
    for c in chunks:
        for choice in c["choices"]:
            assert "finish_reason" in choice
        assert asked == ("usage" in c), "usage is in all pieces or in none"
        assert bool(c.get("usage")) == (not c["choices"]), "counts come once, behind the choices"
        pieces = [{**x, "finish_reason": x["finish_reason"] or "stop"} for x in c["choices"]]  # null is the right word before
        described.check(schema, {**{k: v for k, v in c.items() if v is not None}, "choices": pieces})
    assert [x["finish_reason"] for c in chunks for x in c["choices"] if x["finish_reason"]] == [finishes]


@pytest.mark.parametrize("upstream", [d for d in DIALECTS if d != "openai"])
@both
def test_answers_for_a_chat_client_are_as_described(three, described, upstream, stream):
    finishes = {"length": "length", "filter": "stop" if upstream == "ollama" else "content_filter"}  # Ollama has no word for it
    for what in ORDERS:
        for asked in (False, True) if stream else (True,):
            more = {"stream_options": {"include_usage": asked}} if stream else {}
            reply, a = ask(three.daemon, "openai", f"{upstream}/m", order(**what), stream, tools=True, think=True, **more)
            assert reply.status == 200 and a.ended
            if stream:
                check_chunks(described, reply.body, "CreateChatCompletionStreamResponse", asked,
                             "tool_calls" if "tool_calls" in what else finishes.get(what.get("finish"), "stop"))
            else:
                described.check("CreateChatCompletionResponse", reply.json)


@pytest.mark.parametrize("upstream", [d for d in DIALECTS if d != "openai"])
def test_completions_are_as_described(three, described, upstream):
    body = {"model": f"{upstream}/m", "prompt": order(text="Once upon a time.", chunk_chars=4)}
    described.check("CreateCompletionResponse", three.daemon.post("/v1/completions", body).json)
    for asked in (False, True):
        reply = three.daemon.post("/v1/completions", {**body, "stream": True, "stream_options": {"include_usage": asked}})
        check_chunks(described, reply.body, "CreateCompletionResponse", asked, "stop")


@pytest.mark.parametrize("upstream", DIALECTS)
def test_errors_and_lists_are_as_described(three, described, upstream):
    known = {"rate_limit": (429, "rate_limit_exceeded"), "quota": (429, "insufficient_quota"), "overloaded": (503, None),
             "context_length": (400, "context_length_exceeded"), "server_error": (502, None)}
    for error, (status, code) in known.items():
        for path, body in (chat("openai", f"{upstream}/m", order(error=error)), chat("responses", f"{upstream}/m", order(error=error))):
            reply = three.daemon.post(path, body)
            assert reply.status == status
            described.check("ErrorResponse", reply.json)
            told = upstream != "gemini" or error != "quota"  # Google has one word for both
            assert code in (None, reply.json["error"]["code"]) or not told
    for body, param, code in (({}, "model", "missing_required_parameter"), ({"model": "x"}, "messages", "missing_required_parameter"),
                              ({"model": 1}, "model", "invalid_value")):
        error = three.daemon.post("/v1/chat/completions", body).json["error"]
        assert (error["type"], error["param"], error["code"]) == ("invalid_request_error", param, code)
    described.check("ListModelsResponse", three.daemon.get("/v1/models").json)
    described.check("Model", three.daemon.get(f"/v1/models/{upstream}/m").json)


def test_counted_tokens_are_as_described(three, described):
    for upstream in DIALECTS:
        _, body = chat("responses", f"{upstream}/m", "count")
        described.check("TokenCountsResource", three.daemon.post("/v1/responses/input_tokens", body).json)


MORE = {
    "openai": {"response_format": {"type": "json_schema", "json_schema": {"name": "x", "schema": {"type": "object"}}},
               "tool_choice": "required", "parallel_tool_calls": False, "top_p": 0.5, "max_tokens": 99, "logprobs": True,
               "top_logprobs": 2, "user": "u"},
    "anthropic": {"tool_choice": {"type": "tool", "name": "weather"}, "top_p": 0.97, "metadata": {"user_id": "u"}},
    "ollama": {"format": {"type": "object"}, "options": {"temperature": 0.5, "num_predict": 99}},
    "responses": {"store": False, "top_logprobs": 2, "truncation": "disabled"},
    "gemini": {"generationConfig": {"responseMimeType": "application/json", "responseJsonSchema": {"type": "object"},
                                    "maxOutputTokens": 99, "thinkingConfig": {"thinkingLevel": "low"}},
               "toolConfig": {"functionCallingConfig": {"mode": "ANY", "allowedFunctionNames": ["weather"]}}},
}


@pytest.mark.parametrize("client", DIALECTS)
@both
def test_requests_to_openai_are_as_described(three, described, client, stream):
    for upstream, name in (("responses", "CreateResponse"), ("openai", "CreateChatCompletionRequest")):
        if client == upstream:
            continue
        for more in ({"system": "Be brief.", "image": True}, {"results": True, "system": "s"}, {"tools": True, **MORE[client]},
                     {"think": True}):
            ask(three.daemon, client, f"{upstream}/m", "Hi", stream, **more)
            described.check(name, json.loads(three.sim.last()["body"]))
