# SPDX-License-Identifier: Apache-2.0
"""What pulls that were cut leave behind: it is shown by its name, gone on with, removed, and goes by itself after a week."""
import json
import os
import sys
import time
from importlib.machinery import SourceFileLoader
from importlib.util import module_from_spec, spec_from_loader

import pytest

from harness import REPO, Client, eventually
from sources import gguf, sha256
from test_store import begin, blobs, models_dir, names, other, pulled, slow, source, store  # noqa: F401

pytestmark = pytest.mark.tsan
WEEK = 7 * 86400


def unfinished(daemon):
    return daemon.get("/gridtie/v1/store").json["unfinished"]


def cut(daemon, source):
    """A pull of `m` whose client went; returns its partial file."""
    data, _ = slow(source)
    begin(daemon).close()
    eventually(lambda: unfinished(daemon) and not unfinished(daemon)[0]["running"], 10, "the pull's end")
    return models_dir(daemon) / "blobs" / f"sha256-{sha256(data)}.partial"


def test_a_cut_pull_is_shown_and_removed_by_its_name(store, source):
    daemon = store(store={"registry": source.url})
    partial = cut(daemon, source)
    [row] = unfinished(daemon)
    assert (row["name"], row["source"], row["bytes"]) == ("m:latest", "m", partial.stat().st_size)
    assert names(daemon) == [] and daemon.post("/api/show", {"model": "m"}).status == 404
    text = daemon.cli("list").stdout
    assert "m:latest was pulled in part" in text and "`gridtie pull m` goes on" in text
    done = daemon.cli("rm", "m")
    assert done.returncode == 0 and "removed m" in done.stdout, done.stderr
    assert blobs(daemon) == [] and unfinished(daemon) == []
    assert daemon.call("DELETE", "/api/delete", {"model": "m"}).status == 404


def test_what_was_gone_on_with_leaves_nothing(store, source):
    daemon = store(store={"registry": source.url})
    partial = cut(daemon, source)
    assert partial.exists() and partial.with_suffix(".for").read_text() == "m:latest\nm\n"
    source.pause = 0
    pulled(daemon, "m")
    assert blobs(daemon) == [partial.stem] and unfinished(daemon) == []


def test_a_url_is_shown_without_its_signature(store, source):
    daemon = store()
    source.files["/x.gguf"], source.pause, source.etags["/x.gguf"] = gguf(size=4_000_000), 0.01, '"e"'
    c = Client(daemon.port)
    c.request("POST", "/api/pull", {"model": source.url + "/x.gguf?signature=canary", "as": "mine:v1"})
    assert c.head()[0] == 200
    seen = b""
    while b'"completed"' not in seen:
        seen += c.some()
    c.close()
    eventually(lambda: unfinished(daemon) and not unfinished(daemon)[0]["running"], 10, "the pull's end")
    [row] = unfinished(daemon)
    assert (row["name"], row["source"]) == ("mine:v1", source.url + "/x.gguf")
    assert all("canary" not in (models_dir(daemon) / "blobs" / b).read_text(errors="replace") for b in blobs(daemon) if b.endswith(".for"))
    assert daemon.call("DELETE", "/api/delete", {"model": "mine:v1"}).status == 200 and blobs(daemon) == []


def test_what_is_being_pulled_stays(store, source):
    daemon = store(store={"registry": source.url})
    slow(source)
    c = begin(daemon)
    assert unfinished(daemon)[0]["running"] and "is being pulled" in daemon.cli("list").stdout
    reply = daemon.call("DELETE", "/api/delete", {"model": "m"})
    assert reply.status == 503 and "is being pulled; end that first" in reply.json["error"]
    source.pause = 0
    while piece := c.some():
        last = piece
    assert b"success" in last and names(daemon) == ["m:latest"]


def test_what_is_a_week_old_goes(store, source):
    daemon = store(store={"registry": source.url})
    partial = cut(daemon, source)
    used, unused, fresh = gguf(seed=b"1"), gguf(seed=b"2"), gguf(seed=b"3")
    for data in (used, unused, fresh):
        assert daemon.post("/api/blobs/sha256:" + sha256(data), data).status == 201
    assert daemon.post("/api/create", {"model": "kept", "files": {"k.gguf": "sha256:" + sha256(used)}, "stream": False}).status == 200
    folder, young = models_dir(daemon) / "fetch-smollm2", models_dir(daemon) / "fetch-gemma3"
    for f in (folder, young):
        f.mkdir()
        (f / "part.whl").write_bytes(b"x" * 1000)
    assert {r["name"]: r["bytes"] for r in unfinished(daemon)}["smollm2:135m"] == 1000
    store_dir = models_dir(daemon) / "blobs"
    (store_dir / "url-0123.etag").write_text("orphan")
    (store_dir / "url-0123.for").write_text("orphan")
    daemon.stop()
    old = time.time() - WEEK - 60
    for path in (store_dir / f"sha256-{sha256(used)}", store_dir / f"sha256-{sha256(unused)}", partial, folder / "part.whl", folder):
        os.utime(path, (old, old))
    daemon.restart()
    assert blobs(daemon) == sorted("sha256-" + sha256(d) for d in (used, fresh))
    assert not folder.exists() and young.exists() and names(daemon) == ["kept:latest"]


