# SPDX-License-Identifier: Apache-2.0
"""HTTP as strangers speak it: smuggling, sizes, hosts, methods, pages in browsers; and bodies that are not what they
should be. What is wrong gets its dialect's 400 that names the field; the connection stays where that is safe."""
import gzip
import json

import pytest

from harness import (DIALECTS, PATHS, PNG, READERS, TURNS, Client, ask, assert_error_shape, chat, error_text, order,
                     request_bytes)

each = pytest.mark.parametrize("client", DIALECTS)
OK = json.dumps(chat("openai", "openai/m")[1]).encode()


def raw(daemon, data, n=1):
    """Sends bytes; the statuses of at most n answers, and whether the connection was closed then."""
    statuses = []
    with Client(daemon.port, timeout=5) as c:
        try:
            c.send(data)
        except OSError:
            pass
        for _ in range(n):
            try:
                reply = c.reply()
            except TimeoutError:
                return statuses, False
            if reply is None:
                return statuses, True
            statuses.append(reply.status)
        return statuses, c.closed(1)


SMUGGLED = b"GET /metrics HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"
HEAD = b"POST /v1/chat/completions HTTP/1.1\r\nHost: 127.0.0.1\r\n"
SMUGGLING = {
    "both lengths": HEAD + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + SMUGGLED,
    "two lengths": HEAD + b"Content-Length: 0\r\nContent-Length: 44\r\n\r\n" + SMUGGLED,
    "a list of lengths": HEAD + b"Content-Length: 0, 44\r\n\r\n" + SMUGGLED,
    "a signed length": HEAD + b"Content-Length: +0\r\n\r\n" + SMUGGLED,
    "a negative length": HEAD + b"Content-Length: -1\r\n\r\n" + SMUGGLED,
    "a hex length": HEAD + b"Content-Length: 0x0\r\n\r\n" + SMUGGLED,
    "a huge length": HEAD + b"Content-Length: 99999999999999999999999\r\n\r\n" + SMUGGLED,
    "an unknown coding": HEAD + b"Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n" + SMUGGLED,
    "chunked not last": HEAD + b"Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n" + SMUGGLED,
    "chunked twice": HEAD + b"Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n0\r\n\r\n" + SMUGGLED,
    "a space before the colon": HEAD + b"Content-Length : 0\r\n\r\n" + SMUGGLED,
    "a folded header": HEAD + b"X: a\r\n b\r\nContent-Length: 0\r\n\r\n" + SMUGGLED,
    "bare LF": HEAD.replace(b"\r\n", b"\n") + b"Content-Length: 0\n\n" + SMUGGLED,
    "bare CR": HEAD + b"X: a\rContent-Length: 44\r\nContent-Length: 0\r\n\r\n" + SMUGGLED,
    "a NUL in a header": HEAD + b"X: a\0b\r\nContent-Length: 0\r\n\r\n" + SMUGGLED,
    "a bad chunk size": HEAD + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n\r\n" + SMUGGLED,
    "a chunk size too long": HEAD + b"Transfer-Encoding: chunked\r\n\r\nfffffffffffffffff\r\n\r\n" + SMUGGLED,
    "a chunk without its end": HEAD + b"Transfer-Encoding: chunked\r\n\r\n2\r\n{}XX0\r\n\r\n" + SMUGGLED,
    "chunk ends by LF only": HEAD + b"Transfer-Encoding: chunked\r\n\r\n2\n{}\n0\n\n" + SMUGGLED,
    "a bad method": b"P@ST / HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n" + SMUGGLED,
    "HTTP/2 preface": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + SMUGGLED,
    "HTTP/1.2": b"GET / HTTP/3.7\r\nHost: 127.0.0.1\r\n\r\n" + SMUGGLED,
    "two hosts": b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nHost: evil.example\r\n\r\n" + SMUGGLED,
    "no host": b"GET / HTTP/1.1\r\n\r\n" + SMUGGLED,
    "TLS": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\0" * 60,
}


@pytest.mark.parametrize("name", SMUGGLING)
def test_smuggled_requests_are_not_served(three, name):
    statuses, closed = raw(three.daemon, SMUGGLING[name], 2)
    assert len(statuses) <= 1 and closed, statuses
    assert all(s >= 400 for s in statuses), statuses
    assert not three.sim.requests()
    assert three.daemon.get("/healthz").status == 200


