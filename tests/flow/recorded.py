# SPDX-License-Identifier: Apache-2.0
"""Recorded answers of all providers (../shared/vectors), as bodies that a scripted provider says again."""
import json
import os
from pathlib import Path

VECTORS = Path(os.environ.get("GRIDTIE_SHARED", "../shared"), "vectors")
FOLDERS = {"anthropic": "anthropic", "gemini": "google", "openai": "openai-compatible", "responses": "openai"}
BROKEN = {"parallel-tool-call-wrapper.1",  # a line of it is no JSON
          "spliced-message-start"}  # two streams in one, a call of the first stays without its end
NO_CHATS = {"interactions", "speech-translation"}  # folders


def files_of(upstream, pattern):
    return sorted((VECTORS / "vercel+ai/packages" / FOLDERS[upstream] / "src").rglob(pattern))


def recorded_streams(upstream):
    """(path, body) of each."""
    for path in files_of(upstream, "*.chunks.txt"):
        if path.name.removesuffix(".chunks.txt") in BROKEN:
            continue
        lines = [line for line in path.read_text().split("\n") if line.strip()]
        first = json.loads(lines[0])
        chat_kind = first.get("object") == "chat.completion.chunk"
        if upstream == "responses" and not first.get("type") or "error" in path.name:
            continue
        if chat_kind == (upstream == "openai") and not NO_CHATS & set(path.parts):
            yield path, "".join(f"data: {line}\n\n" for line in lines) + ("data: [DONE]\n\n" if chat_kind else "")


def recorded_answers(upstream):
    """(path, body) of each that is no stream."""
    marks = {"anthropic": ("type", "message"), "openai": ("object", "chat.completion"), "responses": ("object", "response")}
    for path in files_of(upstream, "*.json"):
        j = json.loads(path.read_text())
        if not isinstance(j, dict) or NO_CHATS & set(path.parts):
            continue
        name, value = marks.get(upstream, ("candidates", None))
        if name in j and value in (None, j[name]):
            yield path, json.dumps(j)