def test_a_daemon_that_runs_for_long_looks_at_each_pull(store, source, other):
    daemon = store(store={"registry": source.url})
    partial = cut(daemon, source)
    other.files["/y.gguf"] = gguf(seed=b"y")
    pulled(daemon, other.url + "/y.gguf")
    assert partial.exists()
    old = time.time() - WEEK - 60
    os.utime(partial, (old, old))
    pulled(daemon, other.url + "/y.gguf")
    assert not partial.exists() and not partial.with_suffix(".for").exists()


def test_packages_that_were_fetched_go_by_the_models_name(store):
    daemon = store()
    folder = models_dir(daemon) / "fetch-smollm2"
    folder.mkdir(parents=True)
    (folder / "a.whl").write_bytes(b"x" * 100)
    assert [r["name"] for r in unfinished(daemon)] == ["smollm2:135m"]
    assert daemon.call("DELETE", "/api/delete", {"model": "smollm2:135m"}).status == 200 and not folder.exists()


def test_only_the_owner_sees_the_store(store):
    daemon = store(keys=[{"name": "guest", "secret": "guests-key"}])
    assert daemon.get("/gridtie/v1/store", {"authorization": "Bearer guests-key"}).status == 403


# ---- packages, by tools/model-sources


@pytest.fixture
def packages(source, tmp_path, monkeypatch):
    """(module, folder, path of the wheel): the script, which is asked for a package of a local index."""
    loader = SourceFileLoader("model_sources", str(REPO / "tools/model-sources"))
    module = module_from_spec(spec_from_loader("model_sources", loader))
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    loader.exec_module(module)
    monkeypatch.setattr(module.time, "sleep", lambda s: None)
    for name, value in {"PIP_CONFIG_FILE": "/dev/null", "PIP_INDEX_URL": source.url + "/simple", "PIP_NO_CACHE_DIR": "1",
                        "GRIDTIE_CACHE": str(tmp_path / "cache")}.items():
        monkeypatch.setenv(name, value)
    folder = tmp_path / "fetch"
    folder.mkdir()
    return module, folder, source.package("demo", "1.0", {"demo/weights": os.urandom(3_000_000)})


def fetches(source, path):
    return [h.get("range") for _, p, h in source.asked if p == path]


def test_a_package_goes_on_where_it_was_cut(packages, source, capsys):
    module, folder, path = packages
    source.cuts[path] = [0, 1_500_000, 700_000]  # the first is what pip begins
    wheel = module.wheel_of("demo==1.0", folder)
    assert wheel.read_bytes() == source.files[path] and [p.name for p in folder.iterdir()] == [wheel.name]
    assert [r is None for r in fetches(source, path)] == [True, True, False, False]
    steps = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert steps[-1]["completed"] == steps[-1]["total"] == len(source.files[path])


def test_a_package_goes_on_after_a_kill(packages, source):
    module, folder, path = packages
    name = path.rpartition("/")[2]
    (folder / (name + ".partial")).write_bytes(source.files[path][:2_000_000])
    assert module.wheel_of("demo==1.0", folder).read_bytes() == source.files[path]
    assert fetches(source, path)[-1] == "bytes=2000000-"


def test_a_package_that_is_another_begins_anew(packages, source):
    module, folder, path = packages
    name = path.rpartition("/")[2]
    (folder / (name + ".partial")).write_bytes(b"?" * 2_000_000)
    assert module.wheel_of("demo==1.0", folder).read_bytes() == source.files[path]
    source.files[path] = source.files[path][:-1] + b"?"
    (folder / name).unlink()
    with pytest.raises(SystemExit, match="pip cannot fetch demo 1.0"):
        module.wheel_of("demo==1.0", folder)
    assert not list(folder.iterdir())


def test_a_package_that_is_cut_again_and_again(packages, source):
    module, folder, path = packages
    source.cuts[path] = [0, 1_000_000, *[0] * 20]
    with pytest.raises(SystemExit, match="in a row"):
        module.wheel_of("demo==1.0", folder)
    [partial] = folder.iterdir()
    assert 0 < partial.stat().st_size <= 1_000_000
