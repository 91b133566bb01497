# SPDX-License-Identifier: Apache-2.0
"""What the documentation says is there: configs are accepted, links lead somewhere, commands, options, targets of make,
variables, headers and metrics exist. Needs the program, and nothing of Python but pytest: `make check` runs it too."""
import json
import os
import re
import subprocess

import pytest

from blocks import BLOCKS, BY_HAND, FILES, LANGUAGES, REPO, in_language

BIN = os.environ.get("GRIDTIE_BIN", str(REPO / "build/debug/gridtie"))
TEXT = {path: path.read_text() for path in FILES}


def gridtie(*args, **env):
    return subprocess.run([BIN, *args], capture_output=True, text=True, timeout=60, stdin=subprocess.DEVNULL,
                          env={"PATH": os.environ["PATH"], **env})


def sources(*patterns):
    return "\n".join(p.read_text(errors="replace") for pattern in patterns for p in REPO.glob(pattern) if p.is_file())


def by_file(found):
    """Names per file → a list of "file: name" for messages."""
    return sorted({f"{path.relative_to(REPO)}: {name}" for path, names in found for name in names})


@pytest.mark.parametrize("block", BLOCKS, ids=lambda b: b.place)
def test_a_block_says_what_it_is(block):
    assert block.language in LANGUAGES
    rest = block.info[len(block.language):].strip()
    assert not rest or BY_HAND.fullmatch(rest), "write: by hand: REASON"


def test_no_fence_is_left_open():
    for path, text in TEXT.items():
        assert len(re.findall(r"^```", text, re.M)) == 2 * sum(b.path == path for b in BLOCKS), path


@pytest.mark.parametrize("block", in_language("yaml"), ids=lambda b: b.place)
def test_a_config_is_accepted(block, tmp_path):
    config = tmp_path / "gridtie.yaml"
    config.write_text(block.text)
    for name in re.findall(r"\b(?:key_file|secret_file|ca_file|file):\s*([^\s,}]+)", block.text):
        assert not name.startswith("/"), "a path that a test can't make; write it relative, or from ~/"
        file = tmp_path / name.removeprefix("~/")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text("secret\n")
        file.chmod(0o600)
    variables = {name: "sk-of-a-test" for name in re.findall(r"\$\{(\w+)\}", block.text)}
    done = gridtie("check", str(config), HOME=str(tmp_path), **variables)
    assert done.returncode == 0, done.stderr


def test_the_reference_is_what_the_program_prints():
    assert gridtie("check", "--reference").stdout == (REPO / "docs/configuration.md").read_text()


def anchors(text):
    heads = re.findall(r"^#+ (.+)$", re.sub(r"^```.*?^```$", "", text, flags=re.M | re.S), re.M)
    return {re.sub(r"[^\w\- ]", "", head.lower()).replace(" ", "-") for head in heads}


def test_links_lead_somewhere():
    for path, text in TEXT.items():
        for link in re.findall(r"\]\(([^)\s]+)\)", text):
            assert "://" not in link, f"{path}: {link}: a link to the outside can't be held true"
            name, _, anchor = link.partition("#")
            target = (path.parent / name).resolve() if name else path
            assert target.exists(), f"{path}: {link}"
            if anchor:
                assert anchor in anchors(target.read_text()), f"{path}: {link}"


def test_every_page_can_be_found():
    linked = {link.split("#")[0].split("/")[-1] for text in TEXT.values() for link in re.findall(r"\]\(([^)\s]+)\)", text)}
    assert not [path.name for path in FILES[1:] if path.name not in linked]


def code_of(text):
    """Blocks and spans, without a shell's comments."""
    code = "\n".join(m[0].strip("`") for m in re.finditer(r"^```.*?^```$|`[^`\n]+`", text, re.M | re.S))
    return re.sub(r"\s#\s.*", "", code)


