# SPDX-License-Identifier: Apache-2.0
"""The command line without a daemon: errors that say what to do next, and the commands that need none."""
import json
import re

import pytest

from conftest import free_port

ASKING = ("ps", "list", "endpoints", "why", "log", "reload")


def test_unknown_command_names_the_nearest(home):
    done = home("lst")
    assert done.returncode == 2 and "did you mean 'list'" in done.stderr and not done.stdout
    done = home("xylophone")
    assert done.returncode == 2 and "gridtie help" in done.stderr
    assert home("help", "srve").returncode == 2


def test_unknown_option_names_the_nearest(home):
    done = home("ps", "--jsn")
    assert done.returncode == 2 and "did you mean '--json'" in done.stderr
    assert home("ps", "-z").returncode == 2
    assert home("log", "--limit").returncode == 2
    assert home("ps", "--json=yes").returncode == 2
    done = home("version", "extra")
    assert done.returncode == 2 and "'extra'" in done.stderr


def test_version(home):
    text = home("version").stdout
    assert re.fullmatch(r"gridtie \d+\.\d+\.\d+ \(\S+\)\n", text)
    assert home("--version").stdout == text
    assert set(json.loads(home("version", "--json").stdout)) == {"version", "commit"}


def test_check_takes_a_good_config(home):
    done = home("check")
    assert done.returncode == 0 and "defaults hold" in done.stdout
    home.write_config("listen: 127.0.0.1:11500\n")
    done = home("check")
    assert done.returncode == 0 and done.stdout == f"{home.config}: ok\n"


def test_check_lists_every_problem(home, tmp_path):
    bad = tmp_path / "bad.yaml"
    bad.write_text("lisen: 127.0.0.1:1\nengine: {memory: lots}\n")
    done = home("check", bad)
    assert done.returncode == 1 and not done.stdout
    assert f"{bad}:1:" in done.stderr and f"{bad}:2:" in done.stderr
    done = home("check", tmp_path / "none.yaml")
    assert done.returncode == 1 and "none.yaml" in done.stderr


def test_check_prints_the_reference(home):
    assert "| `listen` |" in home("check", "--reference").stdout


@pytest.mark.parametrize("command", ASKING)
def test_no_daemon_is_said_plainly(home, command):
    home.write_config(f"listen: 127.0.0.1:{free_port()}\n")
    done = home(command)
    assert done.returncode == 1 and "gridtie serve" in done.stderr and not done.stdout


def test_address_is_looked_for_in_order(home):
    a, b, c = free_port(), free_port(), free_port()
    home.write_config(f"listen: 127.0.0.1:{a}\n")
    assert f"127.0.0.1:{a}" in home("ps").stderr
    assert f"127.0.0.1:{b}" in home("ps", GRIDTIE_URL=f"http://127.0.0.1:{b}").stderr
    assert f"127.0.0.1:{c}" in home("ps", "--url", f"http://127.0.0.1:{c}", GRIDTIE_URL=f"http://127.0.0.1:{b}").stderr
    home.write_config(f"listen: unix:{home.folder}/s.sock\n")
    assert "s.sock" in home("ps").stderr
    assert home("ps", "--url", "ftp://x").returncode != 0


def test_a_named_daemon_is_not_started_for_the_user(home):
    done = home("run", "m", "hello", GRIDTIE_URL=f"http://127.0.0.1:{free_port()}")
    assert done.returncode == 1 and "is the address right" in done.stderr
    assert not list((home.folder / "data").iterdir())


def test_run_wants_a_model_and_a_prompt(home):
    assert home("run").returncode == 2
    assert home("stop").returncode == 2
    assert home("stop", "m", "--daemon").returncode == 2


def test_log_checks_its_filters(home):
    for args in (("--limit", "0"), ("--limit", "many"), ("--since", "yesterday"), ("--status", "good")):
        done = home("log", *args)
        assert done.returncode == 2 and args[0] in done.stderr


def test_key_file_must_be_there(home):
    done = home("ps", "--key-file", home.folder / "none")
    assert done.returncode == 1 and "can't be read" in done.stderr


def test_a_daemon_that_cannot_start_shows_its_log(home):
    home.write_config(f"listen: 127.0.0.1:{free_port()}\nnonsense: 1\n")
    # The daemon's own way out of a failed start does not free everything; that is not what is tested here.
    done = home("serve", "--daemon", ASAN_OPTIONS="detect_leaks=0")
    assert done.returncode == 1 and "nonsense" in done.stderr
