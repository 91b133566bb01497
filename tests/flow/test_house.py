# SPDX-License-Identifier: Apache-2.0
"""Several local models under one memory budget: who goes, who waits, who is sent elsewhere, who is refused; how long a
model stays; what ps says; settings of single models. With a fake llama-server (tests/fault/children.c) and the real one."""
import base64
import concurrent.futures
import datetime
import json
import os
import re
import signal
import struct
import subprocess
import sys
import threading
import time
import zlib
from pathlib import Path

import pytest

from harness import DIALECTS, READERS, Client, ask, assert_error_shape, chat, eventually, left_of, order, read, request_bytes
from wire import PNG

pytestmark = pytest.mark.tsan

each = pytest.mark.parametrize("client", DIALECTS)
FAKE = os.environ.get("GRIDTIE_UNIT_BIN", "")
LLAMA, TINY = os.environ.get("GRIDTIE_LLAMA_SERVER", ""), os.environ.get("GRIDTIE_TINY_MODEL", "")
MIB = 1 << 20
ONE, TWO = "500MiB", "700MiB"  # room for so many models of 256 MiB, which are estimated at 314

fake = pytest.mark.skipif(not os.access(FAKE, os.X_OK), reason="no unit test program")
real = pytest.mark.skipif(not os.access(LLAMA, os.X_OK) or not os.path.exists(TINY), reason="tools/setup engine")


@pytest.fixture
def house(gridtie, tmp_path):
    """house({name: mode}, memory, engine=…, env=…, **config): fake models that weigh 256 MiB each, a hole in a file."""
    def start(models, memory, engine=None, env=None, **more):
        weights = tmp_path / "w.gguf"
        with open(weights, "wb") as f:
            f.write(b"GGUF\x03" + bytes(19))
            f.truncate(256 * MIB)
        rows = [{"name": name, "file": str(weights), **(mode if isinstance(mode, dict) else {"args": ["--fake", mode]})}
                for name, mode in models.items()]
        return gridtie({"engine": {"enabled": True, "binary": FAKE, "memory": memory, "models": rows, **(engine or {})}, **more},
                       env=env)
    return start


def real_config(models, engine=None):
    """Real servers of the tiny model, under several names."""
    rows = [{"name": name, "file": TINY, **settings} for name, settings in models.items()]
    return {"engine": {"enabled": True, "binary": LLAMA, "context": 512, "threads": 1, "parallel": 2, "models": rows,
                       **(engine or {})}}


@pytest.fixture
def real_house(gridtie):
    return lambda models, engine=None: gridtie(real_config(models, engine))


def loaded(daemon):
    return {m["name"]: m for m in daemon.get("/gridtie/v1/ps").json["models"] if m["state"] == "ready"}


def engine_number(daemon, what, name):
    return daemon.metrics()[f'gridtie_engine_{what}{{target="local/{name}",zone="device"}}']


class Streaming(threading.Thread):
    """A model that is busy with an answer of so many seconds."""

    def __init__(self, daemon, model, seconds):
        super().__init__()
        self.path, self.body = chat("openai", model, order(words=int(seconds * 20), chunk_ms=50), stream=True)
        self.daemon_, self.reply = daemon, None
        self.start()
        eventually(lambda: loaded(daemon).get(model.removeprefix("local/"), {}).get("slots_busy"), 20, f"{model} is busy")

    def run(self):
        self.reply = self.daemon_.post(self.path, self.body, timeout=60)


# ---- graphics cards: a fake llama-server that lists one of 1,000 MiB, and a fake driver that tells what each server takes


def card(size=1000, taken=None):
    env = {"FAKE_DEVICES": f"CUDA0: Fake ({size} MiB, {size} MiB free)", "LD_LIBRARY_PATH": str(Path(FAKE).parent)}
    return {**env, "FAKE_VRAM_MIB": str(taken)} if taken is not None else env


