# SPDX-License-Identifier: Apache-2.0
"""What the tests of the whole daemon stand on: a scripted provider (`gridtie sim`), the daemon with a config of its own
in a temporary folder, a client that sees every byte, and a reader and writer for each dialect that owes nothing to the
daemon's own code (those of responses and Gemini are in wire.py)."""
import dataclasses
import json
import os
import re
import signal
import socket
import subprocess
import time
from pathlib import Path

import yaml

from wire import PNG, SCHEMA, Answer, chat_gemini, chat_responses, gemini_path, read_gemini, read_responses, sse

REPO = Path(__file__).resolve().parent.parent.parent
BIN = os.environ.get("GRIDTIE_BIN", str(REPO / "build/debug/gridtie"))
SLOW = 4 if "tsan" in BIN else 1
DIALECTS = ("openai", "anthropic", "ollama", "responses", "gemini")
SANITIZER = re.compile(r"AddressSanitizer|LeakSanitizer|ThreadSanitizer|runtime error:|UndefinedBehavior")


def eventually(check, seconds=5.0, what="a condition"):
    """Calls check until it returns something true, and returns that."""
    end = time.monotonic() + seconds * SLOW
    while True:
        got = check()
        if got:
            return got
        if time.monotonic() > end:
            raise AssertionError(f"{what} did not come true in {seconds} s")
        time.sleep(0.01)


def free_port():
    """A port on which nothing listens (a moment ago)."""
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


# ---- a client that sees every byte


@dataclasses.dataclass
class Reply:
    status: int
    headers: dict
    body: bytes
    trailers: dict
    complete: bool  # the length or the last chunk came

    @property
    def json(self):
        return json.loads(self.body)

    @property
    def text(self):
        return self.body.decode()


class Client:
    """One connection. Every read has a timeout, so that no test hangs."""

    def __init__(self, port=None, unix=None, timeout=20.0, rcvbuf=None):
        self.sock = socket.socket(socket.AF_UNIX if unix else socket.AF_INET)
        if rcvbuf:
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, rcvbuf)
        self.sock.settimeout(timeout * SLOW)
        self.sock.connect(unix or ("127.0.0.1", port))
        self.buf = b""

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self.sock.close()

    def send(self, data):
        self.sock.sendall(data)

    def request(self, method, path, body=None, headers=None, host="127.0.0.1"):
        self.send(request_bytes(method, path, body, headers, host))

    def _fill(self):
        try:
            more = self.sock.recv(65536)
        except (ConnectionResetError, BrokenPipeError):
            more = b""
        self.buf += more
        return bool(more)

    def _until(self, mark):
        while mark not in self.buf:
            if not self._fill():
                return None
        line, _, self.buf = self.buf.partition(mark)
        return line

    def _take(self, n):
        while len(self.buf) < n and self._fill():
            pass
        got, self.buf = self.buf[:n], self.buf[n:]
        return got

    def head(self):
        """(status, headers) of the next final answer; None when the connection ended."""
        while True:
            head = self._until(b"\r\n\r\n")
            if head is None:
                return None
            lines = head.decode("latin1").split("\r\n")
            status = int(lines[0].split(" ")[1])
            if status != 100:
                return status, headers_of(lines[1:])

    def some(self, until=None):
        """Body bytes of a chunked answer: the next chunk, b"" at the end, None when cut. Trailers in self.trailers."""
        size = self._until(b"\r\n")
        if size is None or not re.fullmatch(rb"[0-9a-fA-F]+", size.split(b";")[0]):
            return None
        n = int(size.split(b";")[0], 16)
        if n == 0:
            lines = []
            while True:
                line = self._until(b"\r\n")
                if line is None:
                    return None
                if not line:
                    break
                lines.append(line.decode("latin1"))
            self.trailers = headers_of(lines)
            return b""
        data = self._take(n + 2)
        return data[:-2] if len(data) == n + 2 else None

    def reply(self, method="POST"):
        head = self.head()
        if head is None:
            return None
        status, headers = head
        if method == "HEAD" or status in (204, 304):
            return Reply(status, headers, b"", {}, True)
        if headers.get("transfer-encoding") == "chunked":
            body = b""
            while True:
                data = self.some()
                if data is None:
                    return Reply(status, headers, body, {}, False)
                if not data:
                    return Reply(status, headers, body, self.trailers, True)
                body += data
        if "content-length" in headers:
            n = int(headers["content-length"])
            body = self._take(n)
            return Reply(status, headers, body, {}, len(body) == n)
        while self._fill():
            pass
        body, self.buf = self.buf, b""
        return Reply(status, headers, body, {}, True)

    def closed(self, seconds=5.0):
        """True when the peer closes within that time (what it still sends is read)."""
        self.sock.settimeout(seconds * SLOW)
        try:
            while self.sock.recv(65536):
                pass
            return True
        except ConnectionResetError:
            return True
        except TimeoutError:
            return False


