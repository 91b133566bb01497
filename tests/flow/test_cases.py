# SPDX-License-Identifier: Apache-2.0
"""Runs tests/cases/*.case against the daemon: one file shows and tests a whole exchange. Format of a file:

    What it shows, in a sentence or more.
    == config                      YAML; URL stands for the provider's address; left out: one endpoint per dialect
    == upstream lists              what its list of models says, which the daemon reads first
    == client METHOD PATH          the client's request: headers as `name: value`, an empty line, the body
    == upstream gets METHOD PATH   what the provider must have got: headers (those named), an empty line, the body.
                                   `{…}` in JSON strings and bodies is a wildcard; a JSON body is compared by value
    == upstream replies STATUS     headers, an empty line, the body. An option `cut: N` sends N bytes a write
                                   (every cut is tried when it is `cut: all`), `die: N` cuts the connection after N bytes
    == client gets STATUS          headers (those named), an empty line, the body, compared byte by byte with wildcards
                                   (\\r\\n counts as \\n)
    == ledger says                 YAML: members of what `why` tells, `drops` being a list of paths

A second `client METHOD PATH` begins a second exchange with the same daemon, and so on.
`\\n` at the end of a section's body is dropped once."""
import json
import re
from pathlib import Path

import pytest
import yaml

from harness import DIALECTS, eventually

CASES = sorted((Path(__file__).resolve().parent.parent / "cases").glob("*.case"))


def parse(path):
    """[(title words, headers, body)]"""
    parts = re.split(r"^== (.+)$", path.read_text(), flags=re.M)
    assert parts[0].strip(), f"{path.name}: say first what the case shows"
    sections = []
    for title, text in zip(parts[1::2], parts[2::2]):
        text = text.removeprefix("\n")
        headers, body = {}, text
        if not title.startswith(("config", "ledger", "upstream lists")):
            head, _, body = text.partition("\n\n") if not text.startswith("\n") else ("", "", text[1:])
            for line in head.splitlines():
                name, _, value = line.partition(":")
                headers[name.strip().lower()] = value.strip()
        sections.append((title.strip(), headers, body.rstrip("\n")))
    return sections


def pattern(text):
    return ".*?".join(re.escape(part) for part in text.split("{…}"))


def json_matches(want, got, where="$"):
    if isinstance(want, str) and "{…}" in want:
        assert isinstance(got, str) and re.fullmatch(pattern(want), got, re.S), f"{where}: {got!r} is not {want!r}"
    elif isinstance(want, dict):
        assert isinstance(got, dict), f"{where}: {got!r} is not {want!r}"
        got = {k: v for k, v in got.items() if k in want or v != {}}  # an empty object more says nothing
        assert sorted(want) == sorted(got), f"{where}: {got!r} is not {want!r}"
        for key, value in want.items():
            json_matches(value, got[key], f"{where}.{key}")
    elif isinstance(want, list):
        assert isinstance(got, list) and len(want) == len(got), f"{where}: {got!r} is not {want!r}"
        for i, value in enumerate(want):
            json_matches(value, got[i], f"{where}[{i}]")
    else:
        assert want == got and type(want) is type(got), f"{where}: {got!r} is not {want!r}"


def check_upstream(title, headers, body, got):
    method, path = title.removeprefix("upstream gets ").split()
    assert (got["method"], got["path"]) == (method, path)
    have = {k.lower(): v for k, v in got["headers"].items()}
    for name, value in headers.items():
        assert re.fullmatch(pattern(value), have.get(name, "")), f"upstream header {name}: {have.get(name)!r}"
    exact = "exact" in headers
    if body.startswith("{") and not exact:
        json_matches(json.loads(body), json.loads(got["body"]))
    else:
        assert got["body"] == body


def check_client(title, headers, body, reply):
    assert reply.status == int(title.split()[-1]), reply.text
    for name, value in headers.items():
        assert re.fullmatch(pattern(value), reply.headers.get(name, "")), f"header {name}: {reply.headers.get(name)!r}"
    got = reply.text.replace("\r\n", "\n").rstrip("\n")
    assert re.fullmatch(pattern(body), got, re.S), f"the client got\n{got}\nand not\n{body}"


def check_ledger(want, why):
    for name, value in want.items():
        if name == "drops":
            assert [d["path"] for d in why["drops"]] == value
        elif name == "attempts":
            for expected, at in zip(value, why["attempts"], strict=True):
                have = {k: {m: at[k][m] for m in v} if isinstance(v, dict) else at[k] for k, v in expected.items()}
                assert have == expected
        else:
            assert why[name] == value, f"ledger: {name} is {why[name]!r}"


def replies_of(sections):
    """Each way to play the provider's replies: with the cuts that the case asks for."""
    replies = [(t, h, b) for t, h, b in sections if t.startswith("upstream replies")]
    cuts = [-1]
    if any(h.get("cut") == "all" for _, h, _ in replies):
        cuts = [1, 2, 3, 5, 7, 16, 61, -1]
    for cut in cuts:
        orders = []
        for title, headers, body in replies:
            more = {k: v for k, v in headers.items() if k not in ("cut", "die", "content-type")}
            wanted = headers.get("cut", "-1")
            orders.append({"status": int(title.split()[-1]), "body": body + "\n" * headers.get("content-type", "").count("ndjson")
                           + "\n\n" * headers.get("content-type", "").count("event-stream"),
                           "content_type": headers.get("content-type", "application/json"), "headers": more,
                           "split": cut if wanted == "all" else int(wanted),
                           "cut_after_bytes": int(headers.get("die", -1))})
        yield orders


def exchanges_of(sections):
    """The sections from each request of a client to the next."""
    found = []
    for section in sections:
        if section[0].startswith("client ") and not section[0].startswith("client gets"):
            found.append([])
        if found:
            found[-1].append(section)
    return found


def run_exchange(sim, daemon, sections):
    for orders in replies_of(sections):
        sim.reset()
        sim.script(orders)
        title, headers, body = sections[0]
        _, method, where = title.split()
        reply = daemon.call(method, where, body, headers)
        got = sim.requests()
        wanted = [s for s in sections if s[0].startswith("upstream gets")]
        assert len(got) == len(wanted) or not wanted and not orders, [g["path"] for g in got]
        for section, request in zip(wanted, got):
            check_upstream(*section, request)
        for section in sections:
            if section[0].startswith("client gets"):
                check_client(*section, reply)
            if section[0] == "ledger says":
                check_ledger(yaml.safe_load(section[2]), daemon.why(reply))


def run_case(sim, gridtie, path):
    sections = parse(path)
    config = next((yaml.safe_load(b.replace("URL", sim.url)) for t, _, b in sections if t == "config"),
                  {"endpoints": [sim.endpoint(d, d) for d in DIALECTS]})
    lists = [body for title, _, body in sections if title == "upstream lists"]
    if lists:
        assert sim.post("/sim/models", {"list": lists[0]}).status == 200
    daemon = gridtie(config)
    if lists:
        eventually(lambda: not any(e["any_model"] for e in daemon.get("/gridtie/v1/endpoints").json["endpoints"]), 10, "the list")
    for exchange in exchanges_of(sections):
        run_exchange(sim, daemon, exchange)


@pytest.mark.parametrize("path", CASES, ids=lambda p: p.stem)
def test_case(sim, gridtie, path):
    run_case(sim, gridtie, path)
