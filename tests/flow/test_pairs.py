# SPDX-License-Identifier: Apache-2.0
"""Every client's dialect against every upstream's: what is said on one side is heard on the other."""
import json

import pytest

from harness import DIALECTS, FINISH, PNG, SCHEMA, TURNS, ask, assert_error_shape, chat, order, read, seen_text

pytestmark = pytest.mark.tsan
pairs = pytest.mark.parametrize("client,upstream", [(c, u) for c in DIALECTS for u in DIALECTS])
both = pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
CITY = {"city": "Köln \"am\" Rhein"}


@pairs
@both
def test_text_arrives_whole(three, client, upstream, stream):
    text = "Grüße, 世界! \"quoted\"\n\ttab \\ back 😀 end"
    reply, a = ask(three.daemon, client, f"{upstream}/m", order("hello", text=text), stream)
    assert reply.status == 200 and reply.complete
    assert (a.text, a.error, a.ended) == (text, None, True)
    assert a.finish == FINISH[client]["stop"]


@pairs
@both
def test_usage_is_what_the_upstream_counted(three, client, upstream, stream):
    _, a = ask(three.daemon, client, f"{upstream}/m", order(usage={"input": 321, "output": 45}), stream)
    assert (a.input_tokens, a.output_tokens) == (321, 45)


@pairs
@both
def test_an_answer_cut_by_its_length_says_so(three, client, upstream, stream):
    _, a = ask(three.daemon, client, f"{upstream}/m", order(text="cut", finish="length"), stream)
    assert a.finish == FINISH[client]["length"] and a.text == "cut"


@pairs
@both
def test_a_tool_call_arrives_with_its_arguments(three, client, upstream, stream):
    what = order(text="Let me see.", tool_calls=[{"name": "weather", "arguments": CITY}], chunk_chars=3)
    _, a = ask(three.daemon, client, f"{upstream}/m", what, stream, tools=True)
    assert a.tools == [("weather", CITY)] and a.text == "Let me see."
    assert a.finish == FINISH[client]["tool"]


@pairs
@both
def test_parallel_tool_calls_stay_apart(three, client, upstream, stream):
    calls = [{"name": "weather", "arguments": {"city": c}} for c in ("Köln", "Oslo", "Rome")]
    _, a = ask(three.daemon, client, f"{upstream}/m", order(tool_calls=calls, chunk_chars=2, interleave=True), stream,
               tools=True)
    assert a.tools == [(c["name"], c["arguments"]) for c in calls]


@pairs
@both
def test_a_tool_without_arguments_is_called_with_an_empty_object(three, client, upstream, stream):
    _, a = ask(three.daemon, client, f"{upstream}/m", order(tool_calls=[{"name": "weather"}]), stream, tools=True)
    assert a.tools == [("weather", {})]


@pairs
@both
def test_thinking_stays_apart_from_the_answer(three, client, upstream, stream):
    _, a = ask(three.daemon, client, f"{upstream}/m", order(thinking="First, I ponder.", text="Done."), stream, think=True)
    assert a.text == "Done." and a.thinking == "First, I ponder."


@pairs
@both
def test_a_stream_cut_into_single_bytes_is_the_same_stream(three, client, upstream, stream):
    what = order(text="Ünï→😀", thinking="hm", tool_calls=[{"name": "weather", "arguments": CITY}], split=1, rechunk=1)
    _, a = ask(three.daemon, client, f"{upstream}/m", what, stream, tools=True, think=True)
    assert (a.text, a.thinking, a.tools, a.ended) == ("Ünï→😀", "hm", [("weather", CITY)], True)