def headers_of(lines):
    found = {}
    for line in lines:
        name, _, value = line.partition(":")
        name = name.strip().lower()
        found[name] = found[name] + ", " + value.strip() if name in found else value.strip()
    return found


def request_bytes(method, path, body=None, headers=None, host="127.0.0.1"):
    lines = [f"{method} {path} HTTP/1.1"]
    given = {k.lower(): v for k, v in (headers or {}).items()}
    if host is not None and "host" not in given:
        lines.append(f"Host: {host}")
    if isinstance(body, (dict, list)):
        body = json.dumps(body).encode()
    if isinstance(body, str):
        body = body.encode()
    if body is not None and "transfer-encoding" not in given and "content-length" not in given:
        lines.append(f"Content-Length: {len(body)}")
    if body is not None and "content-type" not in given:
        lines.append("Content-Type: application/json")
    lines += [f"{k}: {v}" for k, v in (headers or {}).items()]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + (body or b"")


class Server:
    """Something with a port that answers HTTP."""

    def call(self, method, path, body=None, headers=None, timeout=20.0, host="127.0.0.1"):
        with Client(self.port, timeout=timeout) as c:
            c.request(method, path, body, headers, host)
            return c.reply(method)

    def get(self, path, headers=None, **more):
        return self.call("GET", path, None, headers, **more)

    def post(self, path, body=None, headers=None, **more):
        return self.call("POST", path, {} if body is None else body, headers, **more)


# ---- processes


class Process(Server):
    """A program of ours: started with its output in files, ended by its id."""

    def start(self, argv, folder, env=None, name="process", limit_files=None):
        self.out_path, self.err_path = Path(folder, name + ".out"), Path(folder, name + ".err")
        command = [str(a) for a in argv]
        if limit_files:
            command = ["sh", "-c", f"ulimit -n {limit_files}; exec \"$@\"", "sh", *command]
        with open(self.out_path, "ab") as out, open(self.err_path, "ab") as err:
            self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=out, stderr=err, env=env,
                                            cwd=folder)
        self.pid = self.process.pid

    @property
    def stderr(self):
        return self.err_path.read_text(errors="replace")

    def wait(self, seconds=20.0):
        return self.process.wait(seconds * SLOW)

    def signal(self, number):
        self.process.send_signal(number)

    def kill(self):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait(20)

    def rss_kb(self):
        return int(re.search(r"VmRSS:\s+(\d+)", Path(f"/proc/{self.pid}/status").read_text())[1])


class Sim(Process):
    """`gridtie sim`: what a provider would do, as told."""

    def __init__(self, folder, *options, name="sim", binary=BIN):
        self.bill_path = Path(folder, name + ".bill")
        self.start([binary, "sim", "--listen", "127.0.0.1:0", "--bill", self.bill_path, *options], folder, name=name)
        found = eventually(lambda: re.search(r"listening on http://127\.0\.0\.1:(\d+)", self.out_path.read_text())
                           or self.process.poll() is not None, what="sim")
        assert found is not True, self.stderr
        self.port = int(found[1])
        self.url = f"http://127.0.0.1:{self.port}"

    def script(self, orders):
        """A list: one per next request. An object: {"default": …, "models": {…}}, for all."""
        reply = self.post("/sim/script", orders)
        assert reply.status == 200, reply.text

    def always(self, **order):
        self.script({"default": order})

    def reset(self):
        assert self.post("/sim/reset").status == 200

    def requests(self):
        return [r for r in self.get("/sim/requests").json if r["method"] == "POST"]

    def last(self):
        return self.requests()[-1]

    def state(self):
        return self.get("/sim/state").json

    def bill(self):
        return [json.loads(line) for line in self.bill_path.read_text().splitlines()]

    def endpoint(self, name, provider="openai", models=("m",), **more):
        """A row for the daemon's config; provider: one, or a dialect."""
        provider = "openai-responses" if provider == "responses" else provider
        base = {"openai": "/v1", "openai-responses": "/v1", "gemini": "/v1beta"}.get(provider, "")
        return {"name": name, "provider": provider, "url": self.url + base, "zone": "cloud",
                "key": f"upstream-key-of-{name}", "models": list(models), **more}

    def stop(self):
        text = self.stderr
        self.kill()
        assert not SANITIZER.search(text), text


