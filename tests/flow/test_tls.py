# SPDX-License-Identifier: Apache-2.0
"""Upstreams behind TLS and behind a CONNECT proxy."""
import shutil

import pytest

from harness import DIALECTS, Client, ask, chat, eventually, order, read
from tls_front import ConnectProxy, TlsFront, make_authority

pytestmark = pytest.mark.skipif(not shutil.which("openssl"), reason="no openssl command")
both = pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])


@pytest.fixture(scope="module")
def papers(tmp_path_factory):
    good, other, misnamed = (tmp_path_factory.mktemp(n) for n in ("good", "other", "misnamed"))
    return {"good": make_authority(good), "other": make_authority(other),
            "misnamed": make_authority(misnamed, ("elsewhere.example",))}


@pytest.fixture
def fronts():
    made = []

    def make(cls, *args, **more):
        made.append(cls(*args, **more))
        return made[-1]
    yield make
    for f in made:
        f.close()


def row(front, ca, name="o", provider="openai", host="127.0.0.1", **more):
    base = f"https://{host}:{front.port}" + {"anthropic": "", "ollama": "", "gemini": "/v1beta"}.get(provider, "/v1")
    return {"name": name, "provider": "openai-responses" if provider == "responses" else provider, "url": base, "zone": "cloud", "models": ["m"], "key": "k",
            "ca_file": str(ca), **more}


@both
@pytest.mark.parametrize("upstream", DIALECTS)
def test_an_upstream_with_a_good_certificate_is_used(sim, gridtie, papers, fronts, upstream, stream):
    ca, cert, key = papers["good"]
    front = fronts(TlsFront, sim.port, cert, key)
    daemon = gridtie({"endpoints": [row(front, ca, provider=upstream, host="localhost")]})
    for i in range(5):
        _, a = ask(daemon, "openai", "o/m", order(text=f"over TLS {i} {'é' * 3000}"), stream)
        assert a.text == f"over TLS {i} {'é' * 3000}" and a.ended
    assert front.connections <= 5 + 4, "connections are not kept"


@both
@pytest.mark.parametrize("which", ["other", "misnamed"])
def test_an_upstream_with_a_bad_certificate_sees_nothing(sim, gridtie, papers, fronts, which, stream):
    ca, cert, key = papers[which]
    front = fronts(TlsFront, sim.port, cert, key)
    daemon = gridtie({"endpoints": [row(front, papers["good"][0] if which == "other" else ca)]})
    reply, _ = ask(daemon, "openai", "o/m", stream=stream)
    assert reply.status == 502 and not sim.requests()
    assert daemon.why(reply)["attempts"][0]["err"] == "up_tls"


def test_plain_http_where_tls_was_said_is_an_error(sim, gridtie, papers):
    daemon = gridtie({"endpoints": [row(sim, papers["good"][0], timeouts={"connect": "500ms"})]})
    reply, _ = ask(daemon, "openai", "o/m")
    assert reply.status in (502, 504) and not sim.requests()


@pytest.mark.parametrize("client", DIALECTS)
def test_a_reset_inside_a_tls_stream_ends_it_with_an_error(sim, gridtie, papers, fronts, client):
    ca, cert, key = papers["good"]
    front = fronts(TlsFront, sim.port, cert, key)
    daemon = gridtie({"endpoints": [row(front, ca)]})
    front.cut_after = 2500
    reply, a = ask(daemon, client, "o/m", order(words=400, chunk_ms=10), True)
    assert reply.status == 200 and a.text and not a.ended and (a.error or not reply.complete)
    front.cut_after = 0
    reply, _ = ask(daemon, client, "o/m")
    assert reply.status == 502


def test_a_client_that_leaves_stops_a_tls_upstream(sim, gridtie, papers, fronts):
    ca, cert, key = papers["good"]
    front = fronts(TlsFront, sim.port, cert, key)
    daemon = gridtie({"endpoints": [row(front, ca)]})
    path, body = chat("openai", "o/m", order(words=4000, chunk_ms=20), True)
    with Client(daemon.port) as c:
        c.request("POST", path, body)
        assert c.head()[0] == 200 and c.some()
    eventually(lambda: sim.last()["outcome"] == "gone", 8, "the upstream's end")


def test_a_slow_client_of_a_tls_upstream_gets_all_of_it(sim, gridtie, papers, fronts):
    ca, cert, key = papers["good"]
    front = fronts(TlsFront, sim.port, cert, key)
    daemon = gridtie({"endpoints": [row(front, ca)]})
    path, body = chat("anthropic", "o/m", order(big=8192, chunk_chars=8000, ignore_max=True), True)
    with Client(daemon.port, rcvbuf=8192) as c:
        c.request("POST", path, body)
        reply = c.reply()
    a = read("anthropic", reply, True)
    assert len(a.text) == 8192 * 1024 and a.ended


@both
def test_a_connect_proxy_is_used_where_config_says_so(sim, gridtie, papers, fronts, stream):
    ca, cert, key = papers["good"]
    front, proxy = fronts(TlsFront, sim.port, cert, key), fronts(ConnectProxy)
    daemon = gridtie({"endpoints": [row(front, ca, host="localhost", proxy=f"http://127.0.0.1:{proxy.port}")]})
    _, a = ask(daemon, "openai", "o/m", order(text="through"), stream)
    assert a.text == "through" and proxy.asked[0].startswith(f"CONNECT localhost:{front.port} ")


def test_a_proxy_that_refuses_is_a_failure_to_connect_and_not_passed_by(sim, gridtie, papers, fronts):
    ca, cert, key = papers["good"]
    front, proxy = fronts(TlsFront, sim.port, cert, key), fronts(ConnectProxy, refuse=True)
    daemon = gridtie({"endpoints": [row(front, ca, proxy=f"http://127.0.0.1:{proxy.port}")]})
    reply, _ = ask(daemon, "openai", "o/m")
    assert reply.status == 502 and not sim.requests() and front.connections == 0