@fake
def test_a_card_is_shared_out_by_what_its_driver_tells(house):
    daemon = house({"a": "ok", "b": "ok"}, "10GiB", env=card(taken=10))
    for name in "ab":  # 900 MiB are for models: the second, estimated at 882, fits beside the first as measured
        assert ask(daemon, "openai", f"local/{name}", timeout=60)[0].status == 200
    assert set(loaded(daemon)) == {"a", "b"}
    assert [m["vram_bytes"] for m in loaded(daemon).values()] == [10 * MIB] * 2
    assert daemon.get("/gridtie/v1/ps").json["vram_budget_bytes"] == 900 * MIB
    assert {m["size_vram"] for m in daemon.get("/api/ps").json["models"]} == {10 * MIB}
    assert engine_number(daemon, "vram_bytes", "a") == 10 * MIB
    table = daemon.cli("ps")
    assert "VRAM" in table.stdout and "20 MiB of 900 MiB of graphics memory" in table.stdout, table.stdout


@fake
def test_a_full_card_is_made_room_on_though_there_is_memory(house):
    daemon = house({"a": "ok", "b": "ok"}, "10GiB", env=card(taken=300))
    for name in "abab":
        assert ask(daemon, "openai", f"local/{name}", timeout=60)[0].status == 200
    assert engine_number(daemon, "evictions_total", "a") == 1 and engine_number(daemon, "loads_total", "b") == 1
    assert engine_number(daemon, "loads_total", "a") == 2 and set(loaded(daemon)) == {"a", "b"}  # as measured both fit


@fake
def test_a_busy_model_keeps_its_card_and_the_refusal_says_so(house):
    daemon = house({"a": "ok", "b": "ok"}, "10GiB", engine={"wait": "300ms", "ping": "0s", "preload": ["a"]}, env=card())
    eventually(lambda: loaded(daemon), 30, "a is loaded, however long that takes")
    busy = Streaming(daemon, "local/a", 4)
    reply = daemon.post(*chat("openai", "local/b"))
    text = assert_error_shape("openai", reply)
    assert reply.status == 503 and "model 'b' needs about 882 MiB of graphics memory" in text, text
    assert "(engine.gpu_memory, 900 MiB): 'a' (882 MiB) answers 1 request" in text, text
    busy.join()
    assert busy.reply.status == 200 and engine_number(daemon, "evictions_total", "a") == 0


@fake
def test_a_model_that_never_fits_the_card_is_told_what_would_help(house):
    daemon = house({"a": {"gpu_layers": "all", "args": ["--fake", "ok"]}, "b": "ok", "c": {"gpu_layers": "0", "args": ["--fake", "ok"]}},
                   "10GiB", engine={"gpu_memory": "200MiB"}, env=card())
    text = assert_error_shape("openai", daemon.post(*chat("openai", "local/a")))
    assert "needs at least 256 MiB" in text and "of graphics memory for gpu_layers: all" in text, text
    assert "200 MiB are for models" in text and "gpu_layers: auto" in text, text
    for name in "bc":  # llama-server puts on the card what fits; nothing but itself
        assert ask(daemon, "openai", f"local/{name}", timeout=60)[0].status == 200
    eventually(lambda: loaded(daemon)["c"]["vram_bytes"] == 200 * MIB, 5, "all there is: nobody measured it")


@fake
@pytest.mark.parametrize("bound, margin", [("2GiB", "6552"), ("7800MiB", None), (None, None)])
def test_llama_server_is_told_what_to_leave_free(house, bound, margin):
    daemon = house({"a": "ok"}, "10GiB", engine={"gpu_memory": bound} if bound else {}, env=card(8000))
    assert ask(daemon, "openai", "local/a", timeout=60)[0].status == 200
    argv = Path(f"/proc/{loaded(daemon)['a']['pid']}/cmdline").read_text().split("\0")
    assert argv[argv.index("--fit-target") + 1] == margin if margin else "--fit-target" not in argv


@fake
def test_without_a_card_nothing_is_said_of_one(house):
    daemon = house({"a": {"gpu_layers": "all", "args": ["--fake", "ok"]}}, "10GiB")
    assert ask(daemon, "openai", "local/a", timeout=60)[0].status == 200
    assert "VRAM" not in daemon.cli("ps").stdout and daemon.get("/gridtie/v1/ps").json["vram_budget_bytes"] == 0


# ---- who goes


