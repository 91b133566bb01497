# SPDX-License-Identifier: Apache-2.0
"""Gaps that are known: each line of known_gaps.txt is a test that does not hold yet. It runs all the same; when it
passes it only counts as such. A gap that was closed is taken off the list."""
from pathlib import Path

import pytest

GAPS = {line.split("  #")[0].strip() for line in Path(__file__).with_name("known_gaps.txt").read_text().splitlines()
        if line.strip() and not line.startswith("#")}


def pytest_configure(config):
    config.addinivalue_line("markers", "tsan: also run against the ThreadSanitizer build")


def pytest_collection_modifyitems(items):
    for item in items:
        name = f"{Path(item.fspath).parent.name}/{item.nodeid.split('/')[-1]}"
        if name in GAPS or name.split("[")[0] in GAPS:
            item.add_marker(pytest.mark.xfail(reason="known gap", strict=False))
        if "!" + name in GAPS or "!" + name.split("[")[0] in GAPS:
            item.add_marker(pytest.mark.skip(reason="known gap, its daemon does not end well"))
