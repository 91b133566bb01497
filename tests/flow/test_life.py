# SPDX-License-Identifier: Apache-2.0
"""Starting, stopping and changing one's mind: drain, reload, addresses, keys, kill -9, too many files."""
import os
import random
import re
import resource
import signal
import socket
import subprocess
import threading
import time

import pytest

from harness import (BIN, DIALECTS, SLOW, Client, ask, assert_error_shape, chat, eventually, free_port, order, read,
                     request_bytes)

pytestmark = pytest.mark.tsan

each = pytest.mark.parametrize("client", DIALECTS)


def open_stream(daemon, dialect="openai", model="o/m", words=60, chunk_ms=30, headers=None):
    c = Client(daemon.port)
    path, body = chat(dialect, model, order(words=words, chunk_ms=chunk_ms), True)
    c.request("POST", path, body, headers)
    assert c.head()[0] == 200
    assert c.some()
    return c


def rest_of(c):
    body = b""
    while data := c.some():
        body += data
    return body, data == b""


# ---- drain


@each
def test_sigterm_lets_open_streams_finish(sim, gridtie, client):
    daemon = gridtie({"endpoints": [sim.endpoint("o")], "drain": "20s"})
    c = open_stream(daemon, client)
    daemon.signal(signal.SIGTERM)
    eventually(lambda: refused(daemon), 5, "no new connections")
    body, whole = rest_of(c)
    last = {"openai": b"[DONE]", "anthropic": b"message_stop", "ollama": b'"done":true', "responses": b"response.completed",
            "gemini": b'"finishReason":"STOP"'}
    assert whole and last[client] in body
    assert daemon.wait() == 0


def refused(daemon):
    try:
        with Client(daemon.port, timeout=1) as c:
            c.request("GET", "/healthz")
            reply = c.reply("GET")
            return reply is None or reply.status == 503
    except OSError:
        return True


def test_drain_cuts_what_takes_too_long(sim, gridtie):
    daemon = gridtie({"endpoints": [sim.endpoint("o")], "drain": "300ms"})
    c = open_stream(daemon, words=3000)
    daemon.signal(signal.SIGTERM)
    body, whole = rest_of(c)
    assert b"[DONE]" not in body
    assert daemon.wait(10) == 0
    assert eventually(lambda: sim.last()["outcome"] == "gone", 5)


def test_a_second_sigterm_ends_at_once(sim, gridtie):
    daemon = gridtie({"endpoints": [sim.endpoint("o")], "drain": "60s"})
    c = open_stream(daemon, words=3000)
    daemon.signal(signal.SIGTERM)
    time.sleep(0.2)
    daemon.signal(signal.SIGTERM)
    assert daemon.wait(8) == 0
    c.close()


def test_idle_connections_do_not_hold_up_the_end(sim, gridtie):
    daemon = gridtie({"endpoints": [sim.endpoint("o")], "drain": "30s"})
    idle = [Client(daemon.port) for _ in range(5)]
    idle[0].request("GET", "/healthz")
    idle[0].reply("GET")
    start = time.monotonic()
    daemon.signal(signal.SIGTERM)
    assert daemon.wait(10) == 0 and time.monotonic() - start < 5 * SLOW
    for c in idle:
        c.close()


# ---- reload


@pytest.mark.parametrize("by", ["api", "signal", "cli"])
def test_reload_keeps_running_streams_also_of_what_was_dropped(sims, gridtie, by):
    a, b = sims(), sims()
    keys = [{"name": "k", "secret": "secret-one"}]
    daemon = gridtie({"endpoints": [a.endpoint("o")], "keys": keys, "loopback": "owner"})
    c = open_stream(daemon, headers={"Authorization": "Bearer secret-one"})
    daemon.write_config({"endpoints": [b.endpoint("p")], "keys": [{"name": "n", "secret": "secret-two"}],
                         "loopback": "owner"})
    if by == "api":
        assert daemon.post("/gridtie/v1/reload", {}).status == 200
    elif by == "cli":
        done = daemon.cli("reload")
        assert done.returncode == 0, done.stderr
    else:
        daemon.signal(signal.SIGHUP)
    eventually(lambda: ask(daemon, "openai", "p/m")[0].status == 200, 8, "the new endpoint")
    eventually(lambda: ask(daemon, "openai", "o/m")[0].status == 404, 8, "the old endpoint's end")
    body, whole = rest_of(c)
    assert whole and body.endswith(b"data: [DONE]\n\n")