@fake
def test_a_cold_model_goes_for_one_that_is_wanted(house):
    daemon = house({"a": "ok", "b": "ok"}, ONE)
    for round_, name in enumerate("abab"):
        assert ask(daemon, "openai", f"local/{name}", timeout=60)[0].status == 200
        assert list(loaded(daemon)) == [name]
    assert engine_number(daemon, "evictions_total", "a") == 2 and engine_number(daemon, "evictions_total", "b") == 1
    assert engine_number(daemon, "loads_total", "a") == 2


@fake
def test_two_with_room_for_two_stay(house):
    daemon = house({"a": "ok", "b": "ok"}, TWO)
    for name in "abab":
        assert ask(daemon, "openai", f"local/{name}", timeout=60)[0].status == 200
    assert set(loaded(daemon)) == {"a", "b"}
    assert engine_number(daemon, "loads_total", "a") == engine_number(daemon, "loads_total", "b") == 1


@fake
@each
def test_a_busy_model_stays_and_the_refusal_says_who_holds_the_memory(house, client):
    daemon = house({"a": "ok", "b": "ok"}, ONE, engine={"wait": "300ms", "ping": "0s", "preload": ["a"]})
    eventually(lambda: loaded(daemon), 30, "a is loaded, however long that takes")
    busy = Streaming(daemon, "local/a", 4)
    path, body = chat(client, "local/b")
    reply = daemon.post(path, body)
    text = assert_error_shape(client, reply)
    assert reply.status == (529 if client == "anthropic" else 503)
    assert "model 'b' needs about 314 MiB" in text and "(engine.memory, 500 MiB): 'a' (256 MiB) answers 1 request" in text
    assert list(loaded(daemon)) == ["a"]
    busy.join()
    assert busy.reply.status == 200 and busy.reply.complete and READERS["openai"](busy.reply.body, True).ended
    assert engine_number(daemon, "evictions_total", "a") == 0 and engine_number(daemon, "loads_total", "b") == 0


@fake
def test_what_would_evict_a_busy_or_warm_model_goes_elsewhere_at_once(house, sim):
    daemon = house({"a": "2500", "b": "ok"}, ONE, engine={"wait": "60s"}, endpoints=[sim.endpoint("o")],
                   routes={"r": ["local/b", "o/m"], "near": ["local/b"]})
    assert ask(daemon, "openai", "local/a", timeout=60)[0].status == 200
    for stream in (False, True):  # warm for as long as its load took
        reply, a = ask(daemon, "anthropic", "r", stream=stream, timeout=60)
        assert reply.status == 200 and a.ended
        attempts = daemon.why(reply)["attempts"]
        assert [(at["target"], at["err"]) for at in attempts] == [("local/b", "busy"), ("o/m", None)]
        assert "'a' (256 MiB) was used" in attempts[0]["detail"]
    assert list(loaded(daemon)) == ["a"]
    reply, a = ask(daemon, "openai", "near", timeout=60)  # nobody else within reach: it waits until that one is cold
    assert reply.status == 200 and list(loaded(daemon)) == ["b"]


@fake
def test_requests_by_turns_do_not_thrash(house):
    """Two models that want the same room, asked by turns without a pause: loading takes no more than half of the time."""
    daemon = house({"a": "300", "b": "300"}, ONE, engine={"wait": "60s"})
    end, rounds = time.monotonic() + 6, 0

    def ask_all(name):
        n = 0
        while time.monotonic() < end:
            assert ask(daemon, "openai", f"local/{name}", timeout=90)[0].status == 200
            n += 1
        return n
    with concurrent.futures.ThreadPoolExecutor() as pool:
        rounds = sum(pool.map(ask_all, "ab"))
    loads = engine_number(daemon, "loads_total", "a") + engine_number(daemon, "loads_total", "b")
    assert loads * 3 < rounds, (loads, rounds)


@fake
@each
def test_a_model_that_never_fits_says_how_big_it_is(house, client):
    daemon = house({"a": "ok"}, "100MiB")
    path, body = chat(client, "local/a")
    text = assert_error_shape(client, daemon.post(path, body))
    assert "needs at least 256 MiB (256 MiB of weights" in text and "100 MiB are for models" in text
    assert "raise engine.memory" in text


