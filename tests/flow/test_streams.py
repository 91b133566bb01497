# SPDX-License-Identifier: Apache-2.0
"""Streams in time: deadlines, clients that leave, clients that are slow, and chunks that do not wait for each other."""
import json
import time

import pytest

from harness import DIALECTS, PATHS, SLOW, Client, ask, assert_error_shape, chat, eventually, order, request_bytes

pytestmark = pytest.mark.tsan

both = pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
each = pytest.mark.parametrize("client", DIALECTS)


@each
@both
def test_a_clients_deadline_ends_the_wait_with_504(three, client, stream):
    path, body = chat(client, "openai/m", order(first_ms=8000), stream)
    start = time.monotonic()
    reply = three.daemon.post(path, body, {"x-gridtie-deadline-ms": "300"})
    assert reply.status == 504 and time.monotonic() - start < 5 * SLOW
    assert_error_shape(client, reply)


@each
def test_a_deadline_inside_a_stream_ends_it_with_an_error(three, client):
    reply, a = ask(three.daemon, client, "openai/m", order(text="a " * 400, chunk_ms=50), True,
                   headers={"x-gridtie-deadline-ms": str(500 * SLOW)})
    assert reply.status == 200 and a.text and a.error and not a.ended


def test_a_bad_deadline_is_refused(three):
    for value in ("soon", "-1", "999999999999999999999", ""):
        reply, _ = ask(three.daemon, "openai", "openai/m", headers={"x-gridtie-deadline-ms": value})
        assert reply.status == 400, value


@each
def test_a_silent_upstream_is_given_up_after_first_event_and_idle(sim, gridtie, client):
    daemon = gridtie({"endpoints": [sim.endpoint("o", timeouts={"first_event": "300ms", "idle": "400ms"})]})
    path, body = chat(client, "o/m", order(first_ms=8000), True)
    reply = daemon.post(path, body)
    assert reply.status == 504
    assert_error_shape(client, reply)
    start = time.monotonic()
    reply, a = ask(daemon, client, "o/m", order(text="a b c d e f g h i j", stall_after_events=3), True)
    assert reply.status == 200 and a.text and not a.ended and (a.error or not reply.complete)
    assert time.monotonic() - start < 6 * SLOW
    assert [r["outcome"] for r in eventually(lambda: [r for r in sim.requests() if r["outcome"] != "open"][1:] and
                                             sim.requests())] == ["gone", "gone"]


def test_a_stream_that_is_slow_but_alive_is_not_given_up(sim, gridtie):
    daemon = gridtie({"endpoints": [sim.endpoint("o", timeouts={"idle": f"{600 * SLOW}ms"})]})
    _, a = ask(daemon, "openai", "o/m", order(words=6, chunk_chars=4, chunk_ms=200), True)
    assert a.ended and a.error is None


@each
@pytest.mark.parametrize("upstream", DIALECTS)
def test_a_client_that_leaves_stops_the_upstream(three, client, upstream):
    path, body = chat(client, f"{upstream}/m", order(words=4000, chunk_ms=20), True)
    with Client(three.daemon.port) as c:
        c.request("POST", path, body)
        assert c.head()[0] == 200
        assert c.some()
    eventually(lambda: three.sim.last()["outcome"] == "gone", 4, "the upstream's end")
    assert three.sim.last()["events"] < 1000


@each
def test_a_client_that_leaves_before_the_first_word_stops_the_upstream(three, client):
    for stream in (False, True):
        path, body = chat(client, "openai/m", order(first_ms=10000), stream)
        before = len(three.sim.requests())
        with Client(three.daemon.port) as c:
            c.request("POST", path, body)
            eventually(lambda: len(three.sim.requests()) > before)
        eventually(lambda: three.sim.last()["outcome"] == "gone", 4, "the upstream's end")


def test_a_client_that_left_is_recorded_as_such(three):
    path, body = chat("openai", "openai/m", order(words=4000, chunk_ms=20, usage={"input": 10, "output": 4000}), True)
    with Client(three.daemon.port) as c:
        c.request("POST", path, body)
        name = c.head()[1]["x-gridtie-id"]
        c.some()
    why = three.daemon.why(name)
    assert why["err"] == "client_gone"
    usage = why["attempts"][0]["usage"]
    assert usage["estimated"] and 0 < usage["output_tokens"] < 4000


