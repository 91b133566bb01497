# SPDX-License-Identifier: Apache-2.0
"""What is private leaves as stand-ins and comes back as it was: in every pair of dialects, in streams cut anywhere, in
tool arguments, thinking and JSON; and only as much is looked at as must be."""
import json
import random
import re
import time
from pathlib import Path

import pytest

from harness import DIALECTS, Client, ask, chat, eventually, order, read, request_bytes

pairs = pytest.mark.parametrize("client,upstream", [(c, u) for c in DIALECTS for u in DIALECTS])
both = pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])

UNITS = ["jane.doe@corp.com", "4111 1111 1111 1111", "DE89 3704 0044 0532 0130 00", "+49 30 1234567", "078-05-1120",
         "203.0.113.77", "AKIAIOSFODNN7EXAMPLE"]
TEXT = ("Grüße: mail jane.doe@corp.com (JANE.DOE@CORP.COM), card 4111 1111 1111 1111 or 4111111111111111,\n"
        "IBAN DE89 3704 0044 0532 0130 00, phone +49 30 1234567; SSN 078-05-1120, host 203.0.113.77:8080, "
        "key AKIAIOSFODNN7EXAMPLE. \"end\" \\ 😀")
READABLE = re.compile("jane|corp\\.com|4111 1111|41111111|DE89|0532 0130|30 1234567|078-05|203\\.0\\.113\\.77|AKIA", re.I)


def sent(sim):
    """The bytes that the provider got, decoded of JSON as far as that hides them."""
    body = sim.last()["body"]
    return body + json.dumps(json.loads(body), ensure_ascii=False)


def heard(sim):
    """The user's words as the provider got them."""
    return json.loads(sim.last()["body"])["messages"][-1]["content"]


def assert_nothing_private(sim):
    found = READABLE.search(sent(sim))
    assert not found, f"{found[0]} is in {sent(sim)}"


@pairs
@both
def test_an_echo_is_the_clients_own_text(three, client, upstream, stream):
    three.sim.always(echo=True, chunk_chars=3)
    reply, a = ask(three.daemon, client, f"{upstream}/m", TEXT, stream, system="You serve jane.doe@corp.com.")
    assert reply.status == 200 and reply.complete and a.ended
    assert a.text == TEXT
    assert_nothing_private(three.sim)


@pairs
@both
def test_arguments_and_thinking_come_back(three, client, upstream, stream):
    args = {"city": "jane.doe@corp.com", "note": "say \"hi\" \\ to 078-05-1120\nnow", "card": 4111111111111111,
            "list": ["+49 30 1234567", {"AKIAIOSFODNN7EXAMPLE": 1}]}
    what = order("Look.", text="For jane.doe@corp.com:", thinking="So 203.0.113.77, jane.doe@corp.com.", chunk_chars=3,
                 tool_calls=[{"name": "weather", "arguments": args}])
    _, a = ask(three.daemon, client, f"{upstream}/m", what, stream, tools=True, think=True)
    assert a.tools == [("weather", args)] and a.text == "For jane.doe@corp.com:"
    assert a.thinking == "So 203.0.113.77, jane.doe@corp.com."
    assert_nothing_private(three.sim)


# What is hard to read: (text, what of it must not leave).
TRICKY = [
    ("jane.doe@corp.com,bob@x.org;4111111111111111 078-05-1120", ["jane", "bob@", "4111", "078-05"]),
    ("sign in as bob@x.org/4111111111111111", ["bob@", "4111"]),
    ("\u200f\u0664\u0661\u0661\u0661 " + "\u0661\u0661\u0661\u0661 " * 3 + "\u200f \u0628\u0631\u064a\u062f jane@corp.com",
     ["\u0664\u0661", "jane"]),
    ("j\u0430ne@c\u043erp.com and \uff4a\uff41ne\uff20corp.com", ["\u0430ne@", "\uff41ne"]),
    ("ja\u200bne@co\u00adrp.com, Jose\u0301 jose\u0301@corp.com", ["ne@co", "@corp"]),
    ("GRIDTIE_SECRET_aaaaaaaaaaaaaaaa, bob@example.com, +999 12 345678 and jane.doe@corp.com", ["jane"]),
    ('{"to":"jane.doe@corp.com\\"","n":4111111111111111}', ["jane", "4111"]),
    ("jane.doe@corp.com\n" + "\t".join(["203.0.113.77"] * 9), ["jane", "113.77"]),
]