def test_garbage_of_any_kind_does_no_harm(three):
    import random
    rng = random.Random(7)
    good = request_bytes("POST", "/v1/chat/completions", OK)
    for i in range(60):
        data = bytearray(good)
        for _ in range(rng.randint(1, 6)):
            data[rng.randrange(len(data))] = rng.randrange(256)
        raw_once(three.daemon, bytes(data[:rng.randint(1, len(data))]))
    assert three.daemon.get("/healthz").status == 200


def raw_once(daemon, data):
    with Client(daemon.port, timeout=5) as c:
        c.send(data)
        c.sock.shutdown(1)
        c.closed(3)


def test_a_request_byte_by_byte_is_a_request(three):
    with Client(three.daemon.port) as c:
        for b in request_bytes("POST", "/v1/chat/completions", OK):
            c.send(bytes([b]))
        assert c.reply().status == 200


def test_a_chunked_body_is_taken(three):
    with Client(three.daemon.port) as c:
        c.request("POST", "/v1/chat/completions", None, {"Transfer-Encoding": "chunked"})
        for i in range(0, len(OK), 7):
            part = OK[i:i + 7]
            c.send(f"{len(part):X};ext=1\r\n".encode() + part + b"\r\n")
        c.send(b"0\r\nX-Trailer: 1\r\n\r\n")
        assert c.reply().status == 200
        c.request("GET", "/healthz")
        assert c.reply("GET").status == 200


def test_expect_100_continue_is_answered_before_the_body(three):
    with Client(three.daemon.port) as c:
        c.send(HEAD + f"Content-Length: {len(OK)}\r\nExpect: 100-continue\r\n\r\n".encode())
        assert c._until(b"\r\n\r\n") == b"HTTP/1.1 100 Continue"
        c.send(OK)
        assert c.reply().status == 200


def test_an_unknown_expectation_is_refused(three):
    statuses, _ = raw(three.daemon, HEAD + b"Content-Length: 2\r\nExpect: magic\r\n\r\n{}")
    assert statuses == [417] or statuses == [400]


def test_head_has_no_body(three):
    with Client(three.daemon.port) as c:
        for path in ("/", "/healthz", "/v1/models"):
            c.request("HEAD", path)
            reply = c.reply("HEAD")
            assert reply.status == 200 and reply.body == b""
        assert not c.buf


def test_the_root_says_what_ollamas_clients_expect(three):
    assert three.daemon.get("/").text == "Ollama is running"


def test_an_unknown_address_is_404_in_the_dialect_of_its_path(three):
    for path, dialect in (("/v1/nothing", "openai"), ("/v1/messages/nothing", "anthropic"), ("/api/nothing", "ollama"),
                          ("/v1/responses/nothing", "responses"), ("/v1beta/nothing", "gemini"),
                          ("/v1beta/models/m:predict", "gemini")):
        reply = three.daemon.post(path, {})
        assert reply.status == 404
        assert_error_shape(dialect, reply)


def test_an_unknown_address_is_404_in_the_dialect_of_its_headers(three):
    for headers, dialect in (({"anthropic-version": "2023-06-01"}, "anthropic"), ({"x-goog-api-key": "k"}, "gemini"), ({}, "openai")):
        reply = three.daemon.get("/v1/files", headers)
        assert reply.status == 404
        assert_error_shape(dialect, reply)


def test_a_wrong_method_is_405_and_says_which_are_right(three):
    for method, path, allow, dialect in (
            ("GET", "/v1/chat/completions", "POST", "openai"), ("PUT", "/v1/messages", "POST", "anthropic"),
            ("DELETE", "/api/chat", "POST", "ollama"), ("PUT", "/v1beta/models/m:generateContent", "POST", "gemini"),
            ("POST", "/v1/models", "GET, HEAD", "openai"), ("PUT", "/api/tags", "GET, HEAD", "ollama")):
        reply = three.daemon.call(method, path, {} if method != "GET" else None)
        assert reply.status == 405 and reply.headers["allow"] == allow, path
        assert_error_shape(dialect, reply)


@pytest.mark.parametrize("lead, tail", [("", "/"), ("/", ""), ("//", "//")])
@each
def test_a_slash_too_many_does_no_harm(three, client, lead, tail):
    path, body = chat(client, f"{client}/m")
    path, _, query = path.partition("?")
    reply = three.daemon.post(lead + path + tail + ("?" + query if query else ""), body)
    assert reply.status == 200 and READERS[client](reply.body, False).text


