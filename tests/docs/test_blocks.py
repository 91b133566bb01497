# SPDX-License-Identifier: Apache-2.0
"""Every command and program that the documentation shows is run, in the order of its page, and must succeed; what it
asks a daemon for must have been answered."""
import re

import pytest

from blocks import REPO, in_language

SANITIZER = re.compile(r"Sanitizer|runtime error:")
REFUSED = re.compile(r'"error"\s*:\s*[{"]')


def follow(reader, block):
    done = reader.follow(block)
    said = f"{done.stdout}\n{done.stderr}"
    assert done.returncode == 0, said
    assert not SANITIZER.search(said), said
    assert not REFUSED.search(done.stdout), said


@pytest.mark.parametrize("block", in_language("sh", "python"), ids=lambda b: b.place)
def test_a_block_works(reader, block):
    follow(reader, block)


@pytest.mark.parametrize("block", [b for b in in_language("sh") if b.path == REPO / "README.md"], ids=lambda b: b.place)
def test_the_readme_works_with_the_real_engine(real_reader, block):
    follow(real_reader, block)