@pairs
def test_what_is_hard_to_read_comes_back_too(three, client, upstream):
    three.sim.always(echo=True, chunk_chars=1)
    for text, hidden in TRICKY:
        reply, a = ask(three.daemon, client, f"{upstream}/m", text, True)
        assert reply.status == 200 and a.text == text
        heard = json.dumps(json.loads(three.sim.last()["body"]), ensure_ascii=False)
        assert not [h for h in hidden if h in heard], (text, heard)


def random_text(rng):
    words = [*UNITS, UNITS[0].upper(), UNITS[1].replace(" ", ""), UNITS[3].replace(" ", "-"), "a", "bob", "the", "\U0001f600",
             "\u00e4", "\"", "\\", "{", "}", "7", "42", "example.com", "@", "+", ".", "-", "_", "'s"]
    return "".join(rng.choice(words) + rng.choice(["", " ", " ", ", ", "\n"]) for _ in range(rng.randint(1, 60)))


@pytest.mark.tsan
def test_random_texts_come_back(three):
    """The client's own text is what must be heard: no other judge is needed."""
    rng = random.Random(11)
    for trial in range(150):
        text, client, upstream = random_text(rng), rng.choice(DIALECTS), rng.choice(DIALECTS)
        three.sim.always(echo=True, chunk_chars=rng.randint(1, 30), split=rng.choice([0, 0, 1, 7]))
        reply, a = ask(three.daemon, client, f"{upstream}/m", text, rng.random() < 0.7)
        assert reply.status == 200 and a.text == text, (trial, client, upstream)


@pytest.mark.parametrize("client", DIALECTS)
@both
def test_calls_of_a_model_without_tools_come_back(sims, gridtie, client, stream):
    sim = sims()
    model = {"name": "m", "tools": False, "vision": False}
    daemon = gridtie({"endpoints": [sim.endpoint("plain", "llama-server", models=[model])]})
    args = {"city": "jane.doe@corp.com", "note": "say \"hi\" \\ to 078-05-1120\nnow"}
    call = json.dumps({"name": "weather", "arguments": args})
    _, a = ask(daemon, client, "plain/m", order("Look.", text=call, chunk_chars=3), stream, tools=True)
    assert a.tools == [("weather", args)] and a.text == ""
    assert_nothing_private(sim)


@both
def test_structured_output_stays_json(three, stream):
    secret = 'pa\\"ss9word\\\\1'  # as it stands in JSON
    three.sim.always(echo=True, chunk_chars=2)
    text = json.dumps({"mail": "jane.doe@corp.com", "password": json.loads(f'"{secret}"')})
    reply, a = ask(three.daemon, "openai", "openai/m", text, stream, response_format={"type": "json_object"})
    assert reply.status == 200 and json.loads(a.text) == json.loads(text)
    assert_nothing_private(three.sim)


def schema_in(body, name="mail"):
    """The schema of structured output in a request of any dialect: the one with a property of that name."""
    found = [body]
    for v in found:
        if isinstance(v, dict) and name in v.get("properties", {}):
            return v
        found += v.values() if isinstance(v, dict) else v if isinstance(v, list) else []
    raise AssertionError(f"no schema in {body}")


SCHEMA_WITH_NAMES = {"type": "object", "additionalProperties": False, "required": ["mail", "jane.doe@corp.com"],
                     "properties": {"mail": {"enum": ["jane.doe@corp.com", "bob@x.org"]}, "jane.doe@corp.com": {"type": "integer"}}}


@pytest.mark.parametrize("upstream", DIALECTS)
@both
def test_keys_and_values_of_a_schema_come_back_and_fit_it(three, upstream, stream):
    form = {"type": "json_schema", "json_schema": {"name": "mails", "schema": SCHEMA_WITH_NAMES}}
    wanted = {"mail": "bob@x.org", "jane.doe@corp.com": 4111}
    three.sim.always(text="{}")
    ask(three.daemon, "openai", f"{upstream}/m", "Hi", stream, response_format=form)  # to learn how the provider sees it
    assert_nothing_private(three.sim)
    told = schema_in(json.loads(three.sim.last()["body"]))
    key, = (k for k in told["properties"] if k != "mail")
    names = told["properties"]["mail"]["enum"]
    assert key == names[0] != "jane.doe@corp.com"
    n = len(three.sim.requests())
    three.sim.script([{"text": json.dumps({"mail": names[1], key: 4111}), "chunk_chars": 3}])
    reply, a = ask(three.daemon, "openai", f"{upstream}/m", "Hi", stream, response_format=form)
    assert reply.status == 200 and json.loads(a.text) == wanted
    assert len(three.sim.requests()) == n + 1, "what fits is not asked for once more"
    three.sim.script(2 * [{"text": json.dumps({"mail": names[1], key: "many"}), "chunk_chars": 3}])
    reply, a = ask(three.daemon, "openai", f"{upstream}/m", "Hi", stream, response_format=form)
    assert a.error if stream else reply.status == 502