def test_a_compressed_body_is_415(three):
    path, body = chat("anthropic", "anthropic/m")
    reply = three.daemon.post(path, gzip.compress(json.dumps(body).encode()), {"Content-Encoding": "gzip"})
    assert reply.status == 415 and assert_error_shape("anthropic", reply)
    assert three.daemon.post(path, body, {"Content-Encoding": "identity"}).status == 200


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1.evil.example", "localhost.evil.example:80", "169.254.169.254"])
def test_a_foreign_host_on_loopback_is_refused(three, host):
    """DNS rebinding: a page of evil.example that resolves to 127.0.0.1."""
    reply = three.daemon.call("POST", "/v1/chat/completions", OK, host=host)
    assert reply.status == 403 and not three.sim.requests()


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "localhost:11411", "127.0.0.1:1", "[::1]:5", "LOCALHOST"])
def test_loopback_hosts_are_taken(three, host):
    assert three.daemon.call("GET", "/healthz", host=host).status == 200


def test_allowed_hosts_are_taken(sim, gridtie):
    daemon = gridtie({"endpoints": [sim.endpoint("o")], "allowed_hosts": ["gate.example"]})
    assert daemon.call("GET", "/healthz", host="gate.example").status == 200
    assert daemon.call("GET", "/healthz", host="other.example").status == 403


@pytest.mark.parametrize("origin, status", [
    ("https://evil.example", 403), ("http://localhost.evil.example", 403), ("http://127.0.0.1.evil.example", 403),
    ("null", 403), ("http://localhost:3000", 200), ("http://127.0.0.1", 200), ("vscode-webview://x", 200)])
def test_a_page_of_another_site_cannot_send_simple_requests(three, origin, status):
    headers = {"Origin": origin, "Content-Type": "text/plain"}
    assert ask(three.daemon, "openai", "openai/m", headers=headers)[0].status == status


def test_pages_of_other_origins_get_nothing_unless_allowed(sim, gridtie):
    daemon = gridtie({"endpoints": [sim.endpoint("o")], "cors": ["https://ui.example"]})
    pre = {"Origin": "https://ui.example", "Access-Control-Request-Method": "POST",
           "Access-Control-Request-Headers": "content-type,authorization"}
    reply = daemon.call("OPTIONS", "/v1/chat/completions", None, pre)
    assert reply.status in (200, 204) and reply.headers["access-control-allow-origin"] == "https://ui.example"
    reply, _ = ask(daemon, "openai", "o/m", headers={"Origin": "https://ui.example"})
    assert reply.headers["access-control-allow-origin"] == "https://ui.example"
    reply, _ = ask(daemon, "openai", "o/m", order(text="x"), True, headers={"Origin": "https://ui.example"})
    assert reply.headers["access-control-allow-origin"] == "https://ui.example"
    reply = daemon.call("OPTIONS", "/v1/chat/completions", None, {**pre, "Origin": "https://evil.example"})
    assert "access-control-allow-origin" not in reply.headers


def test_without_cors_no_page_may_read(three):
    reply, _ = ask(three.daemon, "openai", "openai/m", headers={"Origin": "https://ui.example"})
    assert "access-control-allow-origin" not in reply.headers


# ---- sizes


@each
def test_a_body_beyond_the_limit_is_413(sim, gridtie, client):
    daemon = gridtie({"endpoints": [sim.endpoint("o")], "limits": {"body": "64KiB"}})
    path, body = chat(client, "o/m", "x" * 100_000)
    for headers in ({}, {"Expect": "100-continue"}):
        with Client(daemon.port) as c:
            try:
                c.request("POST", path, body, headers)
            except OSError:
                pass
            reply = c.reply()
        assert reply.status == 413
        assert_error_shape(client, reply)
    path, body = chat(client, "o/m", "x" * 60_000)
    assert daemon.post(path, body).status == 200


def test_a_chunked_body_beyond_the_limit_is_413(sim, gridtie):
    daemon = gridtie({"endpoints": [sim.endpoint("o")], "limits": {"body": "64KiB"}})
    with Client(daemon.port) as c:
        c.send(HEAD + b"Transfer-Encoding: chunked\r\n\r\n")
        try:
            for _ in range(40):
                c.send(b"1000\r\n" + b"x" * 4096 + b"\r\n")
        except OSError:
            pass
        reply = c.reply()
        assert reply is None or reply.status == 413
    assert daemon.get("/healthz").status == 200


