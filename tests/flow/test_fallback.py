# SPDX-License-Identifier: Apache-2.0
"""Before the first word a failure is another target's chance; after it the client hears of it honestly."""
import pytest

from harness import DIALECTS, ask, assert_error_shape, chat, free_port, order

pytestmark = pytest.mark.tsan

both = pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
each = pytest.mark.parametrize("client", DIALECTS)

FAULTS = {
    "408": {"status": 408},
    "429": {"error": "rate_limit"},
    "500": {"error": "server_error"},
    "502": {"status": 502, "body": "<html>bad gateway</html>", "content_type": "text/html"},
    "503": {"error": "overloaded"},
    "401": {"error": "auth"},
    "404": {"error": "not_found"},
    "quota": {"error": "quota"},
    "no answer": {"drop": True},
    "reset": {"drop": True, "rst": True},
    "dies in the head": {"cut_after_events": 0, "cut_after_bytes": 0},
    "dies after its first frame": {"cut_after_events": 1, "cut_after_bytes": 10},
    "garbage": {"garbage": "\u0001\u0002 hello I am no HTTP\r\n\r\n"},
    "an empty body": {"body": "", "content_type": "application/json"},
    "no JSON": {"body": "hello", "content_type": "application/json"},
    "silence": {"first_ms": 5000},
    "silence before the head": {"delay_ms": 5000},
    "an error inside the stream": {"error": "overloaded", "error_after_events": 0},
    "an empty stream": {"body": "", "content_type": "text/event-stream"},
}


def two(sims, gridtie, first="openai", second="openai", **more):
    bad, good = sims(), sims()
    daemon = gridtie({"endpoints": [bad.endpoint("bad", first, timeouts={"first_event": "400ms"}),
                                    good.endpoint("good", second)],
                      "routes": {"r": {"targets": ["bad/m", "good/m"]}}, **more})
    return bad, good, daemon


@both
@pytest.mark.parametrize("upstream", DIALECTS)
def test_every_fault_before_the_first_word_moves_to_the_next_target(sims, gridtie, upstream, stream):
    """Each fault has an endpoint of its own, since one that asked for rest would not be asked again."""
    bad, good = sims(), sims()
    asked = [(name, fault, client) for name, fault in FAULTS.items() for client in ("openai", "anthropic")
             if stream or name != "an error inside the stream"]
    rows = [bad.endpoint(f"bad{i}", upstream, timeouts={"first_event": "400ms"}) for i in range(len(asked))]
    daemon = gridtie({"endpoints": [*rows, good.endpoint("good")],
                      "routes": {f"r{i}": {"targets": [f"bad{i}/m", "good/m"]} for i in range(len(asked))}})
    for i, (name, fault, client) in enumerate(asked):
        bad.reset()
        bad.always(**fault)
        reply, a = ask(daemon, client, f"r{i}", order(text="from the second"), stream)
        assert (reply.status, a.text, a.ended) == (200, "from the second", True), (name, client, reply.body[:300])
        assert reply.headers["x-gridtie-target"] == "good/m", (name, client)
        why = daemon.why(reply)
        assert [at["target"] for at in why["attempts"]] == [f"bad{i}/m", "good/m"], name
        assert why["attempts"][0]["err"] and not why["attempts"][1]["err"]


@each
@both
def test_a_target_that_is_not_there_is_passed_over(sims, gridtie, client, stream):
    good = sims()
    nowhere = {"name": "bad", "provider": "openai", "url": f"http://127.0.0.1:{free_port()}/v1", "models": ["m"],
               "zone": "cloud"}
    daemon = gridtie({"endpoints": [nowhere, good.endpoint("good")], "routes": {"r": ["bad/m", "good/m"]}})
    reply, a = ask(daemon, client, "r", order(text="here"), stream)
    assert a.text == "here" and reply.headers["x-gridtie-target"] == "good/m"
    assert daemon.why(reply)["attempts"][0]["err"] == "up_connect"


@each
@pytest.mark.parametrize("upstream", DIALECTS)
def test_a_stream_that_dies_after_its_first_word_ends_with_an_error_and_no_proper_end(three, client, upstream):
    events = {"openai": 4, "anthropic": 6, "ollama": 3, "responses": 7, "gemini": 3}[upstream]
    faults = [{"cut_after_events": events}, {"cut_after_events": events, "rst": True},
              {"cut_after_events": events, "clean_cut": True}, {"cut_after_events": events, "half_close": True},
              {"error": "overloaded", "error_after_events": events}, {"bad_chunk_after_events": events}]
    for fault in faults:
        reply, a = ask(three.daemon, client, f"{upstream}/m", order(text="one two three four five six", **fault), True)
        assert reply.status == 200, (fault, reply.text)
        assert not a.ended, (fault, reply.text[-300:])
        assert a.error or not reply.complete, (fault, reply.text[-300:])
        assert a.text and "one two three four five six".startswith(a.text), fault
        assert three.daemon.why(reply)["err"]


@each
@both
def test_no_second_model_is_spliced_into_a_started_answer(sims, gridtie, client, stream):
    bad, good, daemon = two(sims, gridtie)
    bad.always(text="AAAA AAAA AAAA AAAA", cut_after_events=3)
    good.always(text="BBBB")
    reply, a = ask(daemon, client, "r", stream=stream)
    if stream:
        assert "B" not in a.text and a.text.startswith("AAAA") and not a.ended
    else:
        assert a.text in ("BBBB", "AAAA AAAA AAAA AAAA")


