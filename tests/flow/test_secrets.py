# SPDX-License-Identifier: Apache-2.0
"""The table of secrets against a public rule set that lies outside the tree: for each of its rules, texts that the rule
matches are made from its expression, and `gridtie privacy scan` must find most of what it calls the secret."""
import json
import os
import random
import re
import string
import tomllib
from pathlib import Path

import pytest

try:
    import re._parser as parser
except ImportError:  # before Python 3.11
    import sre_parse as parser

RULES = Path(os.environ.get("GRIDTIE_SHARED", "../shared"), "data/secrets/gitleaks.toml")
CLASSES = {"CATEGORY_DIGIT": string.digits, "CATEGORY_WORD": string.ascii_letters + string.digits + "_", "CATEGORY_SPACE": " "}
SAMPLES = 4


class Maker:
    """Random texts that an expression matches; look-arounds are left to chance, and the expression asked again."""

    def __init__(self, expression, seed):
        self.rng = random.Random(seed)
        expression = expression.replace("(?-i:", "(?:").replace("\\z", "$").replace("[[:alnum:]]", "[a-zA-Z0-9]")
        expression = ("(?i)" if "(?i)" in expression else "") + expression.replace("(?i)", "")
        self.expression, self.tree = re.compile(expression), parser.parse(expression)

    def one_of(self, items):
        chars, negated = "", False
        for op, value in items:
            negated |= str(op) == "NEGATE"
            if str(op) == "LITERAL":
                chars += chr(value)
            elif str(op) == "RANGE":
                chars += "".join(map(chr, range(value[0], min(value[1], 126) + 1)))
            elif str(op) == "CATEGORY":
                chars += CLASSES.get(str(value), "-")
        return self.rng.choice([c for c in CLASSES["CATEGORY_WORD"] if c not in chars] if negated else chars)

    def text(self, tree):
        out = ""
        for op, value in tree:
            op = str(op)
            if op == "LITERAL":
                out += chr(value)
            elif op in ("ANY", "NOT_LITERAL"):
                out += "." if op == "ANY" else "x"  # the dots of names of hosts, mostly
            elif op == "IN":
                out += self.one_of(value)
            elif op.endswith("_REPEAT"):
                low, high, what = value
                out += "".join(self.text(what) for _ in range(self.rng.randint(low, min(high, low + (4 if low < 8 else 0)))))
            elif op == "SUBPATTERN":
                out += self.text(value[-1])
            elif op == "BRANCH":
                out += self.text(self.rng.choice(value[1]))
        return out

    def sample(self, group):
        """(text, where the secret begins, where it ends)"""
        for _ in range(50):
            text = self.text(self.tree)
            m = self.expression.search(text)
            if m and "\n" not in text:
                return (text, *m.span(group or (1 if m.re.groups and m.group(1) else 0)))
        return None


def covered(found, begin, end):
    return sum(max(0, min(f["at"] + f["bytes"], end) - max(f["at"], begin)) for f in found)


@pytest.mark.skipif(not RULES.exists(), reason="the public rules are not there")
def test_what_public_rules_call_a_secret_is_found(gridtie, loops):
    if loops > 1:
        pytest.skip("one loop is enough")
    daemon = gridtie({"endpoints": []})
    whole, wanted, missed = "", [], {}
    for rule in tomllib.loads(RULES.read_text())["rules"]:
        for k in range(SAMPLES if "regex" in rule else 0):
            try:
                sample = Maker(rule["regex"], k).sample(rule.get("secretGroup"))
            except (re.error, IndexError):  # of another kind of expressions
                break
            if sample:
                text, begin, end = sample
                wanted.append((rule["id"], len(whole) + begin, len(whole) + end, text))
                whole += text + "\n\n"
    Path(daemon.folder, "secrets.txt").write_text(whole)
    found = [f for f in json.loads(daemon.cli("privacy", "scan", "--json", "secrets.txt").stdout)["found"]
             if f["entity"] in ("secret", "url_credential")]
    for rule, begin, end, text in wanted:
        if covered(found, begin, end) < 0.5 * (end - begin):
            missed.setdefault(rule, []).append(text)
    assert len(wanted) > 600
    share = 1 - sum(map(len, missed.values())) / len(wanted)
    assert share >= 0.94, f"{share:.3f}: {sorted(missed)}"
