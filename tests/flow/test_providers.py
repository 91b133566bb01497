# SPDX-License-Identifier: Apache-2.0
"""Each row of src/grid/providers.def against answers of the shape that its provider gives: src/grid/cases/PROVIDER/*.case
(format: tests/flow/test_cases.py). With one loop: what is shown here is in the row and the codec."""
import re

import pytest

from harness import REPO
from test_cases import run_case

FOLDER = REPO / "src/grid/cases"
CASES = sorted(FOLDER.glob("*/*.case"))
ROWS = re.findall(r'PROVIDER\(\.name = "([^"]+)"', (REPO / "src/grid/providers.def").read_text())


@pytest.fixture(scope="module")
def loops():
    return 1


@pytest.mark.parametrize("path", CASES, ids=lambda p: f"{p.parent.name}-{p.stem}")
def test_case(sim, gridtie, path):
    run_case(sim, gridtie, path)


def test_every_row_has_cases():
    have = {p.parent.name for p in CASES}
    assert set(ROWS) - have == {"openai-compatible"}, "what `openai` becomes at another host: its cases show it"
    assert have <= set(ROWS)
