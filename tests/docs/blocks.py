# SPDX-License-Identifier: Apache-2.0
"""The documentation as the tests see it: its files, their fenced blocks, their links and what they name.

A fence's first word is its language. `sh` and `python` are run, `yaml` is checked as a config; what can't be says so
behind it: "sh by hand: REASON". `text` is what a program printed, and is not compared (models differ)."""
import dataclasses
import re
from pathlib import Path

REPO = Path(__file__).resolve().parent.parent.parent
FILES = [REPO / "README.md", *sorted((REPO / "docs").glob("*.md"))]
LANGUAGES = {"sh", "python", "yaml", "json", "text", "ini"}
FENCE = re.compile(r"^```([^\n]*)\n(.*?)^```$", re.M | re.S)
BY_HAND = re.compile(r"by hand: \w+.*")


@dataclasses.dataclass
class Block:
    path: Path
    line: int
    info: str
    text: str

    @property
    def language(self):
        return self.info.split(" ")[0]

    @property
    def by_hand(self):
        return " " in self.info

    @property
    def place(self):
        return f"{self.path.relative_to(REPO)}:{self.line}"


def blocks_of(path):
    text = path.read_text()
    return [Block(path, text.count("\n", 0, m.start()) + 1, m[1].strip(), m[2]) for m in FENCE.finditer(text)]


BLOCKS = [block for path in FILES for block in blocks_of(path)]


def in_language(*names):
    return [b for b in BLOCKS if b.language in names and not b.by_hand]
