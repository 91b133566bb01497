# SPDX-License-Identifier: Apache-2.0
"""The official SDKs against the daemon, with a scripted provider of each dialect behind it. Uses the harness of
tests/flow. GRIDTIE_SDK_DIRECT=1 points the SDKs straight at the provider, to test the tests."""
import os
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "flow"))

from harness import DIALECTS, Gridtie, Sim  # noqa: E402
from node_process import KEY, Node  # noqa: E402

DIRECT = bool(os.environ.get("GRIDTIE_SDK_DIRECT"))


def pytest_configure(config):
    config.addinivalue_line("markers", "real: needs the real engine and its weights")


@pytest.fixture(scope="session")
def provider(tmp_path_factory):
    sim = Sim(tmp_path_factory.mktemp("sim"))
    yield sim
    sim.stop()


@pytest.fixture(scope="session")
def gate(provider, tmp_path_factory):
    """What the SDKs talk to."""
    if DIRECT:
        yield provider
        return
    dead = {"name": "dead", "provider": "openai", "url": "http://127.0.0.1:9/v1", "models": ["m"], "zone": "cloud"}
    config = {"endpoints": [*(provider.endpoint(d, d) for d in DIALECTS), dead], "keys": [{"name": "sdk", "secret": KEY}]}
    daemon = Gridtie(tmp_path_factory.mktemp("gridtie"), config, loops=2)
    yield daemon
    try:
        daemon.stop()
    finally:
        daemon.kill()


@pytest.fixture(params=["openai"] if DIRECT else DIALECTS)
def model(request, provider):
    """endpoint/model of each upstream dialect."""
    provider.reset()
    return "m" if DIRECT else f"{request.param}/m"


@pytest.fixture(scope="module")
def node(tmp_path_factory):
    made = Node(tmp_path_factory.mktemp("node"))
    yield made
    made.process.stdin.close()
    assert made.process.wait(20) == 0, made.err_path.read_text()


@pytest.fixture(scope="session")
def engine(tmp_path_factory):
    """The daemon with the real engine: local/smollm2:135m."""
    server, weights = os.environ.get("GRIDTIE_LLAMA_SERVER", ""), os.environ.get("GRIDTIE_SMOLLM2", "")
    if not os.access(server, os.X_OK) or not os.path.exists(weights):
        pytest.skip("no llama-server or no weights: tools/setup engine")
    config = {"engine": {"enabled": True, "binary": server, "context": 2048, "threads": 2,
                         "models": [{"name": "smollm2:135m", "file": weights}]}}
    daemon = Gridtie(tmp_path_factory.mktemp("engine"), config, loops=1)
    yield daemon
    try:
        daemon.stop()
    finally:
        daemon.kill()