@pytest.mark.parametrize("texts", [True, False], ids=["texts", "objects"])
def test_documents_of_a_rerank_come_back(three, texts):
    real = ["mail jane.doe@corp.com", "card 4111 1111 1111 1111", "\"quoted\" 078-05-1120 \\"]
    body = {"model": "openai/m", "query": "who is jane.doe@corp.com?", "top_n": 3, "return_documents": True,
            "documents": real if texts else [{"text": t} for t in real]}

    def results(documents):
        return {"object": "list", "model": "m", "usage": {"prompt_tokens": 9, "total_tokens": 9},
                "results": [{"index": i, "relevance_score": 0.5, "document": d} for i, d in enumerate(documents)]}
    for again in range(2):  # the first time to learn how the provider sees them
        sent_up = json.loads(three.sim.last()["body"])["documents"] if again else ["nothing yet"]
        three.sim.script([{"body": json.dumps(results(sent_up)), "content_type": "application/json"}])
        reply = three.daemon.post("/v1/rerank", body)
        assert reply.status == 200
        assert_nothing_private(three.sim)
    assert [r["document"] for r in reply.json["results"]] == body["documents"]
    assert sent_up != body["documents"]


TURNS = {"responses": "input", "gemini": "contents"}  # where a dialect has its turns, if not in messages


def turn(dialect, role, text):
    if dialect == "gemini":
        return {"role": "model" if role == "assistant" else role, "parts": [{"text": text}]}
    return {"role": role, "content": text}


@pairs
def test_the_prefix_is_the_same_every_turn(three, client, upstream):
    three.sim.always(echo=True)
    path, body = chat(client, f"{upstream}/m", "I am jane.doe@corp.com, card 4111111111111111")
    turns, before = body[TURNS.get(client, "messages")], None
    for text in ("and 078-05-1120", "plain words", "jane.doe@corp.com again, 203.0.113.77"):
        answer = read(client, three.daemon.post(path, body), False)
        up = json.loads(three.sim.last()["body"])[TURNS.get(upstream, "messages")]
        assert before is None or (len(up) == len(before) + 2 and up[:len(before)] == before)
        before = up
        turns += [turn(client, "assistant", answer.text), turn(client, "user", text)]
    assert_nothing_private(three.sim)


