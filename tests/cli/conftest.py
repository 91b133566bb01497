# SPDX-License-Identifier: Apache-2.0
"""What the command line's tests stand on: the program, in a home of its own, and a daemon before a scripted provider."""
import os
import re
import socket
import subprocess
from pathlib import Path

import pytest

REPO = Path(__file__).resolve().parent.parent.parent
BIN = os.environ.get("GRIDTIE_BIN", str(REPO / "build/debug/gridtie"))
SANITIZER = re.compile(r"Sanitizer|runtime error:")


class Home:
    """A user's home: no config, no state, no keys, until a test puts them there."""

    def __init__(self, folder):
        self.folder = folder
        keep = {k: v for k, v in os.environ.items() if k in ("PATH", "ASAN_OPTIONS", "UBSAN_OPTIONS", "LANG")}
        for name in ("config", "data", "run"):
            (folder / name).mkdir()
        self.env = {**keep, "HOME": str(folder), "XDG_CONFIG_HOME": str(folder / "config"), "NO_PROXY": "*",
                    "XDG_DATA_HOME": str(folder / "data"), "XDG_RUNTIME_DIR": str(folder / "run")}
        self.config = folder / "config/gridtie/gridtie.yaml"

    def write_config(self, text):
        self.config.parent.mkdir(exist_ok=True)
        self.config.write_text(text)

    def __call__(self, *args, stdin="", **env):
        """Runs `gridtie ARGS`; the sanitizers must have nothing to say."""
        done = subprocess.run([BIN, *map(str, args)], env={**self.env, **env}, input=stdin, capture_output=True,
                              text=True, timeout=120, cwd=self.folder)
        assert not SANITIZER.search(done.stderr), done.stderr
        return done


@pytest.fixture
def home(tmp_path):
    folder = tmp_path / "home"
    folder.mkdir()
    return Home(folder)


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


@pytest.fixture
def sim(home, request):
    """The URL of a scripted provider with the model `m`; a parameter is more options."""
    process = subprocess.Popen([BIN, "sim", "--models", "m", *getattr(request, "param", ())], env=home.env, stdout=subprocess.PIPE, text=True)
    line = process.stdout.readline()
    yield line.split()[-1]
    process.kill()
    process.wait()


@pytest.fixture
def configured(home, sim):
    """A home whose config names the provider; the daemon, if a test starts one, is ended afterwards."""
    home.port = free_port()
    home.write_config(f"listen: 127.0.0.1:{home.port}\nengine: {{enabled: false}}\ndiscovery: off\n"
                      f"endpoints:\n  - {{name: sim, provider: openai, url: \"{sim}/v1\", key: k, zone: cloud, models: [m]}}\n"
                      "catalogue: {models: [{name: sim/m, input: 1 USD/M, output: 2 USD/M}]}\n")
    yield home
    home("stop", "--daemon")
