# SPDX-License-Identifier: Apache-2.0
"""--help, the man page and the completions name the same commands and options: what one of them says, all say. The
completions are printed by the program; bash, zsh and fish are asked what they make of them, where they are there."""
import json
import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from conftest import BIN, REPO, free_port

COMMANDS = ("serve", "run", "chat", "launch", "pull", "show", "create", "cp", "rm", "ps", "list", "endpoints", "why", "log",
            "spend", "runs", "key", "catalogue", "audit", "privacy", "stop", "check", "reload", "sim", "version", "help")
MAN = (REPO / "docs/gridtie.1").read_text()
BASH, ZSH, FISH = (subprocess.run([BIN, "completion", shell], capture_output=True, text=True, check=True).stdout
                   for shell in ("bash", "zsh", "fish"))
OPTION = re.compile(r"--([a-z][a-z-]*)")


def options_of_help(home, command):
    done = home(command, "--help")
    assert done.returncode == 0 and done.stdout.startswith(f"usage: gridtie {command}")
    if command == "sim":  # has a parser of its own
        return set(OPTION.findall(done.stdout)) | {"help"}
    listed = done.stdout.split("\noptions:\n")[1].split("\nexamples:\n")[0]
    return {OPTION.search(line).group(1) for line in listed.splitlines() if line.strip()}


def options_of_man(command):
    section = re.search(rf"^\.SS gridtie {command}\b.*?(?=^\.S[SH] )", MAN, re.M | re.S).group(0)
    heads = "\n".join(line for line in re.sub(r"\\-", "-", section).splitlines()
                      if re.match(r'\.(B|BR|BI) ("--|--|-\w)', line))
    return set(OPTION.findall(heads)) | {"help"}


def bash_completes(line, env=None):
    """What bash offers at the end of this line."""
    script = BASH + '\nCOMP_LINE=$1 COMP_POINT=${#1}; _gridtie; printf "%s\\n" "${COMPREPLY[@]}"'
    done = subprocess.run(["bash", "-c", script, "-", line], capture_output=True, text=True, check=True, env=env)
    assert not done.stderr
    return done.stdout.split()


def options_of_bash(command):
    return set(OPTION.findall("\n".join(bash_completes(f"gridtie {command} --"))))


def options_of_fish(command):
    return set(re.findall(rf"__fish_seen_subcommand_from {command}' -l ([a-z-]+)", FISH))


def options_of_zsh(command):
    part = re.search(rf"^        {command}\)\n(.*?);;", ZSH, re.M | re.S).group(1)
    return set(re.findall(r"'\*?--([a-z-]+)\[", part))


def test_overview_lists_the_commands(home):
    for args in (("--help",), ("-h",), ("help",), ()):
        done = home(*args)
        assert done.returncode == 0
        listed = done.stdout.split("commands:\n")[1].split("\nexamples:")[0]
        assert tuple(re.findall(r"^  ([a-z]+) ", listed, re.M)) == COMMANDS


@pytest.mark.parametrize("command", COMMANDS)
def test_options_are_the_same_everywhere(home, command):
    options = options_of_help(home, command)
    assert options_of_man(command) == options
    assert options_of_bash(command) == options
    assert options_of_fish(command) == options
    assert options_of_zsh(command) == options


@pytest.mark.parametrize("command", [c for c in COMMANDS if c != "sim"])
def test_help_has_two_examples(home, command):
    text = home("help", command).stdout
    assert text == home(command, "--help").stdout == home(command, "-h").stdout
    examples = text.split("\nexamples:\n")[1].splitlines()
    assert len(examples) == 2 and all(line.startswith("  gridtie ") for line in examples)


def test_commands_are_the_same_everywhere():
    assert tuple(re.findall(r"^\.SS gridtie ([a-z]+)", MAN, re.M)) == COMMANDS
    assert tuple(re.findall(r"__fish_use_subcommand -a ([a-z]+)", FISH)) == COMMANDS
    assert tuple(re.findall(r"^        ([a-z]+)\)$", ZSH, re.M)) == COMMANDS
    assert tuple(w for w in bash_completes("gridtie ") if w != "--help") == COMMANDS


# ---- the shells


