# SPDX-License-Identifier: Apache-2.0
"""Replicate: a prediction is made, then its stream is read or it is asked for until it is done, and cancelled when nobody
wants it any more. The provider is a server of this file: its answers lie at several addresses."""
import json
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from harness import Client, ask, chat, eventually

TEXT = ["Hel", "lo\nthere", " you"]


class Replicate(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def answer(self, status, body, kind="application/json"):
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.send_response(status)
        self.send_header("content-type", kind)
        self.send_header("content-length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def prediction(self, status):
        s, url = self.server, f"http://127.0.0.1:{self.server.server_port}"
        urls = {"get": f"{s.get_at or url}/v1/predictions/p1", "cancel": f"{url}/v1/predictions/p1/cancel"}
        if s.streams:
            urls["stream"] = f"{s.stream_at or url}/v1/stream/p1"
        done = status == "succeeded"
        return {"id": "p1", "model": "o/m", "version": "v", "input": {}, "logs": "", "status": status, "urls": urls,
                "output": TEXT if done else None, "error": "it broke" if status == "failed" else None,
                "metrics": {"input_token_count": 7, "output_token_count": 3} if done else {}}

    def note(self):
        body = self.rfile.read(int(self.headers.get("content-length") or 0))
        self.server.seen.append((self.command, self.path, self.headers.get("authorization"), json.loads(body or b"null")))

    def do_POST(self):
        self.note()
        if self.path.endswith("/cancel"):
            self.answer(200, self.prediction("canceled"))
        elif self.server.refuse:
            self.answer(*self.server.refuse)
        else:
            self.answer(201, self.prediction(self.server.states.pop(0)))

    def do_GET(self):
        self.note()
        if "/stream/" in self.path:
            self.stream()
        else:
            self.answer(200, self.prediction(self.server.states.pop(0) if len(self.server.states) > 1 else self.server.states[0]))

    def stream(self):
        frames = [": hi\n\n", *(f"event: output\nid: {i}\n" + "".join(f"data: {line}\n" for line in t.split("\n")) + "\n"
                                for i, t in enumerate(TEXT)), f"event: done\ndata: {json.dumps(self.server.reason)}\n\n"]
        self.send_response(200)
        self.send_header("content-type", "text/event-stream")
        self.send_header("connection", "close")
        self.end_headers()
        try:
            for frame in frames[:self.server.frames]:
                self.wfile.write(frame.encode())
                self.wfile.flush()
            while self.server.hangs.is_set():
                time.sleep(0.02)
        except OSError:
            pass


@pytest.fixture
def upstream():
    server = ThreadingHTTPServer(("127.0.0.1", 0), Replicate)
    server.daemon_threads = True
    server.seen, server.states, server.streams, server.refuse, server.frames = [], ["starting"], True, None, None
    server.reason, server.hangs, server.get_at, server.stream_at = {}, threading.Event(), None, None
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server
    server.hangs.clear()
    server.shutdown()
    server.server_close()


@pytest.fixture
def daemon(upstream, gridtie):
    return gridtie({"endpoints": [{"name": "r", "provider": "replicate", "url": f"http://127.0.0.1:{upstream.server_port}/v1",
                                   "key": "secret-of-r", "zone": "cloud"}],
                    "catalogue": {"models": [{"name": "r/o/m", "input": "1 USD/M", "output": "2 USD/M"}]}})


def test_a_stream_is_made_and_read(upstream, daemon):
    reply, answer = ask(daemon, "openai", "r/o/m", "Say hello", stream=True, system="be brief")
    assert reply.status == 200 and answer.text == "".join(TEXT), reply.text
    (made, path, key, body), (get, where, stream_key, _) = upstream.seen
    assert (made, path, key) == ("POST", "/v1/models/o/m/predictions", "Bearer secret-of-r")
    assert body == {"input": {"prompt": "Say hello", "system_prompt": "be brief"}, "stream": True}
    assert (get, where, stream_key) == ("GET", "/v1/stream/p1", "Bearer secret-of-r")
    record = daemon.why(reply)
    assert record["attempts"][0]["usage"]["estimated"] and len(record["attempts"]) == 1


def test_it_is_asked_for_until_it_is_done(upstream, daemon):
    upstream.states = ["starting", "processing", "processing", "succeeded"]
    reply, answer = ask(daemon, "anthropic", "r/o/m", "Say hello", max_tokens=50)
    assert reply.status == 200 and answer.text == "".join(TEXT), reply.text
    assert [s[:2] for s in upstream.seen] == [("POST", "/v1/models/o/m/predictions")] + [("GET", "/v1/predictions/p1")] * 3
    assert upstream.seen[0][3]["input"]["max_tokens"] == 50
    assert reply.headers["x-gridtie-cost-usd"] == "0.000013"


def test_one_that_is_done_at_once_and_a_model_without_streams(upstream, daemon):
    upstream.streams = False
    for stream in (False, True):
        upstream.states = ["succeeded"]
        reply, answer = ask(daemon, "openai", "r/o/m", stream=stream)
        assert reply.status == 200 and answer.text == "".join(TEXT), reply.text
    upstream.states = ["starting", "succeeded"]
    assert ask(daemon, "ollama", "r/o/m", stream=True)[1].text == "".join(TEXT)


def test_versions_and_turns(upstream, daemon):
    upstream.states = ["succeeded"]
    path, body = chat("openai", "r/o/m:abc123")
    body["messages"] += [{"role": "assistant", "content": "Hm"}, {"role": "user", "content": "So?"}]
    body.update(stop=["a", "b"], seed=3, tools=[{"type": "function", "function": {"name": "f"}}])
    reply = daemon.post(path, body)
    assert reply.status == 200, reply.text
    _, path, _, sent = upstream.seen[0]
    assert path == "/v1/predictions" and sent["version"] == "abc123"
    assert sent["input"] == {"prompt": "User: Hi there\n\nAssistant: Hm\n\nUser: So?\n\nAssistant: ", "seed": 3,
                             "stop_sequences": "a,b"}
    assert "tools" in [d["path"] for d in daemon.why(reply)["drops"]]


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
def test_a_failure_is_told(upstream, daemon, stream):
    upstream.states = ["starting", "failed"]
    upstream.reason, upstream.frames = {"reason": "error"}, None
    reply, _ = ask(daemon, "openai", "r/o/m", stream=stream)
    assert reply.status >= 500 or "error" in reply.text
    assert "it broke" not in reply.text
    upstream.refuse = (422, {"detail": "- input.prompt: too long", "status": 422})
    assert ask(daemon, "openai", "r/o/m", stream=stream)[0].status == 400
    upstream.refuse = (429, {"detail": "Request was throttled. Your rate limit resets in ~30s.", "status": 429})
    assert ask(daemon, "openai", "r/o/m", stream=stream)[0].status == 429


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
def test_who_leaves_cancels_the_prediction(upstream, daemon, stream):
    upstream.hangs.set()
    upstream.frames, upstream.states = 2, ["starting", "processing"]
    path, body = chat("openai", "r/o/m", stream=stream)
    with Client(daemon.port) as c:
        c.request("POST", path, body)
        eventually(lambda: len(upstream.seen) >= 2, what="the second step")
    eventually(lambda: ("POST", "/v1/predictions/p1/cancel", "Bearer secret-of-r", None) in upstream.seen, what="cancel")


def test_no_other_host_gets_the_key_or_is_asked(upstream, daemon, sims):
    other = sims()
    upstream.stream_at = other.url
    assert ask(daemon, "openai", "r/o/m", stream=True)[0].status >= 500
    upstream.stream_at, upstream.get_at = None, other.url
    assert ask(daemon, "openai", "r/o/m")[0].status >= 500
    assert not other.requests()