def complete_config(config, loops):
    """What tests leave out: where to listen, how many loops, no engine, nothing that is only found on this machine."""
    if isinstance(config, str):
        return config
    full = {"listen": "127.0.0.1:0", "loops": loops, "engine": {"enabled": False}, "drain": "5s", "discovery": False}
    full.update(config)
    return yaml.safe_dump(full, sort_keys=False)


class Gridtie(Process):
    """The daemon, in a home of its own."""

    def __init__(self, folder, config, loops=1, env=None, limit_files=None, wait=True, argv=()):
        self.folder, self.loops = Path(folder), loops
        self.config_path = self.folder / "gridtie.yaml"
        self.write_config(config)
        home = {"XDG_CONFIG_HOME": "config", "XDG_DATA_HOME": "data", "XDG_RUNTIME_DIR": "run", "XDG_CACHE_HOME": "cache",
                "GRIDTIE_CACHE": "cache", "HOME": "home"}
        self.env = {k: v for k, v in os.environ.items() if not re.search(r"_API_(KEY|TOKEN)$|^HF_TOKEN$|_proxy$", k, re.I)}
        for name, sub in home.items():
            (self.folder / sub).mkdir(exist_ok=True)
            self.env[name] = str(self.folder / sub)
        self.env.update(env or {})
        self.limit_files, self.argv = limit_files, argv
        self.launch()
        if wait:
            self.wait_ready()

    def write_config(self, config):
        self.config_path.write_text(complete_config(config, self.loops))

    def launch(self):
        self.err_offset = Path(self.folder, "gridtie.err").stat().st_size if Path(self.folder, "gridtie.err").exists() else 0
        self.start([BIN, "serve", "--config", self.config_path, *self.argv], self.folder, env=self.env, name="gridtie",
                   limit_files=self.limit_files)

    def wait_ready(self):
        def listening():
            if self.process.poll() is not None:
                raise AssertionError(f"the daemon ended with {self.process.returncode}:\n{self.stderr}")
            return re.search(r"listening\S* .*?127\.0\.0\.1:(\d+)", self.stderr[self.err_offset:])
        self.port = int(eventually(listening, 20, "the daemon's listening")[1])
        self.url = f"http://127.0.0.1:{self.port}"
        eventually(lambda: self.get("/healthz").status == 200, 10, "/healthz")

    def restart(self):
        self.launch()
        self.wait_ready()

    def reload(self, config=None, expect=True):
        """By its API, which answers when it is done."""
        if config is not None:
            self.write_config(config)
        reply = self.post("/gridtie/v1/reload", {})
        assert (reply.status == 200) == expect, reply.text
        return reply

    def cli(self, *argv, timeout=20):
        env = dict(self.env, GRIDTIE_URL=self.url)
        return subprocess.run([BIN, *argv], env=env, capture_output=True, text=True, timeout=timeout * SLOW,
                              stdin=subprocess.DEVNULL, cwd=self.folder)

    def why(self, reply_or_id, headers=None):
        name = reply_or_id if isinstance(reply_or_id, str) else reply_or_id.headers["x-gridtie-id"]

        def look():
            reply = self.get(f"/gridtie/v1/why/{name}", headers)
            return reply.json if reply.status == 200 and reply.json["outcome"] != "open" else None
        return eventually(look, 5, f"why {name}")

    def metrics(self):
        return parse_metrics(self.get("/metrics").text)

    def stop(self, clean=True):
        """SIGTERM; what it said must hold no sanitizer's report, and its exit must be clean."""
        killed = self.process.poll() is not None
        if not killed:
            self.signal(signal.SIGTERM)
            try:
                self.wait(15)
            except subprocess.TimeoutExpired:
                self.kill()
                raise AssertionError(f"the daemon did not end after SIGTERM:\n{self.stderr[-4000:]}") from None
        text = self.stderr
        assert not SANITIZER.search(text), text
        if clean and not killed:
            assert self.process.returncode == 0, f"exit {self.process.returncode}:\n{text[-4000:]}"


