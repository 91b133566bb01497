# SPDX-License-Identifier: Apache-2.0
"""What may not leave does not leave, also when everything fails; and nothing that is said is kept in logs."""
import json
import random
import resource
import shutil
import signal
import subprocess
import time
from pathlib import Path

import pytest

from harness import DIALECTS, TURNS, Client, ask, assert_error_shape, chat, eventually, order, request_bytes

each = pytest.mark.parametrize("client", DIALECTS)
ZONES = ("device", "edge", "sealed", "cloud")
LABELS = ("public", "internal", "personal", "secret")
KEYS = [{"name": "plain", "secret": "key-plain"}, {"name": "hush", "secret": "key-hush", "label": "secret"},
        {"name": "near", "secret": "key-near", "reach": "edge"}]


def zoned(sims, gridtie, **more):
    """One endpoint per zone, each on a provider of its own."""
    at = {z: sims() for z in ZONES}
    rows = [at[z].endpoint(z, zone=z) for z in ZONES]
    return at, gridtie({"endpoints": rows, "routes": {"any": [f"{z}/m" for z in reversed(ZONES)],
                                                      "hushed": {"targets": ["cloud/m", "device/m"], "label": "secret"}},
                        **more})


def reached(at):
    return {z for z, s in at.items() if s.requests()}


@each
def test_a_secret_stays_on_the_device_by_header_key_and_route(sims, gridtie, client):
    at, daemon = zoned(sims, gridtie, keys=KEYS)
    plain, hush = {"Authorization": "Bearer key-plain"}, {"x-api-key": "key-hush"}
    for model, headers in (("any", {**plain, "x-gridtie-label": "secret"}), ("any", hush), ("hushed", plain),
                           ("hushed", {**plain, "x-gridtie-label": "public"}), ("any", {**hush, "x-gridtie-label": "public"})):
        reply, _ = ask(daemon, client, model, headers=headers)
        assert reply.status == 200 and reply.headers["x-gridtie-zone"] == "device", (model, headers)
    assert reached(at) == {"device"}


@each
def test_a_secret_without_a_device_is_an_honest_error(sims, gridtie, client):
    at, daemon = zoned(sims, gridtie)
    at["device"].always(error="overloaded")
    for stream in (False, True):
        path, body = chat(client, "any", stream=stream)
        reply = daemon.post(path, body, {"x-gridtie-label": "secret"})
        assert reply.status >= 500
        path, body = chat(client, "cloud/m", stream=stream)
        reply = daemon.post(path, body, {"x-gridtie-label": "secret"})
        assert reply.status == 403
        assert "reach" in assert_error_shape(client, reply)
    assert reached(at) == {"device"}


def test_reach_of_a_header_and_of_a_key_only_narrows(sims, gridtie):
    at, daemon = zoned(sims, gridtie, keys=KEYS)
    near = {"Authorization": "Bearer key-near"}
    for headers in (near, {**near, "x-gridtie-reach": "cloud"}):
        reply, _ = ask(daemon, "openai", "any", headers=headers)
        assert reply.headers["x-gridtie-zone"] in ("device", "edge")
    reply, _ = ask(daemon, "openai", "any", headers={**near, "x-gridtie-reach": "device"})
    assert reply.headers["x-gridtie-zone"] == "device"
    reply, _ = ask(daemon, "openai", "cloud/m", headers=near)
    assert reply.status == 403
    assert not at["cloud"].requests() and not at["sealed"].requests()


@pytest.mark.parametrize("header", ["x-gridtie-label", "x-gridtie-reach"])
def test_a_word_that_is_no_label_or_zone_is_refused(three, header):
    for value in ("topsecret", "", "public,secret", "SECRET "):
        reply, _ = ask(three.daemon, "openai", "openai/m", headers={header: value})
        assert reply.status in (400, 403), value
    assert not three.sim.requests()