@pairs
def test_the_upstream_gets_system_text_tools_and_tool_results(three, client, upstream):
    ask(three.daemon, client, f"{upstream}/m", "and now?", system="Be brief.", results=True)
    got = three.sim.last()
    words = seen_text(upstream, got["body"])
    for said in ("Be brief.", "weather?", "12 degrees", "and now?"):
        assert said in words
    body = json.loads(got["body"])
    tool = body["tools"][0]
    tool = tool["functionDeclarations"][0] if upstream == "gemini" else tool.get("function", tool)
    assert tool["name"] == "weather"
    assert next(tool[k] for k in ("input_schema", "parametersJsonSchema", "parameters") if k in tool) == SCHEMA
    assert "Köln" in json.dumps(body, ensure_ascii=False).replace("\\\\u00f6", "ö"), "the call's arguments did not travel"
    if upstream == "anthropic":
        assert [b for m in body["messages"] for b in m["content"] if isinstance(b, dict) and b["type"] == "tool_result"]
    elif upstream == "responses":
        call, result = [i for i in body["input"] if i.get("type", "").startswith("function_call")]
        assert call["call_id"] == result["call_id"] and result["type"] == "function_call_output"
    elif upstream == "gemini":
        kinds = [k for c in body["contents"] for p in c["parts"] for k in p if k.startswith("function")]
        assert kinds == ["functionCall", "functionResponse"]
    else:
        assert [m for m in body["messages"] if m["role"] == "tool"]


@pairs
def test_the_upstream_gets_an_image(three, client, upstream):
    ask(three.daemon, client, f"{upstream}/m", "what is this?", image=True)
    body = three.sim.last()["body"]
    assert PNG in body and "what is this?" in body
    user = json.loads(body)[TURNS.get(upstream, "messages")][-1]
    if upstream == "responses":
        image = [p for p in user["content"] if p["type"] == "input_image"][0]
        assert image["image_url"] == "data:image/png;base64," + PNG
    elif upstream == "gemini":
        assert [p for p in user["parts"] if "inlineData" in p][0]["inlineData"] == {"mimeType": "image/png", "data": PNG}
    elif upstream == "ollama":
        assert user["images"] == [PNG]
    elif upstream == "anthropic":
        assert [p for p in user["content"] if p["type"] == "image"][0]["source"]["media_type"] == "image/png"
    else:
        assert [p for p in user["content"] if p["type"] == "image_url"]


PDF = "JVBERi0xLjQK"
HOLDS = {  # what each format's messages have a place for
    "openai": {"audio", "file", "remote"}, "anthropic": {"file", "remote"}, "ollama": set(),
    "responses": {"file", "remote"}, "gemini": {"audio", "file", "remote"}}
MEDIA = {
    "audio": {"type": "input_audio", "input_audio": {"data": "UklGRg==", "format": "wav"}},
    "file": {"type": "file", "file": {"filename": "a.pdf", "file_data": "data:application/pdf;base64," + PDF}},
    "remote": {"type": "image_url", "image_url": {"url": "https://pictures.example/a.png"}},
    "unknown": {"type": "video_url", "video_url": {"url": "https://pictures.example/a.mp4"}},
    "elsewhere": {"type": "file", "file": {"file_id": "file-1"}}}


@pytest.mark.parametrize("kind", MEDIA)
@pytest.mark.parametrize("upstream", DIALECTS)
def test_what_a_format_has_no_place_for_is_refused_not_left_out(three, upstream, kind):
    path, body = chat("openai", f"{upstream}/m")
    body["messages"][0]["content"] = [{"type": "text", "text": "What is this?"}, MEDIA[kind]]
    reply = three.daemon.post(path, body)
    if kind in HOLDS[upstream] or upstream == "openai":
        assert reply.status == 200
        sent = three.sim.last()["body"]
        assert any(mark in sent for mark in ("UklGRg==", PDF, "pictures.example", "file-1"))
    else:
        assert reply.status == 400 and not three.sim.requests()
        assert f"{upstream}/m" in assert_error_shape("openai", reply)


def test_a_route_passes_by_what_has_no_place_for_it(sim, gridtie):
    daemon = gridtie({"endpoints": [sim.endpoint("a", "anthropic"), sim.endpoint("g", "gemini")], "routes": {"ears": ["a/m", "g/m"]}})
    path, body = chat("openai", "ears")
    body["messages"][0]["content"] = [{"type": "text", "text": "Listen."}, MEDIA["audio"]]
    reply = daemon.post(path, body)
    assert reply.status == 200 and reply.headers["x-gridtie-target"] == "g/m"