def parse_metrics(text):
    """Prometheus text → {name{labels}: value}; refuses what is not in the format."""
    found, typed = {}, set()
    for line in text.splitlines():
        if line.startswith("# TYPE "):
            name = line.split()[2]
            assert name not in typed, f"{name} has two TYPE lines"
            typed.add(name)
        if not line or line.startswith("#"):
            continue
        match = re.fullmatch(r"([a-zA-Z_:][a-zA-Z0-9_:]*)(\{(?:[a-zA-Z_]\w*=\"(?:[^\"\\]|\\.)*\",?)*\})? ([-+.\w]+)", line)
        assert match, f"not a metric: {line}"
        key = match[1] + (match[2] or "")
        assert key not in found, f"{key} stands twice"
        found[key] = float(match[3])
    return found


# ---- the dialects, as a test speaks and reads them

PATHS = {"openai": "/v1/chat/completions", "anthropic": "/v1/messages", "ollama": "/api/chat", "responses": "/v1/responses",
         "gemini": gemini_path("m")}
TURNS = {"responses": "input", "gemini": "contents"}  # where a body has its messages; the others call them that
FINISH = {"openai": {"stop": "stop", "length": "length", "tool": "tool_calls"},
          "anthropic": {"stop": "end_turn", "length": "max_tokens", "tool": "tool_use"},
          "ollama": {"stop": "stop", "length": "length", "tool": "stop"},
          "responses": {"stop": "completed", "length": "max_output_tokens", "tool": "completed"},
          "gemini": {"stop": "STOP", "length": "MAX_TOKENS", "tool": "STOP"}}


def order(said="Hi there", /, **what):
    """A user's words with an order for the scripted provider in them."""
    return f"{said} [[sim {json.dumps(what)}]]" if what else said


def image_part(dialect):
    if dialect == "openai":
        return {"type": "image_url", "image_url": {"url": "data:image/png;base64," + PNG}}
    return {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": PNG}}


def chat(dialect, model, text="Hi there", /, stream=False, system=None, tools=False, image=False, results=False, think=False,
         **more):
    """The same request in a dialect's words: (path, body)."""
    if dialect == "responses":
        return PATHS[dialect], {**chat_responses(model, text, stream, system, tools, image, results, think), **more}
    if dialect == "gemini":
        return gemini_path(model, stream), {**chat_gemini(text, system, tools, image, results, think), **more}
    user = {"role": "user", "content": text}
    if image and dialect == "ollama":
        user["images"] = [PNG]
    elif image:
        user["content"] = [{"type": "text", "text": text}, image_part(dialect)]
    messages = [user]
    if results:
        messages = [{"role": "user", "content": "weather?"}, *tool_turn(dialect), user]
        if dialect == "anthropic":  # results stand in the user's turn
            messages[-2]["content"].append({"type": "text", "text": text})
            messages.pop()
    body = {"model": model, "messages": messages}
    if dialect == "anthropic":
        body["max_tokens"] = 100000
        if system:
            body["system"] = system
    elif system:
        messages.insert(0, {"role": "system", "content": system})
    if tools or results:
        body["tools"] = tool_list(dialect)
    if think:
        body.update({"openai": {"reasoning_effort": "high"}, "ollama": {"think": True},
                     "anthropic": {"max_tokens": 4096, "thinking": {"type": "enabled", "budget_tokens": 1024}}}[dialect])
    if stream or dialect == "ollama":
        body["stream"] = stream
    if stream and dialect == "openai":
        body["stream_options"] = {"include_usage": True}
    body.update(more)
    return PATHS[dialect], body


def tool_list(dialect):
    if dialect == "anthropic":
        return [{"name": "weather", "description": "The weather.", "input_schema": SCHEMA}]
    return [{"type": "function", "function": {"name": "weather", "description": "The weather.", "parameters": SCHEMA}}]


def tool_turn(dialect):
    """An assistant's call of a tool, and its result."""
    args = {"city": "Köln"}
    if dialect == "openai":
        return [{"role": "assistant", "content": None, "tool_calls": [
            {"id": "call_1", "type": "function", "function": {"name": "weather", "arguments": json.dumps(args)}}]},
            {"role": "tool", "tool_call_id": "call_1", "content": "12 degrees"}]
    if dialect == "anthropic":
        return [{"role": "assistant", "content": [{"type": "tool_use", "id": "call_1", "name": "weather", "input": args}]},
                {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "call_1", "content": "12 degrees"}]}]
    return [{"role": "assistant", "content": "", "tool_calls": [{"function": {"name": "weather", "arguments": args}}]},
            {"role": "tool", "content": "12 degrees", "tool_name": "weather"}]