def test_internal_goes_to_a_cloud_only_if_it_keeps_nothing(sims, gridtie):
    keeps, forgets = sims(), sims()
    daemon = gridtie({"endpoints": [keeps.endpoint("keeps"), forgets.endpoint("forgets", retention=False)],
                      "routes": {"r": ["keeps/m", "forgets/m"]}})
    reply, _ = ask(daemon, "openai", "r", headers={"x-gridtie-label": "internal"})
    assert reply.headers["x-gridtie-target"] == "forgets/m" and not keeps.requests()
    # Both at once: what is internal by word and personal by what it holds goes where nothing is kept, with stand-ins.
    reply, _ = ask(daemon, "openai", "r", "jane.doe@corp.com", headers={"x-gridtie-label": "internal"})
    assert reply.headers["x-gridtie-target"] == "forgets/m" and not keeps.requests()
    assert "jane" not in forgets.last()["body"]
    reply, _ = ask(daemon, "openai", "keeps/m", "jane.doe@corp.com", headers={"x-gridtie-label": "internal"})
    assert reply.status == 403 and not keeps.requests()
    # Personal alone asks for stand-ins, and no more.
    reply, _ = ask(daemon, "openai", "r", "jane.doe@corp.com", headers={"x-gridtie-label": "personal"})
    assert reply.headers["x-gridtie-target"] == "keeps/m" and "jane" not in keeps.last()["body"]


def test_a_default_label_holds_for_requests_that_say_nothing(sims, gridtie):
    at, daemon = zoned(sims, gridtie, privacy={"default_label": "secret"})
    reply, _ = ask(daemon, "openai", "any", headers={"x-gridtie-label": "public"})
    assert reply.headers["x-gridtie-zone"] == "device" and reached(at) == {"device"}


def test_a_matrix_that_config_loosens_is_loosened_and_no_more(sims, gridtie):
    at, daemon = zoned(sims, gridtie, privacy={"secret": {"edge": "yes"}})
    at["device"].always(error="overloaded")
    reply, _ = ask(daemon, "openai", "any", headers={"x-gridtie-label": "secret"})
    assert reply.headers.get("x-gridtie-zone") == "edge" and reached(at) <= {"device", "edge"}


# ---- a property: whatever the config, whatever the faults, contacted ⊆ reach

FAULTS = [None, {"error": "overloaded"}, {"error": "rate_limit"}, {"drop": True}, {"cut_after_events": 1}, {"garbage": "x"},
          {"status": 500}, {"error": "auth"}, {"cut_after_events": 4}, {"status": 408}]
DEFAULT = {"public": {z: "yes" for z in ZONES}, "internal": {"device": "yes", "edge": "yes", "sealed": "yes", "cloud": "no"},
           "personal": {"device": "yes", "edge": "yes", "sealed": "yes", "cloud": "yes"},  # with stand-ins
           "secret": {"device": "yes", "edge": "no", "sealed": "no", "cloud": "no"}}


def allowed(label, reaches):
    """Zones that a request may be seen in, by the words of the design; retention is on at every endpoint here."""
    widest = min([ZONES.index(r) for r in reaches if r] or [3])
    return {z for i, z in enumerate(ZONES) if DEFAULT[label][z] == "yes" and i <= widest}