def test_100_megabytes_are_refused_without_being_held(three):
    before = three.daemon.rss_kb()
    with Client(three.daemon.port) as c:
        c.send(HEAD + b"Content-Length: 104857600\r\n\r\n")
        try:
            for _ in range(1600):
                c.send(b"x" * 65536)
        except OSError:
            pass
        try:
            reply = c.reply()
        except OSError:
            reply = None
    assert reply is None or reply.status == 413
    assert three.daemon.rss_kb() - before < 120_000
    assert three.daemon.get("/healthz").status == 200


def test_headers_beyond_the_limit_are_431(three):
    for head in (b"X-A: " + b"a" * 60000, b"\r\n".join(b"X-%d: 1" % i for i in range(300))):
        statuses, closed = raw(three.daemon, b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\n" + head + b"\r\n\r\n")
        assert statuses in ([431], [400], []) and closed
    statuses, closed = raw(three.daemon, b"GET /" + b"a" * 60000 + b" HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
    assert statuses in ([414], [431], [400], []) and closed


def test_a_head_that_does_not_come_is_408_and_closed(sim, gridtie):
    daemon = gridtie({"endpoints": [sim.endpoint("o")], "limits": {"head_timeout": "300ms", "body_timeout": "300ms"}})
    with Client(daemon.port) as c:
        c.send(b"POST /v1/chat/comp")
        reply = c.reply()
        assert (reply is None or reply.status == 408) and c.closed(3)
    with Client(daemon.port) as c:
        c.send(HEAD + b"Content-Length: 100\r\n\r\n{")
        reply = c.reply()
        assert (reply is None or reply.status == 408) and c.closed(3)


def test_a_large_request_and_a_large_answer_pass(three):
    reply, a = ask(three.daemon, "anthropic", "openai/m", order("y" * 3_000_000, big=2048, ignore_max=True))
    assert reply.status == 200 and len(a.text) == 2048 * 1024
    assert three.sim.last()["body_bytes"] > 3_000_000


# ---- bodies


@each
@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"null", b'"x"', b"{}x", b"{'a':1}", b'{"model":"m",}', b"\xff\xfe{}",
                                  b'{"model":"\xc3\x28"}', b'{"model":"\xed\xa0\x80"}', b"NaN", b'{"a":NaN}', b'{"a":01}',
                                  b"\xef\xbb\xbf{}"])
def test_what_is_not_json_is_400(three, client, body):
    with Client(three.daemon.port) as c:
        c.request("POST", PATHS[client], body)
        reply = c.reply()
        assert reply.status == 400, reply.text
        assert_error_shape(client, reply)
        c.request("GET", "/healthz")
        assert c.reply("GET").status == 200, "the connection was not kept"


WRONG = {
    "openai": [("messages", 5), ("messages", "hi"), ("messages", [5]), ("model", 5), ("model", None), ("stream", "yes"),
               ("messages", [{"role": "nobody", "content": "x"}]), ("messages", [{"role": "user", "content": 5}]),
               ("max_tokens", "many"), ("temperature", "hot"), ("tools", {}), ("tools", [5]),
               ("stop", 5), ("messages", [{"role": "user"}]), ("n", 0), ("tool_choice", 5)],
    "anthropic": [("messages", 5), ("messages", [5]), ("model", 5), ("max_tokens", "x"), ("max_tokens", -5), ("system", 5),
                  ("messages", [{"role": "nobody", "content": "x"}]), ("messages", [{"role": "user", "content": 5}]),
                  ("tools", {}), ("stop_sequences", 5), ("stream", 5), ("temperature", "x"), ("thinking", 5),
                  ("messages", [{"role": "user", "content": [{"type": "text"}]}])],
    "ollama": [("messages", 5), ("messages", [5]), ("model", 5), ("stream", "yes"), ("options", 5), ("tools", {}),
               ("messages", [{"role": "nobody", "content": "x"}]), ("messages", [{"role": "user", "content": 5}]),
               ("options", {"temperature": "hot"}), ("options", {"num_predict": "x"}), ("format", 5)],
    "responses": [("input", 5), ("input", [5]), ("model", 5), ("stream", "yes"), ("input", [{"role": "nobody", "content": "x"}]),
                  ("input", [{"role": "user", "content": 5}]), ("input", [{"type": "function_call", "name": "f"}]),
                  ("input", [{"type": "item_reference", "id": "rs_1"}]), ("max_output_tokens", "many"), ("temperature", "hot"),
                  ("tools", {}), ("tools", [5]), ("tool_choice", 5), ("text", 5), ("reasoning", "high"), ("instructions", [5]),
                  ("previous_response_id", "resp_1"), ("background", True), ("conversation", "conv_1")],
    "gemini": [("contents", 5), ("contents", [5]), ("contents", [{"role": "nobody", "parts": [{"text": "x"}]}]),
               ("contents", [{"parts": 5}]), ("contents", [{"parts": [{"text": 5}]}]), ("tools", 5), ("toolConfig", 5),
               ("contents", [{"parts": [{"inlineData": {"mimeType": "image/png"}}]}]), ("systemInstruction", 5),
               ("generationConfig", {"temperature": "hot"}), ("generationConfig", {"maxOutputTokens": "x"}),
               ("generationConfig", {"stopSequences": 5}), ("cachedContent", "cachedContents/1")],
}


