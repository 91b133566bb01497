# SPDX-License-Identifier: Apache-2.0
"""`chat`, and what `run` can send along: on a terminal with its editing, and from a pipe."""
import base64
import json
import os
import pty
import re
import select
import time

import pytest

from conftest import BIN, SANITIZER

PNG = base64.b64decode("iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==")


def asked(bill):
    """What the scripted provider was sent, newest last."""
    return [json.loads(line) for line in bill.read_text().splitlines()]


@pytest.fixture
def bill(tmp_path):
    return tmp_path / "bill"


class Terminal:
    """`gridtie ARGS` with a person before it."""

    def __init__(self, home, *args, **env):
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            os.chdir(home.folder)
            os.execve(BIN, [BIN, *args], {**home.env, "TERM": "xterm", "LANG": "C.UTF-8", **env})
        self.seen = ""

    def expect(self, pattern, seconds=60):
        """Waits until it was printed; what comes behind it is left for the next."""
        end = time.monotonic() + seconds
        while not (found := re.search(pattern, self.seen)):
            assert time.monotonic() < end, (pattern, self.seen)
            self.read(0.2)
        self.seen = self.seen[found.end():]
        return found

    def type(self, text):
        os.write(self.fd, text.encode())

    def end(self, text="\x04", seconds=60):
        """Typed again where it was lost: between two lines the terminal takes Ctrl-D for itself."""
        end = time.monotonic() + seconds
        while not (done := os.waitpid(self.pid, os.WNOHANG))[0]:
            assert time.monotonic() < end, (self.seen[:300], self.seen[-300:])
            self.type(text)
            self.read(0.5)
        while self.read(0):
            pass
        os.close(self.fd)
        assert not SANITIZER.search(self.seen), self.seen
        return os.waitstatus_to_exitcode(done[1])

    def read(self, seconds):
        """What comes within so long; whether something did."""
        try:
            part = os.read(self.fd, 65536) if select.select([self.fd], [], [], seconds)[0] else b""
        except OSError:  # its end is closed
            part = b""
        self.seen += part.decode(errors="replace")
        return bool(part)


@pytest.fixture
def person(configured):
    """A person at a terminal; the daemon runs."""
    assert configured("serve", "--daemon").returncode == 0
    return lambda *args, **env: Terminal(configured, *args, **env)


def test_a_chat_remembers_what_was_said(person, configured):
    chat = person("chat", "sim/m")
    chat.expect(r"/help says what else")
    chat.type("hello\r")
    chat.expect(r"\n.+\n.*>>> ")
    chat.type("and again\r")
    chat.expect(r"\n.+\n.*>>> ")
    chat.type("/why\r")
    chat.expect("sim/m")
    chat.expect("attempts")
    chat.type("/save talk\r")
    chat.expect(r"saved as .*chats/talk\.json")
    assert chat.end() == 0
    kept = configured.folder / "data/gridtie/chats/talk.json"
    assert kept.stat().st_mode & 0o077 == 0
    talk = json.loads(kept.read_text())
    assert [m["role"] for m in talk["messages"]] == ["user", "assistant"] * 2
    assert talk["messages"][2]["content"] == "and again" and talk["model"] == "sim/m"
    history = configured.folder / "data/gridtie/chat-history"
    assert "and\\040again" in history.read_text() and history.stat().st_mode & 0o077 == 0


def test_lines_are_edited_and_completed(person):
    chat = person("chat", "sim/m")
    chat.expect(">>> ")
    chat.type("/set temp\t0.5\r")
    chat.expect("temperature is 0.5")
    chat.type("/mo\t\r")
    chat.expect(r"\nsim/m")
    chat.type("/model si\t\r")
    chat.expect("the next question goes to sim/m")
    chat.type("/s\t")
    chat.expect(r"/system  /set  /save")
    chat.type("\x7f\x7fhello\x1b[D\x1b[D\x1b[D\x03")  # arrows, then the line is dropped
    chat.expect(r"\^C")
    chat.type("/modle\r")
    chat.expect("did you mean /model")
    chat.type("\x1b[A\x1b[A\x1b[A\r")  # three lines back in the history
    chat.expect(r"\nsim/m")
    assert chat.end("/bye\r") == 0


def test_history_lasts_from_chat_to_chat(person):
    first = person("chat", "sim/m")
    first.expect(">>> ")
    assert first.end("/system be kind\r/bye\r") == 0
    second = person("chat", "sim/m")
    second.expect(">>> ")
    second.type("\x1b[A\x1b[A\r")
    second.expect("instructions are set")
    assert second.end() == 0