def test_no_request_is_ever_seen_beyond_its_reach(sims, gridtie):
    rng = random.Random(20250101)
    at = {z: [sims(), sims()] for z in ZONES}
    everyone = [(z, i, s) for z in ZONES for i, s in enumerate(at[z])]
    daemon = None
    for trial in range(100):
        rows = [s.endpoint(f"{z}{i}", rng.choice(DIALECTS), zone=z, timeouts={"first_event": "2s"})
                for z, i, s in rng.sample(everyone, rng.randint(2, 8))]
        rng.shuffle(rows)
        names = [r["name"] + "/m" for r in rows]
        key = {"name": "k", "secret": "the-key"}
        key_label, key_reach, route_label = (rng.choice([None, None, *words]) for words in (LABELS, ZONES, LABELS))
        if key_label:
            key["label"] = key_label
        if key_reach:
            key["reach"] = key_reach
        route = {"targets": rng.sample(names, rng.randint(1, len(names)))}
        if route_label:
            route["label"] = route_label
        config = {"endpoints": rows, "keys": [key], "routes": {"r": route}, "loopback": "owner"}
        if daemon is None:
            daemon = gridtie(config)
        else:
            daemon.reload(config)
        for z, i, s in everyone:
            s.reset()
            s.always(**(rng.choice(FAULTS) or {}))
        header_label, header_reach = rng.choice([None, *LABELS]), rng.choice([None, None, *ZONES])
        headers = {"Authorization": "Bearer the-key"}
        if header_label:
            headers["x-gridtie-label"] = header_label
        if header_reach:
            headers["x-gridtie-reach"] = header_reach
        model = rng.choice(["r", "m", rng.choice(names)])
        labels = [header_label, key_label, route_label if model == "r" else None]
        label = max((x for x in labels if x), key=LABELS.index, default="public")
        may = allowed(label, [key_reach, header_reach])
        client, stream = rng.choice(DIALECTS), rng.random() < 0.5
        path, body = chat(client, model, f"trial {trial} for jane.doe@corp.com, AKIAIOSFODNN7EXAMPLE", stream)
        reply = daemon.post(path, body, headers)
        seen = {z for z, _, s in everyone if s.requests()}
        for z, _, s in everyone:
            for request in s.requests():
                assert z != "cloud" or "jane" not in request["body"], (trial, label)
                assert z == "device" or "AKIA" not in request["body"], (trial, z)
        assert seen <= may, (trial, label, key_reach, header_reach, model, seen, may)
        assert reply is not None and (reply.status == 200 or reply.status >= 400)
        if not may & {r["zone"] for r in rows}:
            assert reply.status == 403 and not seen, (trial, reply.status)


# ---- nothing said is kept


CANARIES = {"mail": "canary.mail@corp-7f3a.com", "card": "4111111111111111", "secret": "AKIACANARY7EXAMPLE22",
            "prompt": "CANARY-prompt-7f3a", "system": "CANARY-system-1b2c", "answer": "CANARY-answer-9d8e",
            "thinking": "CANARY-think-5a5a", "argument": "CANARY-arg-4e4e", "image": "Q0FOQVJZaW1hZ2U2YjZi",
            "client key": "sk-CANARY-client-1212", "upstream key": "upstream-key-of-CANARY", "wrong key": "CANARY-wrong-3434"}


def test_no_log_ledger_journal_or_metric_holds_content_or_keys(sims, gridtie):
    sim = sims()
    row = {**sim.endpoint("o"), "key": CANARIES["upstream key"]}
    daemon = gridtie({"endpoints": [row, {**sim.endpoint("a", "anthropic"), "key": CANARIES["upstream key"]},
                                    {**sim.endpoint("e", zone="edge"), "key": CANARIES["upstream key"]}],
                      "log": {"level": "debug"}, "keys": [{"name": "k", "secret": CANARIES["client key"]}]})
    auth = {"Authorization": "Bearer " + CANARIES["client key"]}
    orders = [{}, {"error": "server_error"}, {"cut_after_events": 3}, {"garbage": CANARIES["answer"]},
              {"body": CANARIES["answer"]}, {"status": 400, "body": json.dumps({"error": {"message": "bad"}})},
              {"status": 400, "body": json.dumps({"error": {"message": f"{CANARIES['mail']} with {CANARIES['card']}?"}})}]
    said = " ".join(CANARIES[k] for k in ("prompt", "mail", "card", "secret"))
    for client in DIALECTS:
        for stream in (False, True):
            for more in orders:
                what = {"text": CANARIES["answer"] + " " * 20, "thinking": CANARIES["thinking"],
                        "tool_calls": [{"name": "weather", "arguments": {"city": CANARIES["argument"]}}], **more}
                path, body = chat(client, "a/m", order(said, **what), stream, system=CANARIES["system"],
                                  tools=True)
                daemon.post(path, body, auth)
                body["model"] = "e/m"
                daemon.post(path, body, auth)
            path, body = chat(client, "a/m", CANARIES["prompt"], stream)
            daemon.post(path, body, {"Authorization": "Bearer " + CANARIES["wrong key"]})
            daemon.post(path, json.dumps(body)[:-5], auth)
            body[TURNS.get(client, "messages")] = [CANARIES["prompt"]]
            daemon.post(path, body, auth)
    texts = {"metrics": daemon.get("/metrics", auth).text}
    for path in ("log?limit=1000", "why/last", "endpoints", "status", "models", "ps", "audit", "audit/verify"):
        texts[path] = daemon.get("/gridtie/v1/" + path, auth).text
    for row in json.loads(texts["log?limit=1000"])["exchanges"][:40]:
        texts[row["id"]] = daemon.get("/gridtie/v1/why/" + row["id"], auth).text
    daemon.stop()
    texts["stderr"] = daemon.stderr
    for file in Path(daemon.folder).rglob("*"):
        if file.is_file() and file.name != "gridtie.yaml":
            texts[str(file)] = file.read_bytes().decode("latin1")
    for what, canary in CANARIES.items():
        for where, text in texts.items():
            assert canary not in text, f"{what} stands in {where}"


