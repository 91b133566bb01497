# SPDX-License-Identifier: Apache-2.0
"""How endpoints are: from traffic, by asking the sick, by models that come and go."""
import json
import subprocess
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from harness import BIN, Sim, ask, eventually, free_port


def endpoint(daemon, name):
    return next((e for e in daemon.get("/gridtie/v1/endpoints").json["endpoints"] if e["name"] == name), None)


def ids(daemon):
    return {m["id"] for m in daemon.get("/v1/models").json["data"]}


def without_models(row):
    return {k: v for k, v in row.items() if k != "models"}


def test_a_target_that_fails_stands_behind_and_comes_back(sims, gridtie):
    bad, good = sims(), sims()
    daemon = gridtie({"endpoints": [bad.endpoint("bad", models=["m", "n"]), good.endpoint("good")],
                      "routes": {"r": ["bad/m", "good/m"]}})
    bad.always(error="server_error")
    for _ in range(3):
        assert ask(daemon, "openai", "r")[0].headers["x-gridtie-target"] == "good/m"
    asked = len(bad.requests())
    row = endpoint(daemon, "bad")
    assert row["failing_models"] == ["m"] and row["health"] == "unsteady"
    reply, _ = ask(daemon, "openai", "r")
    assert reply.headers["x-gridtie-target"] == "good/m" and len(bad.requests()) == asked, "it was asked though it is sick"
    assert [at["target"] for at in daemon.why(reply)["attempts"]] == ["good/m"]
    bad.reset()
    assert ask(daemon, "openai", "bad/n")[0].status == 200, "another model of the same place is well"
    assert ask(daemon, "openai", "bad/m")[0].status == 200, "alone, it is tried"
    eventually(lambda: ask(daemon, "openai", "r")[0].headers["x-gridtie-target"] == "bad/m", 10, "its old place")
    assert endpoint(daemon, "bad")["failing_models"] == []


def test_a_place_that_is_gone_is_asked_until_it_is_back(sims, gridtie, tmp_path):
    """Config lists its models, so nothing asks it but health."""
    first, good = sims(), sims()
    port = first.port
    daemon = gridtie({"endpoints": [first.endpoint("near", zone="edge"), good.endpoint("good")],
                      "routes": {"r": ["near/m", "good/m"]}})
    first.kill()
    for _ in range(3):
        assert ask(daemon, "openai", "r")[0].headers["x-gridtie-target"] == "good/m"
    row = endpoint(daemon, "near")
    assert row["health"] == "failing" and row["last_error"]["error"] == "up_connect" and row["next_try_ms"] > 0
    folder = tmp_path / "again"
    folder.mkdir()
    again = Sim(folder, "--listen", f"127.0.0.1:{port}")
    try:
        eventually(lambda: endpoint(daemon, "near")["health"] == "ok", 20, "near to be well")
        assert not again.requests(), "health was found out by a request that costs"
        assert ask(daemon, "openai", "r")[0].headers["x-gridtie-target"] == "near/m"
    finally:
        again.stop()
    eventually(lambda: "endpoint_sick" in daemon.stderr and "endpoint_well" in daemon.stderr, 5, "both in the log")


def test_models_that_appear_and_vanish_are_noticed(sims, gridtie):
    sim = sims("--models", "alpha,beta")
    daemon = gridtie({"endpoints": [without_models(sim.endpoint("o"))]})
    eventually(lambda: {"o/alpha", "o/beta"} <= ids(daemon), 10, "the models")
    sim.post("/sim/models", {"models": "beta,gamma"})
    assert ask(daemon, "openai", "gamma")[0].status == 404  # and that is a reason to ask who is near
    eventually(lambda: {"o/beta", "o/gamma"} <= ids(daemon), 10, "the new model")
    assert "o/alpha" not in ids(daemon)
    line = next(row for row in daemon.stderr.splitlines() if "models_changed" in row)
    assert "appeared=1" in line and "vanished=1" in line
    assert ask(daemon, "openai", "gamma")[0].status == 200


def test_a_list_that_fails_takes_no_models_away(sims, gridtie):
    sim = sims("--models", "alpha")
    daemon = gridtie({"endpoints": [without_models(sim.endpoint("o"))]})
    eventually(lambda: "o/alpha" in ids(daemon), 10, "the model")
    sim.post("/sim/models", {"status": 503})
    assert ask(daemon, "openai", "nobody-has-it")[0].status == 404
    eventually(lambda: endpoint(daemon, "o")["last_error"], 10, "the failed look")
    assert "o/alpha" in ids(daemon) and ask(daemon, "openai", "alpha")[0].status == 200
    sim.post("/sim/models", {"models": "alpha,beta"})
    eventually(lambda: "o/beta" in ids(daemon), 20, "the new model")
    assert endpoint(daemon, "o")["last_error"] is None


def test_a_found_server_that_is_gone_leaves_nothing_and_is_found_again(sims, gridtie, tmp_path):
    first = sims()
    port = first.port
    daemon = gridtie({"discovery": {"keys": False, "ports": [f"ollama:{port}"]}})
    eventually(lambda: "ollama/m" in ids(daemon), 10, "the model")
    first.kill()
    assert ask(daemon, "openai", "ollama/m")[0].status >= 500
    eventually(lambda: endpoint(daemon, "ollama") is None, 20, "it to be gone")
    assert ask(daemon, "openai", "ollama/m")[0].status == 404
    folder = tmp_path / "again"
    folder.mkdir()
    again = Sim(folder, "--listen", f"127.0.0.1:{port}")
    try:
        eventually(lambda: "ollama/m" in ids(daemon), 30, "it to be found again")
        assert ask(daemon, "openai", "m")[0].status == 200
    finally:
        again.stop()