def test_a_broken_config_is_refused_by_line_and_the_old_one_stays(sim, gridtie):
    good = {"endpoints": [sim.endpoint("o")]}
    daemon = gridtie(good)
    for text in ("endpoints:\n  - {name: x, provider: openai, nonsense: 1}\n", "listen: [\n", "loops: many\n",
                 "endpoints:\n  - {name: x, provider: nobody}\n"):
        daemon.config_path.write_text(text)
        reply = daemon.post("/gridtie/v1/reload", {})
        assert reply.status == 400, (text, reply.text)
        assert re.search(r"gridtie\.yaml:\d+", reply.text), reply.text
        assert ask(daemon, "openai", "o/m")[0].status == 200
    daemon.signal(signal.SIGHUP)
    eventually(lambda: "refused" in daemon.stderr, 5)
    assert ask(daemon, "openai", "o/m")[0].status == 200
    daemon.reload(good)


def test_who_may_ask_is_known_after_a_reload_too(sim, gridtie):
    daemon = gridtie({"endpoints": [sim.endpoint("o")], "allowed_hosts": ["gate.example"],
                      "cors": ["https://ui.example"]})
    daemon.reload({"endpoints": [sim.endpoint("o")]})
    assert daemon.call("GET", "/healthz", host="gate.example").status == 200
    assert daemon.call("GET", "/healthz", host="other.example").status == 403
    reply = daemon.get("/healthz", {"Origin": "https://ui.example"})
    assert reply.headers["access-control-allow-origin"] == "https://ui.example"


def test_a_reload_does_not_take_the_keys_from_what_is_reachable(sim, gridtie):
    """The long way to write ::1 is taken for an address that others reach; a reload can't change where it listens."""
    listen = ["127.0.0.1:0", "[0:0:0:0:0:0:0:1]:0"]
    secret = "a-key-that-is-long-enough"
    daemon = gridtie({"endpoints": [sim.endpoint("o")], "listen": listen, "loopback": "owner",
                      "keys": [{"name": "k", "secret": secret}]})
    reply = daemon.reload({"endpoints": [sim.endpoint("o")], "listen": "127.0.0.1:0"}, expect=False)
    assert "a key is needed" in reply.text
    assert daemon.reload({"endpoints": [sim.endpoint("o")], "keys": [{"name": "other", "secret": secret}]})


def test_many_reloads_under_load_break_nothing(sim, gridtie):
    config = {"endpoints": [sim.endpoint("o"), sim.endpoint("q")]}
    daemon = gridtie(config)
    failures, stop = [], threading.Event()

    def load():
        while not stop.is_set():
            reply, a = ask(daemon, "anthropic", "o/m", order(words=10), True)
            if reply.status != 200 or not a.ended:
                failures.append((reply.status, reply.body[-300:]))
    threads = [threading.Thread(target=load) for _ in range(4)]
    for t in threads:
        t.start()
    for i in range(15):
        config["endpoints"][1]["models"] = ["m", f"x{i}"]
        daemon.reload(config)
    stop.set()
    for t in threads:
        t.join()
    assert not failures


# ---- starting


@pytest.mark.parametrize("address", ["0.0.0.0:0", "[::]:0"])
def test_it_refuses_to_listen_beyond_loopback_without_keys(sim, gridtie, address):
    daemon = gridtie({"listen": address, "endpoints": [sim.endpoint("o")]}, wait=False)
    assert daemon.wait() == 1
    assert "key" in daemon.stderr and address in daemon.stderr


def test_with_a_key_it_listens_beyond_loopback(sim, gridtie):
    port = free_port()
    daemon = gridtie({"listen": [f"0.0.0.0:{port}", "127.0.0.1:0"], "endpoints": [sim.endpoint("o")],
                      "keys": [{"name": "k", "secret": "s3cret"}]})
    with Client(port) as c:
        c.request("GET", "/v1/models", headers={"Authorization": "Bearer s3cret"})
        assert c.reply("GET").status == 200
    assert daemon.process.poll() is None


def test_a_port_that_is_taken_is_named(sim, gridtie):
    daemon = gridtie({"listen": f"127.0.0.1:{sim.port}", "endpoints": [sim.endpoint("o")]}, wait=False)
    assert daemon.wait() == 1 and str(sim.port) in daemon.stderr