def test_a_core_file_holds_no_content(sims, gridtie):
    sim = sims()
    daemon = gridtie({"endpoints": [{**sim.endpoint("o"), "key": CANARIES["upstream key"]}]})
    said = " ".join(CANARIES[k] for k in ("prompt", "mail", "card", "secret"))
    core = Path(daemon.folder, "core.gdb")
    with Client(daemon.port) as c:  # an answer that does not end: all of it is in memory
        path, body = chat("openai", "o/m", order(said, text=CANARIES["answer"] + " word" * 2000, chunk_ms=50), True)
        c.send(request_bytes("POST", path, body))
        c.head()
        assert resource.prlimit(daemon.pid, resource.RLIMIT_CORE) == (0, 0), "by itself it leaves none"
        if shutil.which("gdb"):  # takes what the kernel would
            done = subprocess.run(["gdb", "-batch", "-nx", "-p", str(daemon.pid), "-ex", f"gcore {core}"], timeout=120,
                                  capture_output=True, text=True, stdin=subprocess.DEVNULL)
            assert core.exists() or "not permitted" in done.stderr, done.stderr[-2000:]
        daemon.signal(signal.SIGABRT)
        daemon.wait()
    for file in Path(daemon.folder).glob("core*"):
        content = file.read_bytes()
        assert not [what for what, canary in CANARIES.items() if canary.encode() in content]
        file.unlink()


def test_files_of_the_ledger_are_for_the_owner_only(three):
    ask(three.daemon, "openai", "openai/m")
    time.sleep(0.3)
    data = Path(three.daemon.folder, "data", "gridtie")
    files = eventually(lambda: [p for p in data.rglob("*") if p.is_file()])
    for p in [data, *data.rglob("*")]:
        assert p.stat().st_mode & 0o077 == 0, f"{p} can be read by others"
    assert files


def test_offline_opens_no_connection_beyond_loopback(sims, gridtie):
    sim = sims()
    far = {"name": "far", "provider": "openai", "url": "http://192.0.2.1/v1", "zone": "cloud", "models": ["m"],
           "timeouts": {"connect": "500ms"}}
    daemon = gridtie({"endpoints": [far, sim.endpoint("o")], "offline": True, "routes": {"r": ["far/m", "o/m"]}})
    start = time.monotonic()
    reply, _ = ask(daemon, "openai", "far/m")
    assert reply.status >= 500 and time.monotonic() - start < 0.4 * 10
    assert daemon.why(reply)["attempts"][0]["err"] == "no_permit"


def test_vectors_and_completions_are_looked_into_like_chats(sims, gridtie):
    """Whatever the address: a secret never leaves for a cloud as it is."""
    upstream = sims()
    daemon = gridtie({"endpoints": [upstream.endpoint("o"), upstream.endpoint("l", "ollama")]})
    secret = "the key is AKIAIOSFODNN7EXAMPLE, keep it"
    for path, body in (("/v1/embeddings", {"input": ["a", secret]}), ("/v1/embeddings", {"input": secret}),
                       ("/v1/rerank", {"query": "a", "documents": [secret, {"text": secret}]}),
                       ("/v1/completions", {"prompt": secret}), ("/v1/completions", {"prompt": ["a", secret]}),
                       ("/api/embed", {"input": [secret]}), ("/api/embeddings", {"prompt": secret})):
        for model in ("o/m", "l/m"):
            daemon.post(path, {"model": model, **body})
    assert len(upstream.requests()) >= 10
    for request in upstream.requests():
        assert "AKIAIOSFODNN7EXAMPLE" not in request["body"] and "keep it" in request["body"], request["body"]