@pytest.mark.parametrize("sim", [["--words", "400", "--chunk-ms", "40"]], indirect=True)
def test_ctrl_c_stops_the_answer_and_keeps_the_chat(person, configured):
    chat = person("chat", "sim/m")
    chat.expect(">>> ")
    chat.type("a long one\r")
    chat.expect(r"long one\r\n(?s:.*)(\w+ ){5}")
    chat.type("\x03")
    chat.expect(r">>> ", 10)
    chat.type("/save ./cut.json\r")
    chat.expect("saved as")
    assert chat.end() == 0
    messages = json.loads((configured.folder / "cut.json").read_text())["messages"]
    assert [m["role"] for m in messages] == ["user", "assistant"] and 0 < len(messages[1]["content"].split()) < 400


def test_colours_only_for_a_person_who_wants_them(person, configured):
    chat = person("chat", "sim/m")
    chat.expect("\033\\[1m>>> ")
    assert chat.end() == 0
    plain = person("chat", "sim/m", NO_COLOR="1")
    plain.expect(">>> ")
    assert plain.end() == 0 and "\033[1m" not in plain.seen
    assert "\033" not in configured("chat", "sim/m", stdin="hello\n").stdout


def test_a_chat_from_a_pipe(configured):
    done = configured("chat", stdin='hello\n"""of\nmany lines"""\n/save ./talk.json\n')
    assert done.returncode == 0, done.stderr
    messages = json.loads((configured.folder / "talk.json").read_text())["messages"]
    assert [m["content"] for m in messages if m["role"] == "user"] == ["hello", "of\nmany lines"]
    assert done.stdout == "".join(m["content"].rstrip("\n") + "\n" for m in messages if m["role"] == "assistant")
    more = configured("chat", "other/model", stdin="/load ./talk.json\nonce more\n/save ./talk.json\n")
    assert more.returncode == 0, more.stderr
    talk = json.loads((configured.folder / "talk.json").read_text())
    assert talk["model"] == "sim/m" and len(talk["messages"]) == 6


@pytest.fixture
def upstream(home):
    """A provider that keeps what it is sent, in `.asked`."""
    import http.server
    import threading

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self):
            server.asked.append(json.loads(self.rfile.read(int(self.headers["content-length"]))))
            body = b'data: {"choices":[{"index":0,"delta":{"reasoning_content":"hm"}}]}\n\n' \
                   b'data: {"choices":[{"index":0,"delta":{"content":"{\\"a\\":1}"}}]}\n\n' \
                   b'data: {"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}\n\ndata: [DONE]\n\n'
            self.send_response(200)
            self.send_header("content-type", "text/event-stream")
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *args):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.asked = []
    threading.Thread(target=server.serve_forever, daemon=True).start()
    from conftest import free_port
    home.write_config(f"listen: 127.0.0.1:{free_port()}\nengine: {{enabled: false}}\ndiscovery: off\nendpoints:\n"
                      f"  - {{name: up, provider: openai, url: \"http://127.0.0.1:{server.server_port}/v1\", key: k, zone: device,"
                      " models: [m]}\n")
    server.home = home
    yield server
    home("stop", "--daemon")
    server.shutdown()


def test_run_takes_images_instructions_and_a_schema_along(upstream):
    home = upstream.home
    (home.folder / "a.png").write_bytes(PNG)
    (home.folder / "s.json").write_text('{"type": "object", "properties": {"a": {"type": "integer"}}, "required": ["a"]}')
    done = home("run", "up/m", "-i", "a.png", "--image", "a.png", "--json-schema", "s.json", "-s", "be brief", "what is it?")
    assert (done.returncode, done.stdout) == (0, '{"a":1}\n'), done.stderr
    sent = upstream.asked[0]
    assert sent["messages"][0] == {"role": "system", "content": "be brief"}
    parts = sent["messages"][1]["content"]
    assert [p["type"] for p in parts] == ["text", "image_url", "image_url"] and parts[0]["text"] == "what is it?"
    assert base64.b64decode(parts[1]["image_url"]["url"].removeprefix("data:image/png;base64,")) == PNG
    assert sent["response_format"]["json_schema"]["schema"]["required"] == ["a"]


def test_a_chat_sends_its_settings(upstream):
    home = upstream.home
    (home.folder / "a.png").write_bytes(PNG)
    lines = ["/set temperature 0.25", "/set max_tokens 12", "/set stop END", "/set seed x", "/system be kind", "/image a.png",
             "look", "/set seed 7", "/set stop", "and now"]
    done = home("chat", "up/m", stdin="\n".join(lines) + "\n")
    assert done.returncode == 0 and "seed takes a number" in done.stderr
    first, second = upstream.asked
    assert (first["temperature"], first["max_tokens"], first["stop"]) == (0.25, 12, "END") and "seed" not in first
    assert first["messages"][0] == {"role": "system", "content": "be kind"} and len(first["messages"][1]["content"]) == 2
    assert second["seed"] == 7 and "stop" not in second
    assert second["messages"][1] == first["messages"][1] and second["messages"][3] == {"role": "user", "content": "and now"}