@each
@both
def test_when_all_fail_the_error_is_honest(sims, gridtie, client, stream):
    bad, good, daemon = two(sims, gridtie)
    bad.always(error="server_error")
    good.always(error="overloaded")
    path, body = chat(client, "r", stream=stream)
    reply = daemon.post(path, body)
    assert reply.status >= 500
    text = assert_error_shape(client, reply)
    assert "127.0.0.1" not in text and "upstream-key" not in reply.text
    assert len(daemon.why(reply)["attempts"]) == 2


@each
def test_a_request_that_is_wrong_everywhere_is_not_tried_twice(sims, gridtie, client):
    bad, good, daemon = two(sims, gridtie)
    bad.always(status=422)
    reply, _ = ask(daemon, client, "r")
    assert 400 <= reply.status < 500 and not good.requests()


@each
def test_retry_after_reaches_the_client_and_rests_the_target(sims, gridtie, client):
    sim = sims()
    daemon = gridtie({"endpoints": [sim.endpoint("o")]})
    sim.script([{"error": "rate_limit", "retry_after": 7}])
    reply, _ = ask(daemon, client, "o/m")
    assert reply.status == 429 and 1 <= int(reply.headers["retry-after"]) <= 7
    before = len(sim.requests())
    reply, _ = ask(daemon, client, "o/m")
    assert reply.status == 429 and 1 <= int(reply.headers["retry-after"]) <= 7
    assert len(sim.requests()) == before, "a target that asked for rest was asked again"


def test_a_resting_target_is_passed_over_while_another_is_there(sims, gridtie):
    bad, good, daemon = two(sims, gridtie)
    bad.script([{"error": "rate_limit", "retry_after": 30}])
    for _ in range(4):
        reply, _ = ask(daemon, "openai", "r")
        assert reply.status == 200
    assert len(bad.requests()) == 1 and len(good.requests()) == 4


def test_the_switch_turns_away_before_the_limit(sims, gridtie):
    """What an upstream says is left is counted down, and the last of it is not run into."""
    bad, good, daemon = two(sims, gridtie)
    bad.always(headers={"x-ratelimit-remaining-requests": "0", "x-ratelimit-reset-requests": "1m"})
    targets = [ask(daemon, "openai", "r")[0].headers["x-gridtie-target"] for _ in range(4)]
    assert targets == ["bad/m", "good/m", "good/m", "good/m"] and len(bad.requests()) == 1


def test_a_request_that_a_limit_has_no_room_for_goes_elsewhere(sims, gridtie):
    bad, good, daemon = two(sims, gridtie)
    bad.always(headers={"x-ratelimit-remaining-tokens": "1000", "x-ratelimit-reset-tokens": "1m"})
    assert ask(daemon, "openai", "r")[0].headers["x-gridtie-target"] == "bad/m"
    reply, _ = ask(daemon, "openai", "r", "word " * 2000)
    assert reply.headers["x-gridtie-target"] == "good/m"
    assert ask(daemon, "openai", "r")[0].headers["x-gridtie-target"] == "bad/m", "a small one still has room"
    reply, _ = ask(daemon, "openai", "bad/m", "word " * 2000)
    assert reply.status == 200, "where there is no other, it is tried"


@each
def test_an_empty_account_is_left_alone(sims, gridtie, client):
    bad, good = sims(), sims()
    daemon = gridtie({"endpoints": [bad.endpoint("bad", models=["m", "n"]), good.endpoint("good", models=["m", "n"])],
                      "routes": {"m2": ["bad/m", "good/m"], "n2": ["bad/n", "good/n"]}})
    bad.always(error="quota")
    for route in ("m2", "n2", "m2"):
        reply, _ = ask(daemon, client, route)
        assert reply.status == 200 and reply.headers["x-gridtie-target"].startswith("good/")
    assert len(bad.requests()) == 1, "the account is the endpoint's, not the model's"
    reply, _ = ask(daemon, client, "bad/m")
    assert reply.status == 429 and len(bad.requests()) == 2, "where there is no other, it is asked: it may have been filled"


def test_a_stale_kept_connection_is_tried_once_more_on_a_fresh_one(sim, gridtie):
    daemon = gridtie({"endpoints": [sim.endpoint("o")]})
    for i in range(12):
        sim.script([{"stale": True}])
        reply, a = ask(daemon, "openai", "o/m")
        assert reply.status == 200, (i, reply.text)
    assert len(sim.requests()) == 12


def test_a_connection_that_the_upstream_closes_between_requests_does_no_harm(sim, gridtie):
    daemon = gridtie({"endpoints": [sim.endpoint("o")]})
    sim.always(close=True)
    for _ in range(12):
        reply, _ = ask(daemon, "openai", "o/m")
        assert reply.status == 200


def test_kept_connections_are_used_again(sim, gridtie):
    daemon = gridtie({"endpoints": [sim.endpoint("o")]}, loops=1)
    for _ in range(20):
        ask(daemon, "openai", "o/m")
    assert sim.state()["connections"] < 20 + 8  # those of this test's own looks, and a few


def test_fallback_keeps_to_the_order_of_the_route(sims, gridtie):
    all_of = [sims() for _ in range(4)]
    for s in all_of[:3]:
        s.always(error="server_error")
    daemon = gridtie({"endpoints": [s.endpoint(f"e{i}") for i, s in enumerate(all_of)],
                      "routes": {"r": [f"e{i}/m" for i in (2, 0, 1, 3)]}})
    reply, _ = ask(daemon, "openai", "r")
    assert [at["target"] for at in daemon.why(reply)["attempts"]] == ["e2/m", "e0/m", "e1/m", "e3/m"]


def test_openrouters_models_field_names_the_fallbacks(sims, gridtie):
    bad, good, daemon = two(sims, gridtie)
    bad.always(error="overloaded")
    reply, a = ask(daemon, "openai", "bad/m", models=["bad/m", "good/m"])
    assert reply.status == 200 and reply.headers["x-gridtie-target"] == "good/m"