@real
def test_a_context_that_does_not_fit_is_told_with_one_that_would(real_house):
    daemon = real_house({"m": {"context": 4096, "parallel": 8}}, engine={"memory": "8MiB"})
    path, body = chat("openai", "local/m")
    text = assert_error_shape("openai", daemon.post(path, body))
    told = re.search(r"4096 tokens in 8 slots\), .*; with parallel: (\d+) and context: (\d+) it would fit", text)
    assert told and 512 <= int(told[2]) < 4096, text
    daemon.reload(real_config({"m": {"parallel": int(told[1]), "context": int(told[2])}}, {"memory": "8MiB"}))
    assert daemon.post(path, {**body, "max_tokens": 4}, timeout=60).status == 200


@real
def test_real_servers_swap_and_are_measured(real_house):
    daemon = real_house({"a": {}, "b": {}}, engine={"memory": "40MiB"})  # each is estimated at 38
    for name in "abab":
        path, body = chat("openai", f"local/{name}", max_tokens=4)
        assert daemon.post(path, body, timeout=60).status == 200
        ps = daemon.get("/gridtie/v1/ps").json
        [m] = [m for m in ps["models"] if m["state"] == "ready"]
        assert m["name"] == name and ps["budget_bytes"] == 40 * MIB
        assert 10 * MIB < m["memory_bytes"] < 60 * MIB and 5 * MIB < m["estimated_bytes"] < 40 * MIB
        assert m["load_ms"] > 0 and m["slots"] == 2
    assert engine_number(daemon, "evictions_total", "a") == 2


@fake
def test_kill_9_while_one_streams_and_one_loads_leaves_nothing(house):
    daemon = house({"a": "ok", "b": "never"}, TWO)
    Streaming(daemon, "local/a", 30)
    threading.Thread(target=lambda: ask_quietly(daemon, "local/b"), daemon=True).start()
    eventually(lambda: len(left_of(daemon)) == 4, 20, "two guards and their servers")
    daemon.kill()
    eventually(lambda: not left_of(daemon), 10, "no process is left")
    daemon.restart()
    assert ask(daemon, "openai", "local/a", timeout=60)[0].status == 200


def ask_quietly(daemon, model):
    try:
        ask(daemon, "openai", model, timeout=60)
    except (OSError, AssertionError):
        pass  # it dies with the daemon


@fake
def test_a_child_that_is_killed_while_it_streams_gives_its_room(house):
    daemon = house({"a": "ok", "b": "ok"}, ONE, engine={"wait": "60s"})
    path, body = chat("openai", "local/a", order(words=600, chunk_ms=50), stream=True)
    with Client(daemon.port) as c:
        c.send(request_bytes("POST", path, body))
        assert c.head()[0] == 200 and c.some()
        os.kill(loaded(daemon)["a"]["pid"], signal.SIGKILL)
        assert ask(daemon, "openai", "local/b", timeout=60)[0].status == 200
    assert list(loaded(daemon)) == ["b"]


# ---- how long a model stays


def ollama_load(daemon, model, keep_alive):
    return daemon.post("/api/generate", {"model": model, "keep_alive": keep_alive}, timeout=60)


@fake
def test_keep_alive_as_ollamas_users_know_it(house):
    daemon = house({"a": "ok"}, ONE)
    reply = ollama_load(daemon, "a", "10m")
    assert reply.status == 200 and reply.json["done_reason"] == "load" and list(loaded(daemon)) == ["a"]

    def expires():
        [m] = daemon.get("/api/ps").json["models"]
        return datetime.datetime.fromisoformat(m["expires_at"].replace("Z", "+00:00"))
    now = datetime.datetime.now(datetime.timezone.utc)
    eventually(lambda: 500 < (expires() - now).total_seconds() <= 660, 5, "it goes in ten minutes")
    reply, a = ask(daemon, "ollama", "a", keep_alive=-1)
    assert reply.status == 200 and a.ended
    eventually(lambda: expires().year > 2200, 5, "it stays")
    assert loaded(daemon)["a"]["expires_at"] is None
    assert ask(daemon, "openai", "local/a")[0].status == 200  # who says nothing changes nothing
    time.sleep(1.1)
    assert expires().year > 2200
    reply, a = ask(daemon, "ollama", "a", keep_alive="0s")
    assert reply.status == 200 and a.ended
    eventually(lambda: not loaded(daemon), 10, "it goes once it has answered")
    ollama_load(daemon, "a", 300)
    assert ollama_load(daemon, "a", 0).json["done_reason"] == "unload"
    eventually(lambda: not loaded(daemon), 10, "it goes")
    reply = ollama_load(daemon, "a", "soon")
    assert reply.status == 400 and "keep_alive" in reply.json["error"]


