# SPDX-License-Identifier: Apache-2.0
"""What the checks in tools/ share: which C files there are, their text without comments and strings, their includes,
their functions, and running a compiler over each with results kept by content."""
import hashlib
import os
import re
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

REPO = Path(__file__).resolve().parent.parent
LIBRARIES = ("libuv", "libcurl", "yaml-0.1", "sqlite3", "libcrypto")
KEPT_S = 30 * 24 * 3600  # results that nobody asked for in so long are dropped


def files(*suffixes, under=("src", "tests", "bench")):
    """Paths relative to the repository, sorted."""
    found = []
    for top in under:
        for path in sorted((REPO / top).rglob("*")):
            if path.suffix in suffixes and path.is_file() and "__pycache__" not in path.parts:
                found.append(path.relative_to(REPO))
    return found


def read(path):
    return (REPO / path).read_text(encoding="utf-8", errors="replace")


_TOKEN = re.compile(r"/\*.*?\*/|//[^\n]*|\"(?:\\.|[^\"\\\n])*\"|'(?:\\.|[^'\\\n])*'", re.S)


def bare(text, keep_strings=False):
    """The text with comments blanked, and strings' contents too; offsets and lines stay as they were."""

    def blank(match):
        token = match.group(0)
        if token[0] in "\"'":
            return token if keep_strings else token[0] + re.sub(r"[^\n]", " ", token[1:-1]) + token[-1]
        return re.sub(r"[^\n]", " ", token)

    return _TOKEN.sub(blank, text)


_INCLUDE = re.compile(r'^[ \t]*#[ \t]*include[ \t]*"([^"]+)"', re.M)


def includes(text):
    """(line, name) of each #include "name"."""
    text = bare(text, keep_strings=True)
    return [(text.count("\n", 0, m.start()) + 1, m.group(1)) for m in _INCLUDE.finditer(text)]


def functions(text):
    """(name, first line, last line, body without comments and strings) of each function defined in the text."""
    code = re.sub(r"^[ \t]*#(?:\\\n|[^\n])*", lambda m: re.sub(r"[^\n]", " ", m.group(0)), bare(text), flags=re.M)
    found, depth, chunk, opened = [], 0, 0, None
    for match in re.finditer(r"[{};]", code):
        at, char = match.start(), match.group(0)
        if char == "{":
            if depth == 0:
                opened = (chunk, at)
            depth += 1
        elif char == "}" and depth > 0:
            depth -= 1
            if depth == 0:
                head = code[opened[0]:opened[1]]
                plain = re.sub(r"__attribute__\s*\(\((?:[^()]|\([^()]*\))*\)\)", "", head)
                name = re.search(r"(\w+)\s*\(", plain)
                if name and plain.rstrip().endswith(")") and "=" not in plain.split("(")[0]:
                    start = opened[0] + len(head) - len(head.lstrip())
                    found.append((name.group(1), code.count("\n", 0, start) + 1, code.count("\n", 0, at) + 1,
                                  code[opened[1]:at + 1]))
                chunk = at + 1
        elif char == ";" and depth == 0:
            chunk = at + 1
    return found


def _closure(path, seen):
    """Adds to `seen` the path and each project file that it includes, at any depth."""
    if path in seen:
        return
    seen.add(path)
    for _, name in includes(read(path)):
        for base in (Path("src"), Path("tests"), path.parent):
            if (REPO / base / name).is_file():
                _closure(base / name, seen)
                break


def _run(*command):
    return subprocess.run(command, cwd=REPO, check=True, capture_output=True, text=True).stdout


def warning_flags(clang):
    """Those of meson.build, so that gcc, clang and the checks look for the same things."""
    block = re.search(r"^warning_args = cc.get_supported_arguments\((.*?)\)$.*?^endif$", read("meson.build"), re.M | re.S)
    return re.findall(r"'(-W[^']+)'", block.group(0 if clang else 1))


def compiler_flags(clang=False):
    flags = ["-std=gnu17", "-D_GNU_SOURCE", "-Isrc", "-Itests", "-Ibuild/version", *warning_flags(clang)]
    flags += ["-isystem", _run("tools/setup", "--print", "yyjson").strip()]
    flags += ["-isystem", _run("tools/setup", "--print", "llhttp").strip() + "/include"]
    flags += [flag.replace("-I", "-isystem", 1) for flag in _run("pkg-config", "--cflags", *LIBRARIES).split()]
    version = read("tools/version.h.in").replace("@VCS_TAG@", "check")
    stamp = REPO / "build/version/version.h"
    stamp.parent.mkdir(parents=True, exist_ok=True)
    if not stamp.exists() or stamp.read_text() != version:
        stamp.write_text(version)
    return flags


def _kept(name):
    """Where results are kept: with the other things of tools/setup, so that a second clone has them too."""
    cache = os.environ.get("GRIDTIE_CACHE")
    if not cache:
        cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "gridtie"
    folder = Path(cache) / "check" / name
    folder.mkdir(parents=True, exist_ok=True)
    for stamp in folder.iterdir():
        if stamp.stat().st_mtime < time.time() - KEPT_S:
            stamp.unlink(missing_ok=True)
    return folder


def check_each(name, paths, command, configuration=""):
    """Runs command(path) → argv over each path, as many at once as there are processors, and prints what fails. A path
    that passed is not run again while these stay the same: its content and that of what it includes, the command, the
    tool's version, the libraries' versions and `configuration`. Returns how many failed."""
    kept = _kept(name)
    common = (configuration, _run(command(paths[0])[0], "--version"), _run("pkg-config", "--modversion", *LIBRARIES))

    def one(path):
        argv = command(path)
        seen = set()
        _closure(path, seen)
        key = hashlib.sha256(repr((argv, common)).encode())
        for each in sorted(seen):
            key.update(str(each).encode() + b"\0" + (REPO / each).read_bytes())
        stamp = kept / key.hexdigest()[:32]
        if stamp.exists():
            stamp.touch()
            return "kept"
        done = subprocess.run(argv, cwd=REPO, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        if done.returncode == 0:
            stamp.touch()
            return ""
        return f"{path}:\n{done.stdout}"

    unchanged = failed = 0
    with ThreadPoolExecutor(len(os.sched_getaffinity(0))) as pool:
        for out in pool.map(one, paths):
            unchanged += out == "kept"
            if out not in ("", "kept"):
                failed += 1
                print(out, flush=True)
    print(f"{name}: {len(paths)} files, {unchanged} unchanged since they passed, {failed} with findings")
    return failed


def finish(messages, name):
    """Prints messages and ends the program: 1 when there were any."""
    for message in messages:
        print(message)
    print(f"{name}: {len(messages)} findings" if messages else f"{name}: ok")
    sys.exit(1 if messages else 0)