def test_a_missing_config_file_is_named(sim, gridtie):
    daemon = gridtie({"endpoints": [sim.endpoint("o")]})
    done = subprocess.run([BIN, "serve", "--config", "/nonexistent/gridtie.yaml"], env=daemon.env, capture_output=True,
                          text=True, timeout=20)
    assert done.returncode == 1 and "/nonexistent/gridtie.yaml" in done.stderr


def test_two_daemons_do_not_share_a_home(sim, gridtie):
    daemon = gridtie({"endpoints": [sim.endpoint("o")]})
    second = subprocess.run([BIN, "serve", "--config", str(daemon.config_path)], env=daemon.env, capture_output=True,
                            text=True, timeout=20 * SLOW)
    assert second.returncode == 1 and second.stderr


def test_a_unix_socket_serves_like_a_port(sim, gridtie, tmp_path):
    path = f"/tmp/gridtie-test-{os.getpid()}.sock"
    daemon = gridtie({"listen": ["127.0.0.1:0", f"unix:{path}"], "endpoints": [sim.endpoint("o")]})
    for _ in range(4):
        with Client(unix=path) as c:
            where, body = chat("anthropic", "o/m", order(text="by socket"))
            c.request("POST", where, body)
            assert read("anthropic", c.reply(), False).text == "by socket"
    assert os.stat(path).st_mode & 0o777 == 0o600
    daemon.stop()
    assert not os.path.exists(path) or os.unlink(path) is None


# ---- keys


KEYED = [{"name": "team", "secret": "sk-team-0123456789"}, {"name": "other", "secret": "sk-other-987654321"}]


@each
def test_once_a_key_is_configured_every_request_needs_one(sim, gridtie, client):
    daemon = gridtie({"endpoints": [sim.endpoint("o")], "keys": KEYED})
    for headers in ({}, {"Authorization": "Bearer wrong"}, {"x-api-key": "sk-team-012345678"},
                    {"Authorization": "Bearer "}, {"Authorization": "Basic sk-team-0123456789"},
                    {"Authorization": "Bearer sk-team-01234567890"}):
        path, body = chat(client, "o/m")
        reply = daemon.post(path, body, headers)
        assert reply.status == 401, headers
        assert reply.headers["www-authenticate"] == "Bearer" and "API key" in reply.text
        assert_error_shape(client, reply)
    assert not sim.requests()
    for headers in ({"Authorization": "Bearer sk-team-0123456789"}, {"x-api-key": "sk-other-987654321"},
                    {"authorization": "bearer sk-team-0123456789"}):
        reply, _ = ask(daemon, client, "o/m", headers=headers)
        assert reply.status == 200, headers
    assert daemon.why(reply, {"Authorization": "Bearer sk-team-0123456789"})["key"] == "team"


def test_lists_and_the_own_api_need_the_key_too(sim, gridtie):
    daemon = gridtie({"endpoints": [sim.endpoint("o")], "keys": KEYED})
    for path in ("/v1/models", "/api/tags", "/gridtie/v1/status", "/gridtie/v1/log", "/gridtie/v1/why/last", "/metrics",
                 "/gridtie/v1/endpoints", "/api/ps"):
        assert daemon.get(path).status == 401, path
        assert daemon.get(path, {"Authorization": "Bearer sk-team-0123456789"}).status in (200, 404), path
    for path in ("/gridtie/v1/reload", "/gridtie/v1/stop", "/gridtie/v1/unload"):
        assert daemon.post(path, {}).status == 401, path
    assert daemon.get("/healthz").status == 200


def test_the_loopback_owner_needs_no_key_when_config_says_so(sim, gridtie):
    daemon = gridtie({"endpoints": [sim.endpoint("o")], "keys": KEYED, "loopback": "owner"})
    assert ask(daemon, "openai", "o/m")[0].status == 200


def test_without_keys_any_dummy_key_is_taken(sim, gridtie):
    daemon = gridtie({"endpoints": [sim.endpoint("o")]})
    for headers in ({"Authorization": "Bearer dummy"}, {"x-api-key": "anything"}, {}):
        assert ask(daemon, "anthropic", "o/m", headers=headers)[0].status == 200


