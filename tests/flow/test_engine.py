# SPDX-License-Identifier: Apache-2.0
"""The local engine as a client meets it: loads, crashes at bad moments, signs of life, what it cannot do. With a fake
llama-server (the unit test program, tests/fault/children.c) and with the real one."""
import json
import os
import random
import signal
import threading
import time
from pathlib import Path

import pytest

from harness import (DIALECTS, READERS, SLOW, Client, ask, assert_error_shape, chat, error_text, eventually, left_of, order,
                     request_bytes)

pytestmark = pytest.mark.tsan

each = pytest.mark.parametrize("client", DIALECTS)
FAKE = os.environ.get("GRIDTIE_UNIT_BIN", "")
LLAMA, TINY = os.environ.get("GRIDTIE_LLAMA_SERVER", ""), os.environ.get("GRIDTIE_TINY_MODEL", "")
SIGN = {"openai": b": keep-alive\n\n", "anthropic": b"event: ping\n", "responses": b": keep-alive\n\n"}

fake = pytest.mark.skipif(not os.access(FAKE, os.X_OK), reason="no unit test program")
real = pytest.mark.skipif(not os.access(LLAMA, os.X_OK) or not os.path.exists(TINY), reason="tools/setup engine")


@pytest.fixture
def engine(gridtie, tmp_path):
    """engine(mode, engine=…, **config): a daemon whose local/m is a fake llama-server."""
    def start(mode, engine=None, **more):
        weights = tmp_path / "w.gguf"
        weights.write_bytes(b"GGUF\x03" + bytes(19))
        config = {"enabled": True, "binary": FAKE, "models": [{"name": "m", "file": str(weights), "args": ["--fake", mode]}],
                  **(engine or {})}
        return gridtie({"engine": config, **more})
    return start


@pytest.fixture
def real_engine(gridtie):
    return gridtie({"engine": {"enabled": True, "binary": LLAMA, "context": 512, "threads": 1, "parallel": 2,
                               "models": [{"name": "m", "file": TINY}]}})


def model_of(daemon):
    """What ps says of it; a model that is off is not listed."""
    models = daemon.get("/gridtie/v1/ps").json["models"]
    return models[0] if models else {"pid": 0, "in_flight": 0, "starts": 0}


def stream(daemon, client, model="local/m", text="Hi there", **more):
    path, body = chat(client, model, text, True, **more)
    return daemon.post(path, body)


# ---- a crash


def crash_between(daemon, client, rounds):
    """Kills the child between two requests, so that the next one meets it in the moment after its death."""
    again = 0
    for i in range(rounds):
        pid = eventually(lambda: model_of(daemon)["pid"], 30, "a loaded model")
        os.kill(pid, signal.SIGKILL)
        reply, a = ask(daemon, client, "local/m", stream=i % 2 == 0, timeout=60)
        assert reply.status == 200 and a.ended and a.error is None, (i, reply.body)
        why = daemon.why(reply)
        assert [at["err"] for at in why["attempts"]][-1] is None and len(why["attempts"]) <= 2
        again += len(why["attempts"]) == 2
        assert model_of(daemon)["in_flight"] == 0
    return again


@fake
@each
def test_a_request_after_a_crash_waits_for_the_restart(engine, client):
    daemon = engine("ok")
    assert ask(daemon, client, "local/m")[0].status == 200
    crash_between(daemon, client, 3)


@real
def test_a_request_after_a_crash_of_the_real_one_waits_for_the_restart(real_engine):
    path, body = chat("openai", "local/m", max_tokens=4)
    assert real_engine.post(path, body, timeout=60).status == 200
    for _ in range(3):
        os.kill(eventually(lambda: model_of(real_engine)["pid"], 30), signal.SIGKILL)
        reply = real_engine.post(path, body, timeout=60)
        assert reply.status == 200, reply.body


def children_of(pid):
    found = []
    for entry in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = entry.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[1]) == pid and fields[0] != "Z":
            found.append(int(entry.parent.name))
    return found


def servers_of(daemon):
    """Those of models; one that is only asked for its graphics cards is none."""
    def is_asked(pid):
        try:
            return b"--list-devices" in Path(f"/proc/{pid}/cmdline").read_bytes()
        except OSError:
            return True  # it is gone already
    return [server for guard in children_of(daemon.pid) for server in children_of(guard) if not is_asked(server)]


@real
def test_a_crash_of_the_real_one_while_it_loads_is_waited_out(real_engine):
    got = []
    path, body = chat("anthropic", "local/m", stream=True, max_tokens=4)
    thread = threading.Thread(target=lambda: got.append(real_engine.post(path, body, timeout=60)))
    thread.start()
    for pid in eventually(lambda: servers_of(real_engine), 20, "a llama-server"):
        os.kill(pid, signal.SIGKILL)
    thread.join()
    assert got[0].status == 200 and b"message_stop" in got[0].body, got[0].body
    assert model_of(real_engine)["starts"] >= 2