def test_an_endpoint_that_never_answered_fails_and_says_why(gridtie):
    nowhere = {"name": "x", "provider": "vllm", "url": f"http://127.0.0.1:{free_port()}/v1"}
    daemon = gridtie({"endpoints": [nowhere]})
    row = eventually(lambda: endpoint(daemon, "x") if endpoint(daemon, "x")["last_error"] else None, 10, "its error")
    assert row["health"] == "failing" and row["any_model"] and row["last_error"]["error"] == "up_connect"


def test_latency_and_errors_are_shown(sims, gridtie):
    sim = sims()
    daemon = gridtie({"endpoints": [sim.endpoint("o"), without_models(sim.endpoint("listed"))]})
    eventually(lambda: endpoint(daemon, "listed")["probe_ms"] is not None, 10, "its list")
    assert endpoint(daemon, "o")["first_token_ms"] is None and endpoint(daemon, "o")["health"] == "unknown"
    ask(daemon, "openai", "o/m", stream=True)
    row = eventually(lambda: endpoint(daemon, "o") if endpoint(daemon, "o")["first_token_ms"] else None, 5, "its latency")
    assert row["health"] == "ok" and row["last_error"] is None
    sim.script([{"error": "server_error"}])
    ask(daemon, "openai", "o/m")
    row = endpoint(daemon, "o")
    assert row["health"] == "unsteady" and row["last_error"]["model"] == "m" and row["failures"] == 1
    text = daemon.cli("endpoints").stdout
    assert "unsteady" in text and "m: the upstream failed" in text and "FOUND BY" in text


def test_watch_shows_again_and_again(sim, gridtie):
    daemon = gridtie({"endpoints": [sim.endpoint("o")]})
    env = dict(daemon.env, GRIDTIE_URL=daemon.url)
    watch = subprocess.Popen([BIN, "endpoints", "--watch", "--json"], env=env, stdout=subprocess.PIPE, text=True)
    try:
        rows = [json.loads(watch.stdout.readline()) for _ in range(2)]
        assert all(r["endpoints"][0]["name"] == "o" for r in rows)
    finally:
        watch.kill()
        watch.wait()


class Nim(BaseHTTPRequestHandler):
    """A container of one's own that comes up: it answers, but is not ready yet."""
    ready, asked = False, []

    def log_message(self, *_):
        pass

    def do_GET(self):
        Nim.asked.append((self.path, self.headers.get("authorization")))
        self.send_response(200 if Nim.ready else 503)
        self.send_header("content-length", "0")
        self.end_headers()


class Metadata(BaseHTTPRequestHandler):
    answers = {}

    def log_message(self, *_):
        pass

    def do_GET(self):
        body = Metadata.answers.get(self.path, "").encode()
        self.send_response(200 if body else 404)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


@pytest.mark.parametrize("said, shown", [('{"version":"1.8.3","modelInfo":[{"shortName":"llama"}]}', "1.8.3"), ('{"version":"2.0"}', "2.0.0"),
                                         ('{"version":"new"}', None), ("{", None), ("", None)])
def test_ones_own_nim_says_which_it_is(gridtie, said, shown):
    Metadata.answers = {"/v1/models": '{"object":"list","data":[{"id":"llama","owned_by":"system"}]}', "/v1/metadata": said}
    server = ThreadingHTTPServer(("127.0.0.1", 0), Metadata)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        daemon = gridtie({"endpoints": [{"name": "nim", "provider": "nvidia", "url": f"http://127.0.0.1:{server.server_port}/v1",
                                         "key": "k", "zone": "edge"}]})
        eventually(lambda: endpoint(daemon, "nim")["models"], 20, "its models")
        if shown:
            eventually(lambda: endpoint(daemon, "nim").get("version") == shown, 20, "its version")
        else:
            assert "version" not in endpoint(daemon, "nim") and endpoint(daemon, "nim")["health"] == "ok"
    finally:
        server.shutdown()
        server.server_close()


def test_ones_own_nim_is_asked_by_the_address_that_it_has_for_that(sims, gridtie):
    good, port = sims(), free_port()
    Nim.ready, Nim.asked = False, []
    daemon = gridtie({"endpoints": [{"name": "nim", "provider": "nvidia", "url": f"http://127.0.0.1:{port}/v1", "key": "k",
                                     "zone": "edge", "models": ["m"]}, good.endpoint("good")],
                      "routes": {"r": ["nim/m", "good/m"]}})
    for _ in range(3):
        assert ask(daemon, "openai", "r")[0].headers["x-gridtie-target"] == "good/m"
    assert endpoint(daemon, "nim")["health"] == "failing"
    server = ThreadingHTTPServer(("127.0.0.1", port), Nim)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        eventually(lambda: Nim.asked, 20, "the first question")
        assert endpoint(daemon, "nim")["health"] == "failing", "503 is not ready"
        Nim.ready = True
        eventually(lambda: endpoint(daemon, "nim")["health"] == "ok", 30, "nim to be well")
        assert set(Nim.asked) == {("/v1/health/ready", "Bearer k")}
    finally:
        server.shutdown()
        server.server_close()