@fake
def test_settings_of_single_models(house):
    daemon = house({"a": {"args": ["--fake", "ok"], "keep_alive": "1s"}, "b": {"args": ["--fake", "ok"], "pin": True},
                    "c": {"args": ["--fake", "ok"]}}, "1GiB", engine={"preload": ["a", "b"]})
    eventually(lambda: {"a", "b"} <= set(loaded(daemon)), 20, "those are loaded without a request")
    assert loaded(daemon)["b"]["pinned"] and loaded(daemon)["b"]["expires_at"] is None
    eventually(lambda: set(loaded(daemon)) == {"b"}, 10, "a goes after a second")
    table = daemon.cli("ps")
    assert table.returncode == 0 and "never" in table.stdout and "for models" in table.stdout, table.stdout


# ---- what ps says


@fake
def test_ps_counts_slots_tokens_and_what_was_cached(house):
    daemon = house({"a": "ok"}, ONE, engine={"parallel": 3})
    first, second = Streaming(daemon, "local/a", 2), Streaming(daemon, "local/a", 2)
    eventually(lambda: loaded(daemon)["a"]["slots_busy"] == 2, 5, "two slots are busy")
    assert loaded(daemon)["a"]["slots"] == 3
    first.join(), second.join()
    m = eventually(lambda: (m := loaded(daemon)["a"]) and m["tokens_per_s"] and m["slots_busy"] == 0 and m, 5)
    assert m["output_tokens"] > 0 and 0 <= m["cached_tokens"] <= m["input_tokens"] and m["draft"] is None
    lines = daemon.cli("ps").stdout.splitlines()
    assert "0/3" in lines[1] and "SLOTS" in lines[0] and "TOKENS/S" in lines[0]


@real
def test_ps_and_metrics_tell_how_many_guesses_held(real_house):
    """Whose draft is the model itself: without temperature every guess holds."""
    daemon = real_house({"m": {"draft": TINY}})
    path, body = chat("openai", "local/m", stream=True, max_tokens=40, temperature=0)
    assert daemon.post(path, body, timeout=60).status == 200
    draft = eventually(lambda: (d := loaded(daemon)["m"]["draft"]) and d["state"] == "works" and d["tokens"] and d, 10)
    assert 10 < draft["tokens"] < 100 and draft["accepted"] > draft["tokens"] * 0.6
    metrics = daemon.metrics()
    label = '{target="local/m",zone="device"}'
    assert metrics["gridtie_draft_tokens_total" + label] == draft["tokens"]
    assert metrics["gridtie_draft_accepted_tokens_total" + label] == draft["accepted"]
    assert " %" in daemon.cli("ps").stdout


@real
def test_guesses_from_the_text_itself(real_house):
    daemon = real_house({"m": {"draft": "ngram"}})
    path, body = chat("openai", "local/m", max_tokens=4)
    assert daemon.post(path, body, timeout=60).status == 200
    eventually(lambda: loaded(daemon)["m"]["draft"]["state"] == "works", 10, "the server says so")


def tiny(tmp_path, name, *options):
    out = tmp_path / name
    tool = Path(__file__).resolve().parents[2] / "tools/make-tiny-model"
    subprocess.run([sys.executable, tool, TINY, out, *options], check=True, capture_output=True)
    return str(out)


@real
def test_a_draft_of_another_vocabulary_is_told(real_house, tmp_path):
    other = tiny(tmp_path, "other.gguf", "--vocabulary", "20000")
    daemon = real_house({"m": {"draft": other}})
    path, body = chat("openai", "local/m", max_tokens=4)
    assert daemon.post(path, body, timeout=60).status == 200
    eventually(lambda: loaded(daemon)["m"]["draft"]["state"] == "refused", 10, "the server refused it")
    assert "refused" in daemon.cli("ps").stdout
    assert "engine_draft_refused" in daemon.stderr and "same vocabulary" in daemon.stderr