@fake
def test_crashes_at_random_moments_lose_no_request(engine):
    """Every request is answered: well, or (cut after its first word) with an error in its stream. None hangs."""
    daemon = engine("ok", engine={"parallel": 4})
    rng, stop, bad, done = random.Random(4), threading.Event(), [], [0] * len(DIALECTS)

    def load(i):
        while not stop.is_set():
            reply, a = ask(daemon, DIALECTS[i], "local/m", order(words=20, chunk_ms=2), True, timeout=60)
            done[i] += 1
            if reply.status != 200 or not (a.ended and a.error is None or a.text and a.error and not a.ended):
                bad.append((reply.status, reply.body[-300:]))
    threads = [threading.Thread(target=load, args=(i,)) for i in range(len(DIALECTS))]
    for t in threads:
        t.start()
    for _ in range(4):  # a fifth within a minute would be told as what it is
        time.sleep(rng.uniform(0.1, 0.4))
        os.kill(eventually(lambda: model_of(daemon)["pid"], 30, "a loaded model"), signal.SIGKILL)
        before = list(done)  # the one under way may have met this crash, and so may the next: both end before another
        eventually(lambda: all(n > m + 1 for n, m in zip(done, before)), 60, "no request meets two crashes")
    stop.set()
    for t in threads:
        t.join()
    assert not bad, bad[:3]
    assert model_of(daemon)["in_flight"] == 0


@fake
@each
def test_a_request_that_kills_the_engine_is_tried_twice_and_goes_on(engine, sim, client):
    daemon = engine("poison", endpoints=[sim.endpoint("o")], routes={"r": ["local/m", "o/m"]})
    reply, a = ask(daemon, client, "local/m", timeout=60)
    assert reply.status == 502 and assert_error_shape(client, reply)
    attempts = daemon.why(reply)["attempts"]
    assert [at["err"] for at in attempts] == ["up_died", "up_died"] and "again" in attempts[1]["reason"]
    reply, a = ask(daemon, client, "r", timeout=60)
    assert reply.status == 200 and a.ended and reply.headers["x-gridtie-target"] == "o/m"
    assert [at["target"] for at in daemon.why(reply)["attempts"]] == ["local/m", "local/m", "o/m"]


# ---- the end


@fake
@pytest.mark.parametrize("twice", [False, True], ids=["drain", "at-once"])
def test_sigterm_while_a_model_loads_answers_who_waits_and_leaves_nothing(engine, twice):
    daemon = engine("never", engine={"ping": "50ms", "wait": "60s"}, drain="60s" if twice else "300ms")
    got = {}

    def wait(client, stream):
        path, body = chat(client, "local/m", stream=stream)
        got[client, stream] = daemon.post(path, body)
    threads = [threading.Thread(target=wait, args=(c, s)) for c in DIALECTS for s in (False, True)]
    for t in threads:
        t.start()
    eventually(lambda: model_of(daemon)["in_flight"] == 2 * len(DIALECTS) and left_of(daemon), 20, "all wait, and a server runs")
    daemon.signal(signal.SIGTERM)
    if twice:
        time.sleep(0.1)
        daemon.signal(signal.SIGTERM)
    assert daemon.wait(15) == 0
    for t in threads:
        t.join()
    for (client, stream), reply in got.items():
        assert reply.status == 503 or reply.status == 200 and stream and client in SIGN, (client, stream, reply)
        a = READERS[client](reply.body, reply.status == 200)
        assert reply.complete and a.error and not a.ended and "shutting down" in json.dumps(a.error), reply
    eventually(lambda: not left_of(daemon), 10, "no process is left")


@real
def test_kill_9_leaves_no_llama_server(real_engine):
    path, body = chat("openai", "local/m", max_tokens=4)
    assert real_engine.post(path, body, timeout=60).status == 200
    assert len(left_of(real_engine)) == 2, "a guard and its server"
    real_engine.kill()
    eventually(lambda: not left_of(real_engine), 10, "no process is left")
    real_engine.restart()
    assert real_engine.post(path, body, timeout=60).status == 200


# ---- signs of life


