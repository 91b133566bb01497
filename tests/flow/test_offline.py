# SPDX-License-Identifier: Apache-2.0
"""Offline, and requests whose reach is the device: no packet leaves, whatever fails. Told by the kernel, in a network namespace
without a route (islanded.py runs there)."""
import json
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).resolve().parent


def may_unshare():
    try:
        return subprocess.run(["unshare", "-rn", "true"], capture_output=True).returncode == 0
    except OSError:
        return False


@pytest.mark.skipif(not may_unshare(), reason="this system lets nobody make a network namespace")
def test_nothing_leaves_under_any_fault(tmp_path):
    done = subprocess.run(["unshare", "-rn", sys.executable, str(HERE / "islanded.py"), str(tmp_path)], cwd=HERE,
                          capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr[-3000:]
    out = json.loads(done.stdout)
    for name in ("offline", "reach"):
        assert out[name]["no_route"] == 0 and out[name]["strangers"] == [], (name, out)
        assert 0 < out[name]["answered"] < out[name]["asked"]
    assert out["free"]["no_route"] > 0, "what may leave tries to: else this test sees nothing"