@each
def test_a_wrong_field_is_named(three, client):
    problems = []
    for field, value in WRONG[client]:
        path, body = chat(client, "openai/m")
        body[field] = value
        reply = three.daemon.post(path, body)
        if reply.status != 400:
            problems.append((field, value, reply.status))
            continue
        text = assert_error_shape(client, reply)
        named = text + (reply.json["error"]["param"] or "" if client in ("openai", "responses") else "")
        word = next(iter(value)) if isinstance(value, dict) and value else field
        if word not in named and field not in named:
            problems.append((field, value, text))
    assert not problems and not three.sim.requests()


@each
def test_a_missing_field_is_named(three, client):
    required = {"openai": ["model", "messages"], "anthropic": ["model", "messages", "max_tokens"], "ollama": ["model"],
                "responses": ["model", "input"], "gemini": ["contents"]}
    for field in required[client]:
        path, body = chat(client, "openai/m")
        del body[field]
        reply = three.daemon.post(path, body)
        assert reply.status == 400 and field in error_text(client, reply)


@each
def test_a_body_nested_10000_deep_is_400(three, client):
    path, _ = chat(client, "openai/m")
    deep = b'{"model":"openai/m","%s":' % TURNS.get(client, "messages").encode() + b"[" * 10000 + b"]" * 10000 + b"}"
    assert three.daemon.post(path, deep).status == 400
    deep = b'{"model":"openai/m","x":' + b'{"a":' * 10000 + b"1" + b"}" * 10000 + b"}"
    assert three.daemon.post(path, deep).status == 400


@each
def test_a_broken_image_is_400_and_names_it(three, client):
    for bad in ("not base64 !!", PNG[:-3] + "*"):
        path, body = chat(client, "openai/m", "look", image=True)
        text = json.dumps(body).replace(PNG, bad)
        reply = three.daemon.post(path, text)
        assert reply.status == 400, bad
        assert "image" in error_text(client, reply).lower() or TURNS.get(client, "messages") in error_text(client, reply)


@each
def test_many_messages_and_members_are_bounded_not_fatal(three, client):
    path, body = chat(client, "openai/m")
    turns = TURNS.get(client, "messages")
    body[turns] = body[turns] * 30000
    assert three.daemon.post(path, body).status in (200, 400, 413)
    path, body = chat(client, "openai/m")
    body.update({f"x{i}": i for i in range(5000)})
    assert three.daemon.post(path, body).status in (200, 400)


@each
def test_duplicate_members_do_not_confuse(three, client):
    path, body = chat(client, "openai/m")
    text = json.dumps(body)[:-1] + ', "model": "nowhere/x"}'
    reply = three.daemon.post(path, text)
    assert reply.status in (200, 400, 404)
    if reply.status == 200:
        assert json.loads(three.sim.last()["body"])["model"] == "m"


def test_a_nul_and_controls_in_text_travel(three):
    _, a = ask(three.daemon, "openai", "anthropic/m", order(text="a\u0000b\u001f\u007f\u2028c"))
    assert a.text == "a\u0000b\u001f\u007f\u2028c"
