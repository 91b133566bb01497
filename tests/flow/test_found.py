# SPDX-License-Identifier: Apache-2.0
"""What Ollama, LM Studio and the Hugging Face cache fetch and remove while the daemon runs comes and goes by itself."""
import json
import shutil

import pytest

from harness import eventually
from sources import gguf, sha256
from test_store import FOUND, names, others

pytestmark = pytest.mark.tsan


@pytest.fixture
def daemon(gridtie, tmp_path):
    (tmp_path / "home").mkdir()
    return gridtie({"engine": {"enabled": True, "binary": "/bin/false"}}, env={"HOME": str(tmp_path / "home")})


def await_names(daemon, expected):
    eventually(lambda: names(daemon) == sorted(expected), 20, f"{expected}, not {names(daemon)}")


def test_programs_that_are_installed_later(daemon, tmp_path):
    assert names(daemon) == []
    others(tmp_path / "home")
    await_names(daemon, FOUND)


def test_each_comes_and_goes(daemon, tmp_path):
    home = tmp_path / "home"
    others(home)
    await_names(daemon, FOUND)
    manifests = home / ".ollama/models/manifests/registry.ollama.example/library"
    weights = gguf(seed=b"4")
    (home / f".ollama/models/blobs/sha256-{sha256(weights)}").write_bytes(weights)
    layer = {"mediaType": "application/vnd.ollama.image.model", "digest": "sha256:" + sha256(weights), "size": len(weights)}
    (manifests / "other").mkdir()
    (manifests / "other/4b").write_text(json.dumps({"layers": [layer]}))
    await_names(daemon, [*FOUND, "other:4b"])
    (manifests / "seer/8b").unlink()
    await_names(daemon, {*FOUND, "other:4b"} - {"seer:8b"})
    shutil.rmtree(home / ".ollama")
    await_names(daemon, set(FOUND) - {"seer:8b"})
    studio = home / ".lmstudio/models/maker/Thing-GGUF"
    (studio / "Thing-Q8_0.gguf").write_bytes(gguf(seed=b"8"))
    await_names(daemon, {*FOUND, "maker/Thing-GGUF:Q8_0"} - {"seer:8b"})
    shutil.rmtree(studio.parent)
    await_names(daemon, ["hf.co/org/name:Q8_0"])
    hub = home / ".cache/huggingface/hub/models--new--repo"
    (hub / "blobs").mkdir(parents=True)
    (hub / "blobs/b1").write_bytes(gguf(seed=b"n"))
    (hub / "snapshots/r1").mkdir(parents=True)
    (hub / "snapshots/r1/w-Q4_0.gguf").symlink_to("../../blobs/b1")
    (hub / "refs").mkdir()
    (hub / "refs/main").write_text("r1")
    await_names(daemon, ["hf.co/new/repo:Q4_0", "hf.co/org/name:Q8_0"])


def test_a_file_that_grows_is_cut_until_it_is_whole(daemon, tmp_path):
    tensors = [("token_embd.weight", (64, 100))]
    data = gguf(tensors=tensors)
    folder = tmp_path / "home/.lmstudio/models/maker/slow"
    folder.mkdir(parents=True)

    def said():
        return daemon.post("/api/chat", {"model": "maker/slow:Q4_0", "messages": [{"role": "user", "content": "x"}]}).text
    with open(folder / "slow-Q4_0.gguf", "wb", buffering=0) as f:
        f.write(data[:-10])
        await_names(daemon, ["maker/slow:Q4_0"])
        eventually(lambda: "is cut" in said(), 20, "its problem")
        f.write(data[-10:])
    eventually(lambda: "is cut" not in said(), 20, "no problem")


def test_a_reload_stops_and_starts_it(daemon, tmp_path):
    engine = {"enabled": True, "binary": "/bin/false"}
    daemon.reload({"engine": engine, "store": {"found": False}})
    others(tmp_path / "home")
    assert names(daemon) == []
    daemon.reload({"engine": engine})
    assert names(daemon) == FOUND
    (tmp_path / "home/.lmstudio/models/maker/Thing-GGUF/Thing-Q4_K_M.gguf").unlink()
    await_names(daemon, {*FOUND} - {"maker/Thing-GGUF:Q4_K_M"})