@fake
@pytest.mark.parametrize("client", SIGN)
def test_a_stream_whose_model_loads_gets_signs_of_life_and_then_its_answer(engine, client):
    daemon = engine("1200", engine={"ping": "100ms"})
    reply = stream(daemon, client)
    assert reply.status == 200 and reply.complete
    assert reply.body.startswith(SIGN[client]) and reply.body.count(SIGN[client]) >= 2
    a = READERS[client](reply.body, True)
    assert a.ended and a.text and a.error is None
    assert "x-gridtie-target" not in reply.headers
    assert (reply.trailers["x-gridtie-target"], reply.trailers["x-gridtie-zone"]) == ("local/m", "device")
    assert reply.trailers["x-gridtie-cost-usd"] == "0"
    reply = stream(daemon, client)  # loaded: no sign, and the target stands in the head
    assert not reply.body.startswith(SIGN[client]) and reply.headers["x-gridtie-target"] == "local/m"
    assert "x-gridtie-target" not in reply.trailers


@fake
@pytest.mark.parametrize("client", SIGN)
def test_a_failure_after_signs_of_life_is_the_dialects_error_in_the_stream(engine, client):
    daemon = engine("never", engine={"ping": "50ms", "wait": "500ms"})
    reply = stream(daemon, client)
    assert reply.status == 200 and reply.body.startswith(SIGN[client])
    a = READERS[client](reply.body, True)
    assert a.error and not a.ended and not a.text
    assert "still being loaded" in json.dumps(a.error)
    why = daemon.why(reply)
    assert (why["status"], why["err"]) == (200, "busy")


@fake
@each
def test_without_a_sign_a_load_that_lasts_is_503_with_its_reason(engine, client):
    daemon = engine("never", engine={"ping": "50ms", "wait": "300ms"})
    path, body = chat(client, "local/m", stream=client not in SIGN)
    reply = daemon.post(path, body)
    busy = 529 if client == "anthropic" else 503  # its "overloaded"
    assert reply.status == busy and "still being loaded" in assert_error_shape(client, reply)
    off = engine("never", engine={"ping": "0s", "wait": "300ms"})
    assert stream(off, client).status == busy


@fake
@pytest.mark.parametrize("client", SIGN)
def test_signs_of_life_fix_the_status_not_the_target(engine, sim, client):
    daemon = engine("never", engine={"ping": "50ms", "wait": "500ms"}, endpoints=[sim.endpoint("a", "anthropic")],
                    routes={"r": ["local/m", "a/m"]})
    reply = stream(daemon, client, "r")
    a = READERS[client](reply.body, True)
    assert reply.status == 200 and reply.body.startswith(SIGN[client]) and a.ended and a.text
    assert reply.trailers["x-gridtie-target"] == "a/m"


@fake
@pytest.mark.parametrize("client", SIGN)
def test_a_client_that_leaves_while_a_model_loads_is_noticed(engine, client):
    daemon = engine("never", engine={"ping": "50ms", "wait": "60s"})
    path, body = chat(client, "local/m", stream=True)
    with Client(daemon.port) as c:
        c.send(request_bytes("POST", path, body))
        assert c.head()[0] == 200 and c.some()
    eventually(lambda: daemon.metrics()["gridtie_exchanges"] == 0, 5, "the exchange's end")
    assert model_of(daemon)["in_flight"] == 0
    assert daemon.get("/gridtie/v1/log").json["exchanges"][0]["err"] == "client_gone"


@fake
def test_endpoints_say_how_the_engine_is(engine):
    def health(daemon):
        return daemon.get("/gridtie/v1/endpoints").json["endpoints"][0]["health"]

    daemon = engine("ok")
    assert health(daemon) == "idle"
    assert ask(daemon, "openai", "local/m")[0].status == 200
    assert health(daemon) == "ready" and "ready" in daemon.cli("endpoints").stdout
    assert daemon.post("/gridtie/v1/unload", {"model": "m"}).status == 200
    eventually(lambda: health(daemon) == "idle", 20, "the unloading")
    daemon = engine("never", engine={"ping": "50ms", "wait": "500ms"})
    stream(daemon, "openai")
    assert health(daemon) == "loading"
    daemon = engine("crash")
    assert ask(daemon, "openai", "local/m", timeout=60)[0].status >= 500
    assert health(daemon) == "failed"
    assert daemon.get("/gridtie/v1/endpoints").json["endpoints"][0]["failing_models"] == ["m"]


# ---- what a model can't do


@fake
@each
def test_an_image_for_a_model_without_eyes_is_400_and_says_who_has_some(engine, sim, client):
    daemon = engine("ok", endpoints=[sim.endpoint("o")])
    path, body = chat(client, "local/m", image=True)
    reply = daemon.post(path, body)
    text = assert_error_shape(client, reply)
    assert reply.status == 400 and "local/m (device): cannot read images" in text and "o/m" in text, text
    reply = daemon.post(path, body, {"x-gridtie-reach": "device"})
    assert reply.status == 400 and "o/m" not in error_text(client, reply), "nobody who may not have it"
    assert model_of(daemon)["starts"] == 0 and not sim.requests()