@real
def test_a_draft_that_is_nowhere_is_told(real_house):
    daemon = real_house({"m": {"draft": "nobody"}})
    path, body = chat("openai", "local/m")
    text = assert_error_shape("openai", daemon.post(path, body, timeout=60))
    assert "its draft 'nobody'" in text


# ---- images


def picture(color):
    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
    rows = (b"\0" + bytes(color) * 64) * 64
    png = (b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", 64, 64, 8, 2, 0, 0, 0)) +
           chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b""))
    return base64.b64encode(png).decode()


@pytest.fixture(scope="module")
def projector(tmp_path_factory):
    return tiny(tmp_path_factory.mktemp("projector"), "p.gguf", "--task", "projector")


@real
@each
def test_a_model_with_a_projector_sees(real_house, projector, client):
    daemon = real_house({"m": {"projector": projector}})
    said = {}
    for name, color in (("red", (255, 0, 0)), ("blue", (0, 0, 255)), ("red again", (255, 0, 0))):
        stream, greedy = name == "blue", {"temperature": 0}
        more = {"ollama": {"options": greedy}, "gemini": {"generationConfig": greedy}}.get(client, greedy)
        path, body = chat(client, "local/m", "What?", stream, image=True, **more)
        reply = daemon.post(path, json.loads(json.dumps(body).replace(PNG, picture(color))), timeout=60)
        answer = read(client, reply, stream)
        assert reply.status == 200 and answer.ended and answer.error is None, reply.body
        said[name] = answer.text
    assert said["red"] == said["red again"] != said["blue"]


# ---- vectors and ranks


@pytest.fixture(scope="module")
def task_files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tasks")
    return {"embed": tiny(folder, "e.gguf", "--task", "embed", "--vocabulary", "20000"), "rank": tiny(folder, "r.gguf", "--task", "rerank", "--vocabulary", "20000")}


@pytest.fixture
def tasks(real_house, task_files):
    return real_house({"chat": {}, "embed": {"file": task_files["embed"]}, "rank": {"file": task_files["rank"]},
                       "forced": {"task": "embed", "args": ["--pooling", "mean"]}})


@real
@pytest.mark.parametrize("model", ["embed", "forced"])
def test_local_vectors_by_every_address(tasks, model):
    reply = tasks.post("/v1/embeddings", {"model": f"local/{model}", "input": ["one", "two words"]}, timeout=60)
    assert reply.status == 200, reply.body
    vectors = [row["embedding"] for row in reply.json["data"]]
    assert [len(v) for v in vectors] == [64, 64] and vectors[0] != vectors[1]
    same = tasks.post("/api/embed", {"model": model, "input": ["one", "two words"]}, timeout=60)
    assert same.status == 200 and len(same.json["embeddings"]) == 2
    assert same.json["embeddings"][0] == pytest.approx(vectors[0], abs=1e-4)
    long = tasks.post("/v1/embeddings", {"model": f"local/{model}", "input": "word " * 400}, timeout=60)
    assert long.status == 200, "an input as long as the context is read in one piece"


@real
def test_local_ranks(tasks):
    reply = tasks.post("/v1/rerank", {"model": "local/rank", "query": "one", "documents": ["one", "two", "three"]}, timeout=60)
    assert reply.status == 200 and {row["index"] for row in reply.json["results"]} == {0, 1, 2}


@real
@each
def test_models_for_vectors_and_ranks_do_not_chat(tasks, client):
    for model, why in (("embed", "only embeds"), ("rank", "only reranks")):
        path, body = chat(client, f"local/{model}")
        reply = tasks.post(path, body)
        text = assert_error_shape(client, reply)
        assert reply.status == 400 and why in text and "local/chat" in text, text
    assert not loaded(tasks)


@real
def test_models_for_chats_do_not_embed_or_rank(tasks):
    reply = tasks.post("/v1/embeddings", {"model": "local/chat", "input": "x"})
    text = assert_error_shape("openai", reply)
    assert reply.status == 400 and "cannot embed" in text and "local/embed" in text
    reply = tasks.post("/v1/rerank", {"model": "local/embed", "query": "x", "documents": ["y"]})
    text = assert_error_shape("openai", reply)
    assert reply.status == 400 and "cannot rerank" in text and "local/rank" in text