@pytest.fixture
def names(home, tmp_path):
    """An environment whose `gridtie` knows three models, of which one has no name that may stand on a command line."""
    folder = tmp_path / "bin"
    folder.mkdir()
    (folder / "gridtie").write_text(f"#!/bin/sh\nexec {BIN} \"$@\"\n")
    (folder / "gridtie").chmod(0o755)
    home.port = free_port()
    far = {"name": "far", "provider": "openai", "url": "http://127.0.0.1:1/v1", "key": "k", "zone": "cloud", "models": ["m:1", "m:2", "$(touch x)"]}
    home.write_config(json.dumps({"listen": f"127.0.0.1:{home.port}", "engine": {"enabled": False}, "discovery": False, "endpoints": [far]}))
    assert home("serve", "--daemon").returncode == 0
    yield {**home.env, "PATH": f"{folder}:{os.environ['PATH']}", "GRIDTIE_URL": f"http://127.0.0.1:{home.port}"}
    home("stop", "--daemon")


def test_names_of_models_are_those_that_may_stand_on_a_line(home, names):
    done = home("completion", "models")
    assert done.returncode == 0 and done.stdout.split("\n") == ["far/m:1", "far/m:2", ""]
    home("stop", "--daemon")
    done = home("completion", "models")
    assert done.stdout == ""


def test_bash_completes_words_in_their_place(names):
    def at(line):
        return bash_completes(line, names)
    assert at("gridtie run far/m") == at("gridtie run --system x far/m") == ["far/m:1", "far/m:2"]
    assert at("gridtie run far/m:") == ["1", "2"], "a colon ends a word for readline"
    assert at("gridtie rm a b fa") == at("gridtie launch --model fa") == ["far/m:1", "far/m:2"]
    assert at("gridtie run far/m:1 fa") == [], "that is the prompt"
    assert at("gridtie key ") == ["add", "list", "revoke"] and at("gridtie key add ") == []
    assert at("gridtie log --status ") == ["ok", "failed"]
    assert at("gridtie spend --by m") == ["model"] and at("gridtie li") == ["list"]
    assert set(at("gridtie pull ")) >= {"smollm2:135m", "hf.co/"} and "verify" in at("gridtie audit v")


def test_bash_completes_files(names, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("some-file").write_text("")
    for line in ("gridtie check some", "gridtie create x -f some", "gridtie privacy scan some", "gridtie pull some"):
        assert bash_completes(line, names) == ["some-file"], line


@pytest.mark.skipif(not shutil.which("fish"), reason="no fish")
def test_fish_completes(names):
    def at(line):
        done = subprocess.run(["fish", "--no-config", "-c", FISH + f"\ncomplete -C '{line}'"], capture_output=True, text=True, env=names)
        assert done.returncode == 0 and not done.stderr, done.stderr
        return [row.split("\t")[0] for row in done.stdout.splitlines()]
    assert at("gridtie li") == ["list"] and at("gridtie run far/m") == ["far/m:1", "far/m:2"]
    assert at("gridtie log --status o") == ["ok"] and set(at("gridtie show --")) == {"--verbose", "--modelfile", "--json", "--url", "--key-file", "--help"}
    assert set(at("gridtie key ")) == {"add", "list", "revoke"}


@pytest.mark.skipif(not shutil.which("zsh"), reason="no zsh")
def test_zsh_completes(names, tmp_path):
    """In a terminal of its own: zsh's completion works nowhere else."""
    functions = tmp_path / "functions"
    functions.mkdir()
    (functions / "_gridtie").write_text(ZSH)
    (tmp_path / "driver").write_text(
        "zmodload zsh/zpty\nzpty z \"zsh -f -i\"\n"
        f"zpty -w z 'PS1=; fpath=({functions} $fpath); autoload -U compinit; compinit -u -D; LISTMAX=0; zstyle \":completion:*\" menu no; stty -echo'\n"
        'zpty -w z "echo rea""dy"\nzpty -r z seen "*ready*"\n'
        "zpty -w -n z \"$1\"$'\\t\\t'\nzpty -r z seen \"*$2*\"\nprint -r -- $seen\n")

    def at(line, until):
        """What is written behind a line and two tabs, until this is."""
        return subprocess.run(["zsh", "-f", tmp_path / "driver", line, until], capture_output=True, text=True, timeout=60,
                              env={**names, "TERM": "dumb"}).stdout
    text = at("gridtie run far/m", "far/m:2")
    assert "far/m:1" in text and "touch" not in text, text
    assert "--modelfile" in at("gridtie show --mod", "--modelfile")
    assert "failed" in at("gridtie log --status ", "ok")