def test_results_of_tools_go_up_with_stand_ins(three):
    call = {"id": "call_1", "type": "function", "function": {"name": "f", "arguments": '{"to":"jane.doe@corp.com"}'}}
    body = {"model": "openai/m", "messages": [
        {"role": "user", "content": "mail jane.doe@corp.com, my BSN is 123456782"},
        {"role": "assistant", "content": None, "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "call_1", "content": "sent to jane.doe@corp.com for 123456782"}]}
    assert three.daemon.post("/v1/chat/completions", body).status == 200
    up = json.loads(three.sim.last()["body"])["messages"]
    mail = re.search(r"\S+@example\.com", up[0]["content"])[0].rstrip(",")
    assert json.loads(up[1]["tool_calls"][0]["function"]["arguments"]) == {"to": mail} and mail in up[2]["content"]
    assert up[1]["tool_calls"][0]["id"] == up[2]["tool_call_id"] == "call_1"
    assert "123456782" not in sent(three.sim)
    assert_nothing_private(three.sim)


@both
def test_what_was_not_touched_goes_byte_for_byte(three, stream):
    body = ('{"model" : "openai/m","messages":[ {"role":"user","content":"a\\u0041 \\/ jane.doe@corp.com"} ],'
            ' "x_new" : {"a":1.50} ,"stream":%s}' % ("true" if stream else "false"))
    three.daemon.post("/v1/chat/completions", body)
    up = three.sim.last()["body"]
    mail = re.search(r"[a-z.]+@example\.com", up)[0]
    assert up.startswith('{"model" : "m","messages":[ {"role":"user","content":"a\\u0041 \\/ ' + mail)
    assert '"x_new" : {"a":1.50} ' in up


# ---- zones


def zoned(sims, gridtie, env=None, **more):
    at = {z: sims() for z in ("device", "edge", "sealed", "cloud")}
    return at, gridtie({"endpoints": [s.endpoint(z, zone=z) for z, s in at.items()], **more}, env=env)


def test_each_zone_gets_what_its_row_says(sims, gridtie):
    at, daemon = zoned(sims, gridtie)
    for zone, s in at.items():
        s.always(echo=True)
        _, a = ask(daemon, "openai", f"{zone}/m", TEXT)
        assert a.text == TEXT
    assert heard(at["device"]) == TEXT
    for zone in ("edge", "sealed"):  # persons' data may, secrets may not
        assert "jane.doe@corp.com" in sent(at[zone]) and "AKIA" not in sent(at[zone])
    assert_nothing_private(at["cloud"])


def test_config_may_loosen_and_tighten(sims, gridtie):
    at, daemon = zoned(sims, gridtie, privacy={"personal": {"cloud": "yes", "edge": "pseudonymised", "sealed": False},
                                               "mask_secrets": False, "words": ["Blue Heron"]})
    for s in at.values():
        s.always(echo=True)
    assert ask(daemon, "openai", "cloud/m", TEXT)[1].text == TEXT and heard(at["cloud"]) == TEXT
    assert ask(daemon, "openai", "edge/m", TEXT)[1].text == TEXT
    assert_nothing_private(at["edge"])
    reply, _ = ask(daemon, "openai", "sealed/m", TEXT)
    assert reply.status == 403 and not at["sealed"].requests()
    text = "For blue heron's team: BLUE HERON, Blue Heron."
    assert ask(daemon, "openai", "edge/m", text)[1].text == text
    assert "heron" not in sent(at["edge"]).lower()
    daemon.reload({"endpoints": [s.endpoint(z, zone=z) for z, s in at.items()], "privacy": {"words": ["red kite"]}})
    text = "The red kite and the blue heron"
    assert ask(daemon, "openai", "cloud/m", text)[1].text == text
    assert "red kite" not in sent(at["cloud"]) and "blue heron" in sent(at["cloud"])


def test_a_fallback_to_the_device_gets_the_real_values(sims, gridtie):
    at, daemon = zoned(sims, gridtie, routes={"r": ["cloud/m", "device/m"]})
    at["cloud"].always(error="overloaded")
    at["device"].always(echo=True)
    reply, a = ask(daemon, "openai", "r", TEXT)
    assert a.text == TEXT and reply.headers["x-gridtie-zone"] == "device"
    assert_nothing_private(at["cloud"])
    assert heard(at["device"]) == TEXT


def test_an_error_of_the_upstream_names_what_the_client_said(three):
    what = order("I am jane.doe@corp.com", status=400,
                 body=json.dumps({"error": {"message": "jane.doe@corp.com is no model", "type": "invalid_request_error"}}))
    reply = three.daemon.post(*chat("openai", "openai/m", what))
    assert reply.status == 400 and "jane.doe@corp.com is no model" in reply.json["error"]["message"]
    assert_nothing_private(three.sim)


# ---- scopes


def test_runs_and_keys_have_their_own_stand_ins(sims, gridtie):
    sim = sims()
    daemon = gridtie({"endpoints": [sim.endpoint("o")],
                      "keys": [{"name": n, "secret": f"key-{n}"} for n in ("a", "b")]})

    def seen(key, run=None):
        headers = {"Authorization": f"Bearer key-{key}", **({"x-gridtie-run": run} if run else {})}
        ask(daemon, "openai", "o/m", "jane.doe@corp.com", headers=headers)
        return re.search(r"[a-z.]+@example\.com", sent(sim))[0]
    first = seen("a")
    assert seen("a") == first
    assert len({first, seen("b"), seen("a", "r1"), seen("a", "r2"), seen("b", "r1")}) == 5
    daemon.stop()
    daemon.restart()
    assert seen("a") == first, "the key of stand-ins survives a restart"


# ---- how much is looked at


def scanned(daemon):
    return daemon.metrics()["gridtie_privacy_scanned_bytes_total"]


def test_nothing_is_scanned_for_the_device_and_only_what_is_new_for_others(sims, gridtie):
    at, daemon = zoned(sims, gridtie, loops=1)
    words = " ".join(f"word{i}" for i in range(2000))
    ask(daemon, "openai", "device/m", words)
    assert scanned(daemon) == 0
    path, body = chat("openai", "cloud/m", words)
    daemon.post(path, body)
    first = scanned(daemon)
    assert len(words) <= first < len(words) + 200, "once for label and attempt"
    body["messages"] += [{"role": "assistant", "content": "x" * 100}, {"role": "user", "content": "y" * 100}]
    daemon.post(path, body)
    assert 200 <= scanned(daemon) - first < 400


def test_five_megabytes_of_digits(sims, gridtie):
    sim = sims()
    daemon = gridtie({"endpoints": [sim.endpoint("o")]})
    sim.always(text="ok")
    rng = random.Random(5)
    for digits in ("".join(rng.choices("0123456789", k=5_000_000)), " ".join(rng.choices("0123456789", k=500_000))):
        reply, a = ask(daemon, "openai", "o/m", "I am jane.doe@corp.com " + digits, timeout=120)
        assert reply.status == 200 and a.text == "ok"
        assert "jane" not in sim.last()["body"][:400]


@pytest.mark.tsan
@pytest.mark.parametrize("provider", ["openai", "anthropic"])
def test_a_client_that_leaves_while_its_text_is_looked_at(sims, gridtie, provider):
    """The pool reads the client's bytes, or what was written for the upstream, where they stand."""
    sim = sims()
    daemon = gridtie({"endpoints": [sim.endpoint("o", provider)]})
    path, body = chat("openai", "o/m", "jane.doe@corp.com " + "4111 1111 1111 1112 " * 20_000)
    data = request_bytes("POST", path, body)
    for pause in (0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.4):
        with Client(daemon.port) as c:
            c.send(data)
            time.sleep(pause)
    eventually(lambda: daemon.metrics()["gridtie_exchanges"] == 0, 30)
    assert ask(daemon, "openai", "o/m", "hello")[0].status == 200


def test_log_probabilities_are_dropped_where_stand_ins_went_out(sims, gridtie):
    sim = sims()
    daemon = gridtie({"endpoints": [sim.endpoint("o")]})
    logprobs = {"content": [{"token": "ok", "logprob": -0.1, "bytes": [111, 107], "top_logprobs": []}], "refusal": None}
    sim.always(status=200, content_type="application/json", body=json.dumps({
        "id": "c1", "object": "chat.completion", "created": 1, "model": "m", "choices": [
            {"index": 0, "message": {"role": "assistant", "content": "ok"}, "logprobs": logprobs, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2}}))
    path, body = chat("openai", "o/m", "hello")
    body["logprobs"] = True
    assert daemon.post(path, body).json["choices"][0]["logprobs"]["content"]
    body["messages"][-1]["content"] = "hello jane.doe@corp.com"
    reply = daemon.post(path, body)
    assert reply.json["choices"][0]["message"]["content"] == "ok" and not reply.json["choices"][0].get("logprobs")
    assert any(d["path"] == "logprobs" and d["action"] == "dropped" for d in daemon.why(reply)["drops"])


# ---- failing closed


def test_until_the_detector_is_loaded_clouds_wait_and_the_device_does_not(sims, gridtie):
    at, daemon = zoned(sims, gridtie, env={"GRIDTIE_FAULT_DETECTOR": "late"})
    for zone in ("device", "edge"):
        assert ask(daemon, "openai", f"{zone}/m", TEXT)[0].status == 200
    at["cloud"].always(echo=True)
    reply, a = ask(daemon, "openai", "cloud/m", TEXT)
    assert reply.status == 200 and a.text == TEXT
    assert_nothing_private(at["cloud"])


def test_without_a_detector_nothing_goes_beyond_edge(sims, gridtie):
    at, daemon = zoned(sims, gridtie, env={"GRIDTIE_FAULT_DETECTOR": "never"}, routes={"r": ["cloud/m", "edge/m"]})
    for zone in ("device", "edge"):
        assert ask(daemon, "openai", f"{zone}/m", "Hello")[0].status == 200
    for zone in ("sealed", "cloud"):
        for headers in (None, {"x-gridtie-label": "public"}):
            reply, _ = ask(daemon, "openai", f"{zone}/m", "Hello", headers=headers)
            assert reply.status == 403, zone
    assert ask(daemon, "openai", "r", "Hello")[0].headers["x-gridtie-zone"] == "edge"
    assert not at["sealed"].requests() and not at["cloud"].requests()