def read_openai_message(m, a):
    a.text += m.get("content") or ""
    a.thinking += m.get("reasoning_content") or m.get("reasoning") or ""


def read_openai_usage(usage, a):
    if usage:
        a.input_tokens, a.output_tokens = usage["prompt_tokens"], usage["completion_tokens"]
        assert usage["total_tokens"] == a.input_tokens + a.output_tokens


def read_openai(body, stream):
    a = Answer()
    if not stream:
        j = json.loads(body)
        if "error" in j:
            return Answer(error=j["error"])
        assert j["object"] == "chat.completion"
        choice = j["choices"][0]
        read_openai_message(choice["message"], a)
        for c in choice["message"].get("tool_calls") or []:
            assert c["id"] and c["type"] == "function"
            a.tools.append((c["function"]["name"], json.loads(c["function"]["arguments"])))
        a.finish, a.ended = choice["finish_reason"], True
        read_openai_usage(j.get("usage"), a)
        return a
    calls = {}
    for _, data in sse(body):
        if data == "[DONE]":
            a.ended = True
            continue
        assert not a.ended, "events after [DONE]"
        j = json.loads(data)
        if "error" in j:
            a.error = j["error"]
            continue
        assert j["object"] == "chat.completion.chunk"
        read_openai_usage(j.get("usage"), a)
        for choice in j["choices"]:
            read_openai_message(choice["delta"], a)
            a.finish = choice.get("finish_reason") or a.finish
            for c in choice["delta"].get("tool_calls") or []:
                call = calls.setdefault(c["index"], {"name": "", "args": "", "id": None})
                call["id"] = c.get("id") or call["id"]
                call["name"] += c["function"].get("name") or ""
                call["args"] += c["function"].get("arguments") or ""
    for _, call in sorted(calls.items()):
        assert call["id"]
        a.tools.append((call["name"], json.loads(call["args"] or "{}") if a.ended else None))
    return a


def read_anthropic_block(block, a):
    if block["type"] == "text":
        a.text += block["text"]
    elif block["type"] == "thinking":
        a.thinking += block["thinking"]
    elif block["type"] == "tool_use":
        assert block["id"]
        a.tools.append((block["name"], block["input"]))


def read_anthropic(body, stream):
    a = Answer()
    if not stream:
        j = json.loads(body)
        if j.get("type") == "error":
            return Answer(error=j["error"])
        assert j["type"] == "message" and j["role"] == "assistant"
        for block in j["content"]:
            read_anthropic_block(block, a)
        a.finish, a.ended = j["stop_reason"], True
        a.input_tokens, a.output_tokens = j["usage"]["input_tokens"], j["usage"]["output_tokens"]
        return a
    blocks, expected = {}, 0
    for event, data in sse(body):
        j = json.loads(data)
        assert event == j["type"], "the event's name and its type differ"
        assert not a.ended, "events after message_stop"
        kind = j["type"]
        if kind == "error":
            a.error = j["error"]
        elif kind == "message_start":
            a.input_tokens = j["message"]["usage"]["input_tokens"]
        elif kind == "content_block_start":
            assert j["index"] == expected, "block indexes must count from 0 without gaps"
            expected += 1
            blocks[j["index"]] = dict(j["content_block"], json="", open=True)
        elif kind == "content_block_delta":
            block, d = blocks[j["index"]], j["delta"]
            assert block["open"], "a delta of a block that is closed"
            if d["type"] == "text_delta":
                block["text"] += d["text"]
            elif d["type"] == "thinking_delta":
                block["thinking"] += d["thinking"]
            elif d["type"] == "input_json_delta":
                block["json"] += d["partial_json"]
        elif kind == "content_block_stop":
            blocks[j["index"]]["open"] = False
        elif kind == "message_delta":
            a.finish = j["delta"]["stop_reason"]
            a.output_tokens = j["usage"]["output_tokens"]
            a.input_tokens = j["usage"].get("input_tokens") or a.input_tokens
        elif kind == "message_stop":
            a.ended = True
    for _, block in sorted(blocks.items()):
        if block["type"] == "tool_use":
            block["input"] = json.loads(block["json"] or "{}") if a.ended else None
        assert not a.ended or not block["open"], "a block stayed open"
        read_anthropic_block(block, a)
    return a


