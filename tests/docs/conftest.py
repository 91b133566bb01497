# SPDX-License-Identifier: Apache-2.0
"""`reader`: somebody who follows the documentation, with a home of their own. `gridtie` is in their PATH, a daemon runs,
and a scripted provider stands in for the models that the pages name."""
import os
import subprocess
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "flow"))

CLOUD = ["llama-3.3-70b", "big", "small"]


class Reader:
    def __init__(self, folder, daemon):
        self.folder, self.daemon = folder, daemon
        self.env = dict(daemon.env, GRIDTIE_URL=daemon.url, PATH=f"{folder / 'bin'}:{os.environ['PATH']}")

    def follow(self, block):
        """Runs a block as it stands, but for the port; returns the finished process."""
        text = block.text.replace("127.0.0.1:11411", f"127.0.0.1:{self.daemon.port}")
        argv = {"sh": ["bash", "-euo", "pipefail", "-c"], "python": [sys.executable, "-c"]}[block.language]
        return subprocess.run([*argv, text], env=self.env, cwd=self.folder, capture_output=True, text=True, timeout=120,
                              stdin=subprocess.DEVNULL)


def config_of(sim):
    """What the pages assume: a small local model, a cloud with a few, and the route of the quick start."""
    local = sim.endpoint("home", "llama-server", models=["smollm2:135m"], zone="device")
    cloud = sim.endpoint("groq", models=CLOUD)
    prices = [{"name": f"groq/{m}", "input": "1 USD/M", "output": "2 USD/M"} for m in CLOUD]
    return {"loopback": "owner", "endpoints": [dict(local, url=sim.url + "/v1"), cloud], "catalogue": {"models": prices},
            "routes": {"coding": ["groq/llama-3.3-70b", "home/smollm2:135m"]}}


def home_made(folder):
    """With the program in PATH and where a build leaves it."""
    from harness import BIN  # here, since test_text.py runs also where its packages are not

    for place in (folder / "bin", folder / "build"):
        place.mkdir()
        (place / "gridtie").symlink_to(Path(BIN).resolve())
    return folder


def ended(daemon):
    try:
        daemon.stop()
    finally:
        daemon.kill()


@pytest.fixture(scope="module")
def reader(tmp_path_factory):
    from harness import Gridtie, Sim

    folder = home_made(tmp_path_factory.mktemp("reader"))
    sim = Sim(folder)
    daemon = Gridtie(folder, config_of(sim))
    yield Reader(folder, daemon)
    ended(daemon)
    sim.stop()


@pytest.fixture(scope="module")
def real_reader(tmp_path_factory):
    """The same before the real engine and its weights, as `make run` leaves it."""
    from harness import Gridtie

    server, weights = os.environ.get("GRIDTIE_LLAMA_SERVER", ""), os.environ.get("GRIDTIE_SMOLLM2", "")
    if not os.access(server, os.X_OK) or not os.path.exists(weights):
        pytest.skip("no llama-server or no weights: tools/setup engine")
    folder = home_made(tmp_path_factory.mktemp("real"))
    engine = {"enabled": True, "binary": server, "models": [{"name": "smollm2:135m", "file": weights}],
              "args": ["-n", "300"]}  # a small model may ramble until its context is full
    daemon = Gridtie(folder, {"engine": engine})
    yield Reader(folder, daemon)
    ended(daemon)
