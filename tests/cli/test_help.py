# SPDX-License-Identifier: Apache-2.0
"""--help, the man page and the completions name the same commands and options: what one of them says, all say."""
import re
import subprocess

import pytest

from conftest import REPO

COMMANDS = ("serve", "run", "chat", "launch", "pull", "show", "create", "cp", "rm", "ps", "list", "endpoints", "why", "log",
            "spend", "runs", "key", "catalogue", "audit", "privacy", "stop", "check", "reload", "sim", "version", "help")
MAN = (REPO / "docs/gridtie.1").read_text()
FISH = (REPO / "share/gridtie.fish").read_text()
ZSH = (REPO / "share/gridtie.zsh").read_text()
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


def options_of_bash(command):
    script = (f'source {REPO}/share/gridtie.bash; COMP_WORDS=(gridtie {command} --); COMP_CWORD=2; _gridtie; '
              'printf "%s\\n" "${COMPREPLY[@]}"')
    done = subprocess.run(["bash", "-c", script], capture_output=True, text=True, check=True)
    return set(OPTION.findall(done.stdout))


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
    script = (f'source {REPO}/share/gridtie.bash; COMP_WORDS=(gridtie ""); COMP_CWORD=1; _gridtie; '
              'printf "%s\\n" "${COMPREPLY[@]}"')
    done = subprocess.run(["bash", "-c", script], capture_output=True, text=True, check=True)
    assert tuple(w for w in done.stdout.split() if w != "--help") == COMMANDS