def test_a_stranger_cannot_make_it_hold_a_large_body(sim, gridtie):
    daemon = gridtie({"endpoints": [sim.endpoint("o")], "keys": KEYED})
    with Client(daemon.port) as c:
        c.send(b"POST /v1/chat/completions HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 50000000\r\n\r\n")
        head = c.head()
        assert head and head[0] == 401


# ---- kill -9


KILLS = 10
OPEN_AT_ONCE = 4


class Payers:
    """Clients that go on asking while the daemon is killed under them. Each request is billed for another number of input
    tokens, so that the provider's bill, the clients' answers and the ledger can be laid side by side."""

    def __init__(self, daemon):
        self.daemon, self.lock, self.stop = daemon, threading.Lock(), threading.Event()
        self.tokens, self.seen = 1000, []  # (id, tokens) of answers that came in full
        self.threads = [threading.Thread(target=self.ask_on, args=(DIALECTS[i % 3], i % 2 == 0)) for i in range(OPEN_AT_ONCE)]

    def ask_on(self, dialect, stream):
        while not self.stop.is_set():
            with self.lock:
                self.tokens += 1
                mine = self.tokens
            try:
                reply, a = ask(self.daemon, dialect, "o/m", order(words=6, first_ms=30, chunk_ms=8, usage={"input": mine, "output": 7}),
                               stream)
            except (AssertionError, OSError, ValueError, IndexError):
                time.sleep(0.01)
                continue
            if reply.status == 200 and reply.complete and a.ended:
                with self.lock:
                    self.seen.append((reply.headers["x-gridtie-id"], mine))

    def __enter__(self):
        for t in self.threads:
            t.start()
        return self

    def __exit__(self, *_):
        self.stop.set()
        for t in self.threads:
            t.join()


def kill_at_random(daemon, rng):
    """Under load, or amid the start itself while it still reads what the last kill left."""
    time.sleep(SLOW * rng.choice([rng.uniform(0.1, 0.6), rng.uniform(0, 0.05)]))
    daemon.kill()
    while rng.random() < 0.4:
        daemon.launch()
        time.sleep(rng.uniform(0, 0.3))
        daemon.kill()
    daemon.restart()


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_kill_9_at_random_moments_loses_and_doubles_no_account(sim, gridtie, seed):
    rng = random.Random(seed)
    daemon = gridtie({"endpoints": [sim.endpoint("o")],
                      "catalogue": {"models": [{"name": "o/m", "input": "1 USD/M", "output": "2 USD/M"}]}})
    with Payers(daemon) as payers:
        for _ in range(KILLS):
            kill_at_random(daemon, rng)
    seen, bill = payers.seen, [b for b in sim.bill() if b["status"] == 200]
    assert len(seen) > 20 and len({name for name, _ in seen}) == len(seen), "ids came twice"
    assert len(bill) < 1000, "the log shows no more at once"
    rows = daemon.get("/gridtie/v1/log?limit=1000").json["exchanges"]
    by_id = {row["id"]: row for row in rows}
    assert len(by_id) == len(rows), "an exchange stands there twice"
    settled = {row["input_tokens"]: row for row in rows if row["outcome"] == "settled" and row["target"] and not row["err"]}
    unknown = [row for row in rows if row["outcome"] == "unknown"]
    assert len(unknown) <= KILLS * OPEN_AT_ONCE, "more than were open at the kills"
    for name, tokens in seen:  # whoever has an answer has an account, with the exact sum unless the kill came in between
        row = by_id[name]
        if row["outcome"] != "unknown":
            assert (row["input_tokens"], row["cost_picousd"]) == (tokens, tokens * 1_000_000 + 7 * 2_000_000)
    unaccounted = [b for b in bill if b["input_tokens"] not in settled]
    assert len(unaccounted) <= len(rows) - len(settled), "the provider billed what nobody here knows of"
    for b in bill:  # what both know, both count the same
        row = settled.get(b["input_tokens"])
        assert not row or b["cancelled"] or row["cost_picousd"] == b["cost_picousd"], (row, b)
    # The provider writes its bill a moment after its answer.
    eventually(lambda: set(settled) <= {b["input_tokens"] for b in sim.bill() if b["status"] == 200}, 10,
               "no account of what was never asked")
    totals, billed = daemon.get("/gridtie/v1/totals").json, sum(b["cost_picousd"] for b in bill)
    assert billed <= totals["settled_picousd"] <= billed + totals["unknown_picousd"] + sum(
        row["cost_picousd"] or 0 for row in rows if row["err"]), totals
    assert totals["unknown"] == len(unknown) and totals["open"] == 0 and totals["lost_lines"] == 0, totals