@pytest.mark.parametrize("args, stdin, word", [
    (("-i", "none.png", "x"), "", "none.png can't be read"),
    (("-i", "text", "x"), "", "is no PNG, JPEG, GIF or WebP"),
    (("--json-schema", "text", "x"), "", "text:2:"),
    (("--json-schema", "list", "x"), "", "is no JSON schema"),
])
def test_run_says_what_it_can_not_take(home, args, stdin, word):
    (home.folder / "text").write_text('{"a":\n oh}')
    (home.folder / "list").write_text("[]")
    done = home("run", "m", *args, stdin=stdin)
    assert done.returncode == 1 and word in done.stderr


@pytest.mark.parametrize("saved, word", [("[", "expected JSON"), ("{}", "no saved conversation"),
                                         ('{"messages": [{"role": "root", "content": "x"}], "model": "m"}', "no saved conversation"),
                                         ('{"messages": [], "model": ""}', "a model's name")])
def test_a_chat_does_not_load_what_is_none(configured, saved, word):
    (configured.folder / "bad.json").write_text(saved)
    done = configured("chat", "sim/m", stdin="first\n/load ./bad.json\nsecond\n/save ./kept.json\n")
    assert word in done.stderr
    assert len(json.loads((configured.folder / "kept.json").read_text())["messages"]) == 4


# ---- launch

AGENT = """#!/usr/bin/env python3
import json, os, sys
print(json.dumps({"argv": sys.argv[1:], "env": dict(os.environ)}))
"""


def launch(home, agent, *args, **env):
    folder = home.folder / "agents"
    folder.mkdir(exist_ok=True)
    (folder / agent).write_text(AGENT)
    (folder / agent).chmod(0o755)
    done = home("launch", agent, *args, PATH=f"{folder}:{home.env['PATH']}", **env)
    return done, json.loads(done.stdout) if done.returncode == 0 else None


def test_launch_points_agents_here(configured):
    url = f"http://127.0.0.1:{configured.port}"
    done, claude = launch(configured, "claude", "--model", "sim/m", "--", "-p", "hello", ANTHROPIC_API_KEY="theirs")
    assert done.returncode == 0, done.stderr
    assert claude["argv"] == ["-p", "hello"]
    env = claude["env"]
    assert env["ANTHROPIC_BASE_URL"] == url and "ANTHROPIC_API_KEY" not in env and env["ANTHROPIC_AUTH_TOKEN"] == "gridtie"
    assert {env[f"ANTHROPIC{n}_MODEL"] for n in ("", "_DEFAULT_OPUS", "_DEFAULT_SONNET", "_DEFAULT_HAIKU")} == {"sim/m"}
    assert f"ANTHROPIC_BASE_URL={url}" in done.stderr and "theirs" not in done.stderr
    done, codex = launch(configured, "codex", "--", "exec", "hi")
    assert codex["argv"][-2:] == ["exec", "hi"] and codex["argv"][:2] == ["-c", 'model_provider="gridtie"']
    assert f'base_url="{url}/v1"' in codex["argv"][3] and codex["env"]["GRIDTIE_KEY"] == "gridtie"
    done, opencode = launch(configured, "opencode")
    config = json.loads(opencode["env"]["OPENCODE_CONFIG_CONTENT"])
    assert config["model"] == "gridtie/sim/m" and "sim/m" in config["provider"]["gridtie"]["models"]
    assert config["provider"]["gridtie"]["options"]["baseURL"] == f"{url}/v1"
    done, aider = launch(configured, "aider")
    assert aider["argv"] == ["--model", "openai/sim/m"] and aider["env"]["OPENAI_API_BASE"] == f"{url}/v1"


def test_launch_gives_the_clients_key_and_never_the_owners(configured):
    assert configured("serve", "--daemon").returncode == 0
    secret = json.loads(configured("key", "add", "agent", "--json").stdout)["secret"]
    done, _ = launch(configured, "claude")
    assert done.returncode == 1 and "gridtie key add" in done.stderr
    done, claude = launch(configured, "claude", GRIDTIE_KEY=secret)
    assert claude["env"]["ANTHROPIC_AUTH_TOKEN"] == secret and secret not in done.stderr and "(your key)" in done.stderr
    done, _ = launch(configured, "claude", GRIDTIE_KEY="wrong")
    assert done.returncode == 1 and "does not know this key" in done.stderr


def test_launch_says_what_is_missing(home):
    assert home("launch").returncode == 2
    done = home("launch", "cursor")
    assert done.returncode == 2 and "claude, codex, opencode, aider" in done.stderr
    done = home("launch", "codex", PATH="/nowhere")
    assert done.returncode == 1 and "npm install" in done.stderr