@pytest.mark.parametrize("upstream", ["openai", "anthropic"])
def test_a_slow_client_stops_the_reading_upstream_and_memory_stays_bounded(three, upstream):
    """50 MB for a client that reads nothing: the provider's writes block, the daemon does not grow by it."""
    before_kb, sent = three.daemon.rss_kb(), three.sim.state()["bytes_sent"]
    path, body = chat("openai", f"{upstream}/m", order(big=50 * 1024, chunk_chars=16000, ignore_max=True), True)
    with Client(three.daemon.port, rcvbuf=8192) as c:
        c.request("POST", path, body)
        assert c.head()[0] == 200
        eventually(lambda: three.sim.state()["blocked_writes"] > 0, 20, "the provider's write blocking")
        time.sleep(0.5)
        moved = three.sim.state()["bytes_sent"] - sent
        assert moved < 24 << 20, f"{moved} bytes were taken for a client that reads nothing"
        assert three.daemon.rss_kb() - before_kb < 30_000 * SLOW
        for _ in range(50):
            assert c.some()
    eventually(lambda: three.sim.last()["outcome"] == "gone", 10)


def test_a_slow_client_gets_all_of_it_in_the_end(three):
    path, body = chat("openai", "openai/m", order(big=4096, chunk_chars=4000), True)
    with Client(three.daemon.port, rcvbuf=8192) as c:
        c.request("POST", path, body)
        assert c.head()[0] == 200
        time.sleep(0.5)
        body = b""
        while data := c.some():
            body += data
        assert data == b"" and body.endswith(b"data: [DONE]\n\n")
    said = "".join(json.loads(line[6:])["choices"][0]["delta"].get("content") or "" for line in body.decode().split("\n\n")
                   if line.startswith("data: {") and json.loads(line[6:])["choices"])
    assert len(said) == 4096 * 1024


def test_a_stream_is_handed_on_as_it_comes(three):
    path, body = chat("anthropic", "openai/m", order(words=5, chunk_chars=6, chunk_ms=120), True)
    times = []
    with Client(three.daemon.port) as c:
        c.request("POST", path, body)
        c.head()
        while data := c.some():
            if b"content_block_delta" in data:
                times.append(time.monotonic())
    assert len(times) >= 4 and times[-1] - times[0] > 0.25, "the pieces came all at once"


@pytest.mark.parametrize("upstream", DIALECTS)
def test_many_streams_at_once_stay_apart(three, upstream):
    clients = []
    for i in range(40):
        c = Client(three.daemon.port)
        dialect = DIALECTS[i % len(DIALECTS)]
        path, body = chat(dialect, f"{upstream}/m", order(text=f"stream number {i} " * 10, chunk_ms=5), True)
        c.request("POST", path, body)
        clients.append((c, dialect, i))
    from harness import read
    for c, dialect, i in clients:
        a = read(dialect, c.reply(), True)
        assert a.text == f"stream number {i} " * 10 and a.ended
        c.close()


def test_pipelined_requests_behind_a_stream_wait_for_it(three):
    path, body = chat("openai", "openai/m", order(words=20, chunk_ms=10), True)
    with Client(three.daemon.port) as c:
        c.send(request_bytes("POST", path, body) + request_bytes("GET", "/healthz"))
        assert c.reply().body.endswith(b"[DONE]\n\n")
        assert c.reply("GET").text == "ok\n"


def test_http_1_0_clients_get_a_stream_without_chunks(three):
    path, body = chat("openai", "openai/m", order(text="old"), True)
    raw = request_bytes("POST", path, body).replace(b"HTTP/1.1", b"HTTP/1.0")
    with Client(three.daemon.port) as c:
        c.send(raw)
        reply = c.reply()
    assert "transfer-encoding" not in reply.headers and reply.body.endswith(b"data: [DONE]\n\n")


def test_a_comment_before_the_first_word_does_not_commit(sims, gridtie):
    bad, good = sims(), sims()
    daemon = gridtie({"endpoints": [bad.endpoint("bad", timeouts={"first_event": "400ms"}), good.endpoint("good")],
                      "routes": {"r": ["bad/m", "good/m"]}})
    bad.script([{"body": ": ping\n\n: ping\n\n", "content_type": "text/event-stream"}])
    reply, a = ask(daemon, "openai", "r", order(text="real"), True)
    assert a.text == "real" and reply.headers["x-gridtie-target"] == "good/m"


def test_the_path_of_each_dialect_is_served(three):
    for dialect in DIALECTS:
        assert three.daemon.call("PUT", PATHS[dialect], b"{}").status == 405