def read_ollama(body, stream):
    a = Answer()
    lines = [json.loads(line) for line in body.decode().splitlines() if line.strip()]
    assert stream or len(lines) == 1
    for j in lines:
        assert not a.ended, "lines after done"
        if "error" in j:
            a.error = j["error"]
            continue
        m = j.get("message") or {"content": j.get("response", ""), "thinking": j.get("thinking")}
        a.text += m.get("content") or ""
        a.thinking += m.get("thinking") or ""
        for c in m.get("tool_calls") or []:
            assert isinstance(c["function"]["arguments"], dict)
            a.tools.append((c["function"]["name"], c["function"]["arguments"]))
        if j["done"]:
            a.ended, a.finish = True, j.get("done_reason")
            a.input_tokens, a.output_tokens = j.get("prompt_eval_count"), j.get("eval_count")
    return a


READERS = {"openai": read_openai, "anthropic": read_anthropic, "ollama": read_ollama, "responses": read_responses,
           "gemini": read_gemini}


def read(dialect, reply, stream):
    return READERS[dialect](reply.body, stream)


def ask(server, dialect, model, text="Hi there", /, stream=False, headers=None, timeout=20.0, **more):
    """Asks and reads: (reply, answer)."""
    path, body = chat(dialect, model, text, stream, **more)
    reply = server.post(path, body, headers, timeout=timeout)
    assert reply is not None, "the connection ended without an answer"
    framed = stream and not reply.headers.get("content-type", "").startswith("application/json")
    return reply, read(dialect, reply, framed)


def assert_error_shape(dialect, reply):
    """An honest error in the dialect's own shape."""
    j = reply.json
    if dialect in ("openai", "responses"):
        assert isinstance(j["error"]["message"], str) and j["error"]["message"] and j["error"]["type"]
        assert {"param", "code"} <= set(j["error"])
    elif dialect == "anthropic":
        assert j["type"] == "error" and j["error"]["type"] and j["error"]["message"]
    elif dialect == "gemini":
        assert j["error"]["code"] == reply.status and j["error"]["message"] and j["error"]["status"].isupper()
    else:
        assert isinstance(j["error"], str) and j["error"]
    return error_text(dialect, reply)


def error_text(dialect, reply):
    j = reply.json
    return j["error"] if dialect == "ollama" else j["error"]["message"]


def seen_text(provider, body):
    """All words of a request as an upstream of that provider got it."""
    j, words = json.loads(body), []

    def part(p):
        if isinstance(p, str):
            words.append(p)
        elif isinstance(p, dict):
            for key in ("text", "content", "thinking", "parts", "output", "summary", "functionResponse", "response"):
                if key in p:
                    part(p[key])
        elif isinstance(p, list):
            for q in p:
                part(q)
    part(j.get("system", ""))
    part(j.get("prompt", ""))
    part(j.get("instructions") or "")
    part(j.get("systemInstruction") or {})
    part(j.get("input") or j.get("contents") or [])
    for m in j.get("messages", []):
        part(m.get("content") or "")
    return "\n".join(words)


def left_of(daemon):
    """Processes that know the daemon's folder, but for itself: its guards and servers."""
    found = []
    for entry in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            if str(daemon.folder) in entry.read_text() and int(entry.parent.name) != daemon.pid:
                found.append(entry.parent.name)
        except OSError:
            continue
    return found
