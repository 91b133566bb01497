# SPDX-License-Identifier: Apache-2.0
"""Fixtures: `sim` (a scripted provider), `sims` (more of them), `gridtie` (starts daemons; each is ended and looked at),
with 1 and with 4 loops. `three` is a daemon shared by a whole module: one endpoint per dialect on one provider."""
from pathlib import Path

import pytest

from harness import DIALECTS, Gridtie, Sim


def pytest_configure(config):
    config.addinivalue_line("markers", "tsan: also run against the ThreadSanitizer build")
    config.addinivalue_line("markers", "real: needs the real engine and its weights")


@pytest.fixture(params=[1, 4], ids=["1loop", "4loops"], scope="module")
def loops(request):
    return request.param


@pytest.fixture
def sims(tmp_path):
    """sims(*options) starts one more scripted provider."""
    started = []

    def start(*options):
        folder = tmp_path / f"sim{len(started)}"
        folder.mkdir()
        started.append(Sim(folder, *options))
        return started[-1]
    yield start
    for s in started:
        s.stop()


@pytest.fixture
def sim(sims):
    return sims()


@pytest.fixture
def gridtie(tmp_path, loops):
    """gridtie(config, **more) starts a daemon; at the end it must stop cleanly."""
    started = []

    def start(config, **more):
        folder = tmp_path / f"gridtie{len(started)}"
        folder.mkdir(exist_ok=True)
        daemon = Gridtie(folder, config, **{"loops": loops, **more})
        started.append(daemon)
        return daemon
    yield start
    for daemon in started:
        try:
            daemon.stop()
        finally:
            daemon.kill()


class Three:
    """A daemon with the endpoints openai, anthropic and ollama, all on one scripted provider."""

    def __init__(self, sim, daemon):
        self.sim, self.daemon = sim, daemon


def three_config(sim, **more):
    return {"endpoints": [sim.endpoint(d, d) for d in DIALECTS], **more}


@pytest.fixture(scope="module")
def three_of_module(tmp_path_factory, loops):
    folder = tmp_path_factory.mktemp("three")
    sim = Sim(folder)
    daemon = Gridtie(folder, three_config(sim), loops=loops)
    yield Three(sim, daemon)
    try:
        daemon.stop()
    finally:
        daemon.kill()
        sim.stop()


@pytest.fixture
def three(three_of_module):
    three_of_module.sim.reset()
    yield three_of_module
    daemon = three_of_module.daemon
    if daemon.process.poll() is not None:  # this test's doing; the next ones get a new one
        said = daemon.stderr[daemon.err_offset:]
        Path(daemon.err_path).write_text("")
        daemon.restart()
        pytest.fail("the daemon died:\n" + said[-6000:])