def commands_named(text):
    """(command, options) of each call of the program in code."""
    call = re.compile(r"(?:^|[\s(|;])(?:build/)?gridtie ([a-z][a-z-]*)((?:[^\n`|;&<>\\]|\\\n)*)", re.M)
    for match in call.finditer(code_of(text)):
        yield match[1], re.findall(r"(?<=\s)--([a-z][a-z-]*)", match[2])


def test_commands_and_options_exist():
    helps = {}
    for path, text in TEXT.items():
        for command, options in commands_named(text):
            if command not in helps:
                done = gridtie(command, "--help")
                assert done.returncode == 0, f"{path}: gridtie {command}"
                helps[command] = set(re.findall(r"--([a-z][a-z-]*)", done.stdout))
            unknown = set(options) - helps[command]
            assert not unknown, f"{path}: gridtie {command} has no --{' --'.join(unknown)}"


def test_targets_of_make_exist():
    rows = re.findall(r"^([a-z]+(?: [a-z]+)*):", (REPO / "Makefile").read_text(), re.M)
    known = {name for row in rows for name in row.split()}
    named = [(path, re.findall(r"^\s*make ([a-z]+)", code_of(text), re.M)) for path, text in TEXT.items()]
    assert not by_file((path, set(names) - known) for path, names in named)


def test_names_exist():
    """Variables, headers and metrics that a page names stand in the sources."""
    code = sources("src/**/*.[ch]", "src/**/*.def", "tools/*", "Makefile")
    for pattern in (r"\bGRIDTIE_[A-Z_]+\b", r"\bx-gridtie-[a-z-]+\b", r"(?<![/\w.-])gridtie_[a-z_]+\b"):
        found = [(path, {n for n in re.findall(pattern, text) if n not in code}) for path, text in TEXT.items()]
        assert not by_file(found)


def test_files_that_are_named_exist():
    for path, text in TEXT.items():
        for name in re.findall(r"`((?:src|docs|tests|tools|share|bench)/[\w./-]+)`", text):
            assert (REPO / name).exists(), f"{path}: {name}"


def test_dependencies_are_all_listed():
    """What tools/setup installs and fetches stands in docs/DEPENDENCIES.md, with the version that is pinned."""
    page = TEXT[REPO / "docs/DEPENDENCIES.md"]
    body = re.search(r"^fetch_packages=\((.*?)\)$.*?^packages_of\(\) \{(.*?)^\}", (REPO / "tools/setup").read_text(),
                     re.M | re.S)
    rows = re.findall(r"echo ((?:[\w+. -]|\\\n)+)", body[2])
    packages = {word for row in [body[1], *rows] for word in row.replace("\\\n", " ").split()}
    assert len(packages) > 20 and not {p for p in packages if f"`{p}`" not in page}
    for line in (REPO / "tools/pins").read_text().splitlines():
        if line and not line.startswith("#"):
            name, _, package, version = [field.strip() for field in line.split("|")[:4]]
            assert version in page, f"{name}: {package} {version}"
    pinned = re.findall(r"^(\S+)==\S+$", (REPO / "tests/requirements.txt").read_text().split("# brought along")[0], re.M)
    pinned += json.loads((REPO / "tests/sdk/node/package.json").read_text())["dependencies"]
    assert not [name for name in pinned if name not in page]


def test_providers_are_all_listed():
    rows = re.findall(r'^PROVIDER\(\.name = "([^"]+)"', (REPO / "src/grid/providers.def").read_text(), re.M)
    page = TEXT[REPO / "docs/endpoints.md"]
    assert len(rows) > 5 and not [name for name in rows if f"| `{name}` |" not in page]


def test_versions_agree():
    version = re.search(r"^  version: '([^']+)'", (REPO / "meson.build").read_text(), re.M)[1]
    assert f'"{version}"' in (REPO / "tools/version.h.in").read_text()
    assert f"## {version}" in (REPO / "CHANGELOG.md").read_text()
    assert version in gridtie("version").stdout