@pairs
def test_limits_and_sampling_travel(three, client, upstream):
    more = {"openai": {"max_tokens": 77, "temperature": 0.25, "stop": ["END"]},
            "anthropic": {"max_tokens": 77, "temperature": 0.25, "stop_sequences": ["END"]},
            "ollama": {"options": {"num_predict": 77, "temperature": 0.25, "stop": ["END"]}},
            "responses": {"max_output_tokens": 77, "temperature": 0.25},  # has no words to stop at
            "gemini": {"generationConfig": {"maxOutputTokens": 77, "temperature": 0.25, "stopSequences": ["END"]}}}[client]
    reply, _ = ask(three.daemon, client, f"{upstream}/m", **more)
    got = json.loads(three.sim.last()["body"])
    options = got.get("options", got.get("generationConfig", got))
    assert options["temperature"] == 0.25
    assert 77 in (options.get(k) for k in ("max_tokens", "max_completion_tokens", "num_predict", "max_output_tokens",
                                           "maxOutputTokens"))
    if upstream == "responses" and client != "responses":
        assert [d["path"] for d in three.daemon.why(reply)["drops"] if "stop" in d["path"].lower()]
    elif client != "responses":
        assert {"END"} == {word for k in ("stop", "stop_sequences", "stopSequences") for word in options.get(k, [])}


@pairs
@both
def test_an_error_of_the_upstream_comes_in_the_clients_shape(three, client, upstream, stream):
    for name, statuses in [("rate_limit", {429}), ("overloaded", {503, 529, 502}), ("server_error", {500, 502, 503}),
                           ("context_length", {400, 413}), ("auth", {502, 500, 401}), ("not_found", {404, 502})]:
        path, body = chat(client, f"{upstream}/m", order(error=name), stream)
        reply = three.daemon.post(path, body)
        assert reply.status in statuses, (name, reply.status, reply.text)
        assert_error_shape(client, reply)
        assert "upstream-key" not in reply.text


@pairs
def test_a_broken_credential_of_the_operator_is_not_the_clients_fault(three, client, upstream):
    reply, _ = ask(three.daemon, client, f"{upstream}/m", order(error="auth"))
    assert reply.status == 502, "401 would tell the client that its own key is wrong"


@pairs
def test_the_operators_key_goes_upstream_and_the_clients_does_not(three, client, upstream):
    ask(three.daemon, client, f"{upstream}/m", headers={"Authorization": "Bearer client-secret", "x-api-key": "client-2", "x-goog-api-key": "client-2",
                                                        "Cookie": "a=b"})
    headers = {k.lower(): v for k, v in three.sim.last()["headers"].items()}
    assert "client-secret" not in str(headers) and "client-2" not in str(headers) and "cookie" not in headers
    where = {"anthropic": "x-api-key", "gemini": "x-goog-api-key"}.get(upstream, "authorization")
    assert {"x-api-key", "x-goog-api-key", "authorization"} & headers.keys() == {where}
    assert headers[where].removeprefix("Bearer ") == f"upstream-key-of-{upstream}"


@pairs
@both
def test_an_empty_answer_is_an_answer(three, client, upstream, stream):
    reply, a = ask(three.daemon, client, f"{upstream}/m", order(text=""), stream)
    assert reply.status == 200 and a.text == "" and a.ended and a.finish == FINISH[client]["stop"]


@pairs
def test_an_upstream_without_usage_gives_no_invented_exactness(three, client, upstream):
    path, body = chat(client, f"{upstream}/m", order(no_usage=True, text="four"))
    reply = three.daemon.post(path, body)
    assert reply.status == 200 and "four" in reply.text
    why = three.daemon.why(reply)
    assert why["attempts"][0]["usage"]["estimated"] is True


