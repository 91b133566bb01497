# SPDX-License-Identifier: Apache-2.0
"""Receipts: one for each attempt that left, written before its bytes did; and a proof that finds what was done to them."""
import hashlib
import json
import re
from pathlib import Path

import pytest

from harness import ask, eventually


def files_of(daemon):
    return sorted(Path(daemon.folder, "data/gridtie/receipts").glob("*.jsonl"))


def receipts(daemon):
    return [json.loads(line) for f in files_of(daemon) for line in f.read_text().splitlines()]


@pytest.fixture
def two(sims, gridtie):
    at = {z: sims() for z in ("device", "cloud")}
    return at, gridtie({"endpoints": [s.endpoint(z, zone=z) for z, s in at.items()],
                        "routes": {"r": ["cloud/m", "device/m"]}, "keys": [{"name": "k", "secret": "the-key"}],
                        "loopback": "owner"})


def test_a_receipt_says_what_left_and_nothing_of_it(two):
    at, daemon = two
    ask(daemon, "openai", "device/m", "jane.doe@corp.com stays")
    assert not files_of(daemon), "what stays needs no receipt"
    reply, _ = ask(daemon, "openai", "cloud/m", "jane.doe@corp.com 078-05-1120 bob@x.org",
                   headers={"Authorization": "Bearer the-key"})
    [r] = receipts(daemon)
    up = at["cloud"].last()
    assert r["sha256"] == up["body_sha256"] == hashlib.sha256(up["body"].encode()).hexdigest()
    assert r["bytes"] == up["body_bytes"] and r["spans"] == {"email": 2, "us_ssn": 1}
    assert (r["zone"], r["target"], r["endpoint"], r["key"]) == ("cloud", "cloud/m", "cloud", "k")
    assert r["exchange"] == reply.headers["x-gridtie-id"] and r["rule"] == "personal: pseudonymised"
    assert not re.search("jane|078-05|bob", files_of(daemon)[0].read_text())


def test_each_attempt_has_one_also_when_it_fails(two):
    at, daemon = two
    at["cloud"].always(error="overloaded")
    for i in range(3):
        ask(daemon, "openai", "r", f"bob{i}@x.org")
    assert [(r["seq"], r["attempt"]) for r in receipts(daemon)] == [(1, 0), (2, 0), (3, 0)]
    assert len(at["cloud"].requests()) == 3
    listed = json.loads(daemon.cli("audit", "--json").stdout)["receipts"]
    assert listed == receipts(daemon)
    assert json.loads(daemon.cli("audit", "--json", "--zone", "edge").stdout)["receipts"] == []
    assert len(json.loads(daemon.cli("audit", "--json", "--since", "1h", "--limit", "2").stdout)["receipts"]) == 2
    assert "cloud/m" in daemon.cli("audit").stdout


def test_the_chain_goes_on_after_a_kill_and_a_torn_line(two):
    at, daemon = two
    for _ in range(3):
        ask(daemon, "openai", "cloud/m", "hello")
    daemon.kill()
    with open(files_of(daemon)[0], "ab") as f:
        f.write(b'{"seq":4,"prev":"')
    daemon.restart()
    ask(daemon, "openai", "cloud/m", "hello")
    rows = receipts(daemon)
    assert [r["seq"] for r in rows] == [1, 2, 3, 4, 5] and rows[3]["torn_bytes"] == 17
    assert len(at["cloud"].requests()) == 4
    assert daemon.cli("audit", "verify").returncode == 0


def changed(lines):
    lines[4] = lines[4].replace(b'"cloud"', b'"edge "')


def cut_out(lines):
    del lines[4]


def swapped(lines):
    lines[3], lines[4] = lines[4], lines[3]


def cut_end(lines):
    del lines[7:]


def forged(lines):
    """A line that was changed and hashed anew; the next one tells."""
    body = lines[4].split(b',"hash"')[0].replace(b'"k"', b'"q"').replace(b'"cloud/m"', b'"nowhere"')
    lines[4] = body + b',"hash":"' + hashlib.sha256(body).hexdigest().encode() + b'"}'


@pytest.mark.parametrize("harm", [changed, cut_out, swapped, cut_end, forged])
def test_the_proof_finds_what_was_done(two, harm):
    at, daemon = two
    for _ in range(10):
        ask(daemon, "openai", "cloud/m", "hello")
    head = daemon.cli("audit", "head").stdout.strip()
    eventually(lambda: Path(daemon.folder, "data/gridtie/receipts/head").exists()
               and Path(daemon.folder, "data/gridtie/receipts/head").read_text().strip() == head)
    good = daemon.cli("audit", "verify", head)
    assert good.returncode == 0 and "10 receipts" in good.stdout
    [file] = files_of(daemon)
    lines = file.read_bytes().splitlines()
    harm(lines)
    file.write_bytes(b"".join(line + b"\n" for line in lines))
    for args in (("audit", "verify"), ("audit", "verify", head), ("audit", "verify", "--json")):
        done = daemon.cli(*args)
        assert done.returncode == 1 and "receipt" in done.stdout, done.stdout
    if harm is cut_end:  # without the noted head only a kept one tells
        Path(daemon.folder, "data/gridtie/receipts/head").unlink()
        assert daemon.cli("audit", "verify").returncode == 0
        assert daemon.cli("audit", "verify", head).returncode == 1


def test_a_full_disk_lets_nothing_out(sims, gridtie):
    sim = sims()
    daemon = gridtie({"endpoints": [sim.endpoint("o")]})
    ask(daemon, "openai", "o/m", "hello")
    [file] = files_of(daemon)
    # The writer holds the file; a limit on the size of files is what a full disk is to it.
    import resource
    resource.prlimit(daemon.pid, resource.RLIMIT_FSIZE, (file.stat().st_size + 20, resource.RLIM_INFINITY))
    reply, _ = ask(daemon, "openai", "o/m", "hello again")
    assert reply.status == 500 and len(sim.requests()) == 1
    resource.prlimit(daemon.pid, resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    assert ask(daemon, "openai", "o/m", "hello once more")[0].status == 200
    assert [r["seq"] for r in receipts(daemon)] == [1, 2] and daemon.cli("audit", "verify").returncode == 0


def test_scan_and_preview(two, tmp_path):
    _, daemon = two
    Path(daemon.folder, "x.txt").write_text("One\nMail jane.doe@corp.com\nDE89 3704 0044 0532 0130 00")
    scan = daemon.cli("privacy", "scan", "x.txt").stdout.splitlines()
    assert scan == ["x.txt:2:6: email jane.doe@corp.com", "x.txt:3:1: iban DE89 3704 0044 0532 0130 00"]
    preview = daemon.cli("privacy", "preview", "x.txt").stdout
    assert re.fullmatch(r"One\nMail \S+@example\.com\nDE\d\d 0000 [\d ]{14,17}", preview)
    Path(daemon.folder, "r.json").write_text('{"messages":[{"content":"jane.doe@corp.com","id":"4111111111111111"}]}')
    preview = daemon.cli("privacy", "preview", "r.json").stdout
    assert json.loads(preview)["messages"][0]["id"] == "4111111111111111" and "jane" not in preview
    assert daemon.cli("privacy", "scan", "missing.txt").returncode == 1
    assert daemon.cli("privacy", "frobnicate", "x.txt").returncode == 2
