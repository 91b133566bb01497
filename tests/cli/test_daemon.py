# SPDX-License-Identifier: Apache-2.0
"""The command line with a daemon before a scripted provider."""
import json
import signal
import subprocess
import time

import pytest

from conftest import BIN


def test_run_starts_the_daemon_and_prints_the_answer(configured):
    done = configured("run", "sim/m", "hello", "there")
    assert done.returncode == 0, done.stderr
    assert "starting the daemon" in done.stderr
    assert done.stdout.strip() and done.stdout.endswith("\n")
    again = configured("run", "sim/m", stdin="from a pipe\n")
    assert again.returncode == 0 and "starting" not in again.stderr and again.stdout == done.stdout
    assert configured("run", "sim/m").returncode == 2


def test_run_verbose_and_what_the_ledger_says(configured):
    done = configured("run", "sim/m", "hello", "--verbose", "--system", "be brief")
    assert done.returncode == 0, done.stderr
    for word in ("sim/m (cloud)", "first token", "tokens", "USD"):
        assert word in done.stderr
    why = configured("why")
    assert why.returncode == 0
    for word in ("sim/m", "settled", "why here", "openai chat", "to the first token"):
        assert word in why.stdout
    record = json.loads(configured("why", "last", "--json").stdout)
    assert record["target"] == "sim/m" and record["cost_picousd"] > 0
    assert list(record["steps"]) == ["read", "admit", "recall", "label", "decide", "forward", "relay", "settle"]
    assert record["id"] in configured("why", record["id"]).stdout
    rows = json.loads(configured("log", "--json").stdout)["exchanges"]
    assert rows[0]["id"] == record["id"]
    assert record["id"] in configured("log", "--since", "1h", "--status", "ok").stdout
    assert "no request" in configured("log", "--status", "failed").stdout
    assert configured("why", "nosuchid").returncode == 1


def test_lists(configured):
    assert configured("serve", "--daemon").returncode == 0
    assert configured("serve", "--daemon").returncode == 1
    table = configured("list").stdout
    assert "sim/m" in table and "cloud" in table and "\033" not in table
    assert any(m["name"] == "sim/m" for m in json.loads(configured("list", "--json").stdout)["models"])
    assert "sim" in configured("endpoints").stdout
    assert json.loads(configured("endpoints", "--json").stdout)["endpoints"]
    assert "no model is in memory" in configured("ps").stdout
    ps = json.loads(configured("ps", "--json").stdout)
    assert ps["models"] == [] and ps["budget_bytes"] > 0


def test_run_says_what_is_wrong(configured):
    done = configured("run", "nosuchmodel", "hello")
    assert done.returncode == 1 and "gridtie list" in done.stderr and not done.stdout
    assert configured("stop", "nosuchmodel").returncode == 1


def test_reload(configured):
    assert configured("serve", "--daemon").returncode == 0
    assert configured("reload").stdout == "reloaded\n"
    good = configured.config.read_text()
    configured.config.write_text(good + "nonsense: 1\n")
    done = configured("reload")
    assert done.returncode == 1 and "nonsense" in done.stderr
    configured.config.write_text(good)


def test_stop_waits_until_the_daemon_is_gone(configured):
    assert configured("serve", "--daemon").returncode == 0
    done = configured("stop", "--daemon")
    assert done.returncode == 0 and done.stdout == "stopped\n"
    assert "gridtie serve" in configured("ps").stderr
    assert not list((configured.folder / "data/gridtie/journal").iterdir())


def test_another_program_at_the_port_is_not_taken_for_a_daemon(configured, sim):
    """The scripted provider answers HTTP there, but it is none of ours to talk to."""
    configured.write_config(f"listen: {sim.split('//')[1]}\nengine: {{enabled: false}}\n")
    done = configured("serve", "--daemon")
    assert done.returncode == 1 and "another program" in done.stderr and "running already" not in done.stderr
    done = configured("run", "m", "hello")
    assert done.returncode == 1 and "no gridtie daemon" in done.stderr


def test_key_is_shown(configured):
    (configured.folder / "key").write_text("a-key-that-is-long-enough\n")
    configured.config.write_text(configured.config.read_text() +
                                 f"keys: [{{name: me, secret_file: {configured.folder}/key}}]\n")
    assert configured("serve", "--daemon").returncode == 0
    assert configured("list").returncode == 0, "the daemon's own user has a key"
    done = configured("list", XDG_DATA_HOME=configured.folder / "elsewhere")
    assert done.returncode == 1 and "GRIDTIE_KEY" in done.stderr
    assert configured("list", GRIDTIE_KEY="wrong").returncode == 1
    assert configured("list", GRIDTIE_KEY="a-key-that-is-long-enough").returncode == 0
    assert configured("list", "--key-file", configured.folder / "key").returncode == 0
    configured.env["GRIDTIE_KEY"] = "a-key-that-is-long-enough"


@pytest.mark.parametrize("sim", [("--chunks", "400", "--chunk-ms", "50")], indirect=True)
def test_ctrl_c_stops_the_answer(configured):
    assert configured("serve", "--daemon").returncode == 0
    process = subprocess.Popen([BIN, "run", "sim/m", "hello"], env=configured.env, stdout=subprocess.PIPE,
                               stderr=subprocess.PIPE, stdin=subprocess.DEVNULL)
    process.stdout.read(1)
    started = time.monotonic()
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=20)
    assert time.monotonic() - started < 10
    assert process.returncode == 130
    for _ in range(100):
        done = configured("why", "--json")
        if done.returncode == 0:
            break
        time.sleep(0.05)
    assert json.loads(done.stdout)["err"] == "client_gone"