def test_an_attempt_that_a_kill_left_open_is_marked_unknown(sim, gridtie):
    daemon = gridtie({"endpoints": [sim.endpoint("o")],
                      "catalogue": {"models": [{"name": "o/m", "input": "1 USD/M", "output": "2 USD/M"}]}})
    c = open_stream(daemon, words=3000)
    daemon.kill()
    c.close()
    daemon.restart()
    totals = daemon.get("/gridtie/v1/totals").json
    assert totals["unknown"] >= 1, totals


# ---- limits of the machine


def test_it_survives_running_out_of_files(sim, gridtie):
    daemon = gridtie({"endpoints": [sim.endpoint("o")], "loops": 1}, loops=1, limit_files=64)
    held = []
    for _ in range(120):
        try:
            c = Client(daemon.port, timeout=2)
            c.send(b"GET /hea")
            held.append(c)
        except OSError:
            break
    time.sleep(0.3)
    for c in held:
        c.close()
    eventually(lambda: answers(daemon), 10, "an answer again")
    eventually(lambda: ask(daemon, "openai", "o/m")[0].status == 200, 10)


def answers(daemon):
    try:
        reply = daemon.get("/healthz", timeout=2)
        return reply is not None and reply.status == 200
    except OSError:
        return False


def test_no_files_stay_open_after_traffic(sim, gridtie):
    daemon = gridtie({"endpoints": [sim.endpoint("o")]})

    def files():
        return len(os.listdir(f"/proc/{daemon.pid}/fd"))
    ask(daemon, "openai", "o/m")
    before = files()
    for i in range(60):
        path, body = chat(DIALECTS[i % len(DIALECTS)], "o/m", order(words=200, chunk_ms=5), True)
        with Client(daemon.port) as c:
            c.request("POST", path, body)
            if i % 2:
                c.head()
    eventually(lambda: files() <= before + 8, 8, f"{files()} open files, {before} before")
    eventually(lambda: daemon.metrics()["gridtie_exchanges"] == 0, 8, "no open exchange")


@pytest.mark.skipif(not os.access(os.environ.get("GRIDTIE_RELEASE_BIN", ""), os.X_OK), reason="no release build")
def test_memory_does_not_grow_with_the_number_of_requests(sim, gridtie, monkeypatch):
    monkeypatch.setattr("harness.BIN", os.environ["GRIDTIE_RELEASE_BIN"])  # a sanitizer keeps what was freed
    daemon = gridtie({"endpoints": [sim.endpoint("o")]}, loops=1)
    path, body = chat("anthropic", "o/m", "x" * 20000)

    def some(n):
        with Client(daemon.port) as c:
            for _ in range(n):
                c.send(request_bytes("POST", path, body))
                assert c.reply().status == 200
    some(1000)
    before = daemon.rss_kb()
    some(2000)
    grown = daemon.rss_kb() - before
    assert grown < 8_000, f"{grown} KB more after 2000 requests"


def test_a_full_backlog_is_worked_off(sim, gridtie):
    daemon = gridtie({"endpoints": [sim.endpoint("o")]}, loops=1)
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if 0 <= hard < 6000:
        pytest.skip("too few files to fill a backlog with")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, 6000), hard))
    daemon.signal(signal.SIGSTOP)
    taken, refused = [], []
    try:
        while len(refused) < 20 and len(taken) < 5000:
            s = socket.socket()
            s.setblocking(False)
            # On loopback a connection is there at once, or the backlog is full and the kernel drops its first packet.
            (refused if s.connect_ex(("127.0.0.1", daemon.port)) else taken).append(s)
    finally:
        daemon.signal(signal.SIGCONT)
    assert refused, "the backlog was never full"
    for s in taken:
        s.settimeout(20)
        s.sendall(request_bytes("GET", "/healthz"))
    assert all(s.recv(12) == b"HTTP/1.1 200" for s in taken)
    for s in taken + refused:
        s.close()
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert ask(daemon, "openai", "o/m")[0].status == 200