@pytest.mark.parametrize("upstream", DIALECTS)
@both
def test_ollama_generate_works_with_every_upstream(three, upstream, stream):
    body = {"model": f"{upstream}/m", "prompt": order("say", text="generated text"), "stream": stream, "system": "Be kind."}
    reply = three.daemon.post("/api/generate", body)
    lines = [json.loads(line) for line in reply.body.splitlines()]
    assert "".join(line["response"] for line in lines) == "generated text" and lines[-1]["done"]
    assert "Be kind." in three.sim.last()["body"]


COUNTS = {"anthropic": ("/v1/messages/count_tokens", "input_tokens"), "responses": ("/v1/responses/input_tokens", "input_tokens"),
          "gemini": ("/v1beta/models/{}:countTokens", "totalTokens")}


@pytest.mark.parametrize("upstream", DIALECTS)
@pytest.mark.parametrize("client", COUNTS)
def test_count_tokens_gives_a_number_for_every_upstream(three, client, upstream):
    _, body = chat(client, f"{upstream}/m", "count these words please", tools=True)
    body.pop("max_tokens", None)
    path, field = COUNTS[client]
    reply = three.daemon.post(path.format(f"{upstream}/m"), body)
    assert reply.status == 200 and reply.json[field] > 4
    asked = [r["path"] for r in three.sim.requests()]
    if upstream in COUNTS:  # the number is its own
        assert asked == [COUNTS[upstream][0].format("m")] and "x-gridtie-estimate" not in reply.headers
        sent = json.loads(three.sim.last()["body"])
        assert "weather" in json.dumps(sent) and "count these words please" in seen_text(upstream, json.dumps(
            sent.get("generateContentRequest", sent)))
    else:
        assert asked == [] and reply.headers["x-gridtie-estimate"] == "input_tokens"


@pytest.mark.parametrize("client", COUNTS)
@pytest.mark.parametrize("status", [404, 405, 501])
def test_a_target_without_the_address_for_counting_gets_an_estimate(three, client, status):
    """A server that speaks a dialect but not all of it."""
    three.sim.always(status=status, body="nothing here", content_type="text/plain")
    _, body = chat(client, f"{client}/m", "count these words please")
    body.pop("max_tokens", None)
    path, field = COUNTS[client]
    reply = three.daemon.post(path.format(f"{client}/m"), body)
    assert reply.status == 200 and reply.json[field] > 2 and reply.headers["x-gridtie-estimate"] == "input_tokens"


@pytest.mark.parametrize("client", DIALECTS)
def test_a_field_that_cannot_travel_is_named_by_why(three, client):
    upstream = "anthropic" if client != "anthropic" else "ollama"
    more = {"openai": {"logit_bias": {"50": 1}}, "ollama": {"options": {"mirostat": 1}},
            "anthropic": {"metadata": {"user_id": "u1"}, "service_tier": "auto"}, "responses": {"truncation": "auto"},
            "gemini": {"safetySettings": [{"category": "HARM_CATEGORY_HARASSMENT", "threshold": "BLOCK_NONE"}]}}[client]
    reply, _ = ask(three.daemon, client, f"{upstream}/m", **more)
    assert reply.status == 200
    drops = three.daemon.why(reply)["drops"]
    named = {"openai": "logit_bias", "ollama": "mirostat", "anthropic": "service_tier",
             "responses": "truncation", "gemini": "safetySettings"}[client]
    assert any(named in d["path"] and d["reason"] for d in drops), drops


@both
def test_the_order_of_parallel_requests_on_one_connection_is_kept(three, stream):
    from harness import Client, request_bytes
    with Client(three.daemon.port) as c:
        raw = b""
        for i in range(5):
            path, body = chat("openai", "openai/m", order(text=f"answer {i}"), stream)
            raw += request_bytes("POST", path, body)
        c.send(raw)
        for i in range(5):
            assert read("openai", c.reply(), stream).text == f"answer {i}"
