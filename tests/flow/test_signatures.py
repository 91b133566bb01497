# SPDX-License-Identifier: Apache-2.0
"""What providers sign comes back to them: recorded conversations with tools (../shared/vectors) are held again through
clients of every dialect, who keep their history as their SDKs do. The provider gets its signatures where it wants them, as
the recorded client sent them; another provider gets none of them."""
import json
import os
from pathlib import Path

import pytest
import yaml

from harness import DIALECTS, PATHS, SCHEMA, gemini_path, sse

VECTORS = Path(os.environ.get("GRIDTIE_SHARED", "../shared"), "vectors/pydantic+pydantic-ai")
RECORDED = {
    "gemini": ["test_google/test_google_streaming_tool_call_thought_signature", "test_google/test_google_model_retry",
               "test_google/test_google_prompted_output_with_tools", "test_google/test_google_text_output_function",
               "test_tool_choice_matrix/test_tool_choice_matrix[auto-google]",
               "test_tool_choice_matrix/test_tool_choice_matrix[tools_plus_output-google]"],
    "anthropic": ["test_anthropic/test_anthropic_tool_with_thinking"],
    "responses": ["test_tool_choice_matrix/test_tool_choice_matrix[auto-openai_responses]",
                  "test_tool_choice_matrix/test_tool_choice_matrix[tools_plus_output-openai_responses]",
                  "test_google/test_thinking_with_tool_calls_from_other_model"],
}
HOSTS = {"gemini": "googleapis.com", "anthropic": "api.anthropic.com", "responses": "api.openai.com"}
pytestmark = pytest.mark.skipif(not VECTORS.is_dir(), reason="no recorded payloads")
each = pytest.mark.parametrize("client", DIALECTS)
recorded = pytest.mark.parametrize("provider,name", [(p, n) for p, names in RECORDED.items() for n in names],
                                   ids=lambda v: v.split("/")[-1])


def load(provider, name):
    """[(request, answer's bytes, whether it is a stream)] of that provider."""
    turns = []
    for it in yaml.load((VECTORS / f"{name}.yaml").read_text(), Loader=yaml.CSafeLoader)["interactions"]:
        answer = it["response"].get("parsed_body")
        body = json.dumps(answer) if answer else it["response"]["body"]["string"]
        if HOSTS[provider] in it["request"]["uri"]:
            turns.append((it["request"].get("parsed_body") or it["request"]["body"], body, not answer))
    assert len(turns) >= 2
    return turns


# ---- the client: history as its SDK keeps it


def tool_list(client, names):
    if client == "gemini":
        return [{"functionDeclarations": [{"name": n, "parametersJsonSchema": SCHEMA} for n in names]}]
    if client == "anthropic":
        return [{"name": n, "input_schema": SCHEMA} for n in names]
    if client == "responses":
        return [{"type": "function", "name": n, "parameters": SCHEMA} for n in names]
    return [{"type": "function", "function": {"name": n, "parameters": SCHEMA}} for n in names]


def merged(deltas):
    """OpenAI's deltas as the message that they make."""
    m = {"role": "assistant", "content": None, "tool_calls": []}
    for d in deltas:
        if d.get("content"):
            m["content"] = (m["content"] or "") + d["content"]
        for c in d.get("tool_calls") or []:
            if c["index"] == len(m["tool_calls"]):
                m["tool_calls"].append({"id": c["id"], "type": "function", "function": {"name": "", "arguments": ""}})
            for k, v in c["function"].items():
                m["tool_calls"][c["index"]]["function"][k] += v or ""
    return m


def blocks_of(events):
    """Anthropic's events as the content that they make."""
    blocks = []
    for j in events:
        if j["type"] == "content_block_start":
            blocks.append(dict(j["content_block"], json=""))
        elif j["type"] == "content_block_delta":
            for k, v in j["delta"].items():
                if k == "partial_json":
                    blocks[-1]["json"] += v
                elif k != "type":
                    blocks[-1][k] = blocks[-1].get(k, "") + v
    for b in blocks:
        text = b.pop("json")
        if b["type"] == "tool_use":
            b["input"] = json.loads(text or "{}")
    return blocks


def turn_of(client, body, stream):
    """The assistant's turn in an answer, as it goes back."""
    if client == "ollama":
        lines = [json.loads(line)["message"] for line in body.splitlines()]
        calls = [c for m in lines for c in m.get("tool_calls", [])]
        return [{"role": "assistant", "content": "".join(m["content"] for m in lines), "tool_calls": calls}]
    events = [json.loads(d) for _, d in sse(body) if d != "[DONE]"] if stream else [json.loads(body)]
    if client == "gemini":
        return [{"role": "model", "parts": [p for j in events for c in j.get("candidates", []) for p in c["content"]["parts"]]}]
    if client == "responses":
        return events[-1]["response"]["output"] if stream else events[0]["output"]
    if client == "anthropic":
        return [{"role": "assistant", "content": blocks_of(events) if stream else events[0]["content"]}]
    if stream:
        return [merged([c["delta"] for j in events for c in j["choices"]])]
    message = events[0]["choices"][0]["message"]
    return [{k: v for k, v in message.items() if k in ("role", "content", "tool_calls")}]


def results_for(client, turn):
    """A result for each call of the turn."""
    if client == "gemini":
        parts = [{"functionResponse": {k: c[k] for k in ("id", "name") if k in c} | {"response": {"output": "12"}}}
                 for c in (p.get("functionCall") for p in turn[0]["parts"]) if c]
        return [{"role": "user", "parts": parts}] if parts else []
    if client == "anthropic":
        blocks = [{"type": "tool_result", "tool_use_id": b["id"], "content": "12"} for b in turn[0]["content"]
                  if b["type"] == "tool_use"]
        return [{"role": "user", "content": blocks}] if blocks else []
    if client == "responses":
        return [{"type": "function_call_output", "call_id": i["call_id"], "output": "12"}
                for i in turn if i["type"] == "function_call"]
    return [{"role": "tool", "tool_call_id": c["id"], "content": "12"} |
            ({"tool_name": c["function"]["name"]} if client == "ollama" else {}) for c in turn[0].get("tool_calls", [])]


class Talk:
    def __init__(self, client, tools, stream):
        self.client, self.tools, self.stream, self.headers = client, tools, stream, None
        self.turns = [{"role": "user", "parts": [{"text": "Go on."}]} if client == "gemini" else
                      {"role": "user", "content": "Go on."}]

    def say(self, daemon, upstream):
        """The next turn, by that upstream; its answer and the results of its calls join the history."""
        c, stream = self.client, self.stream
        body = {{"gemini": "contents", "responses": "input"}.get(c, "messages"): self.turns, "tools": tool_list(c, self.tools)}
        body |= {"gemini": {"generationConfig": {"thinkingConfig": {"includeThoughts": True, "thinkingLevel": "high"}}},
                 "responses": {"reasoning": {"effort": "high"}, "include": ["reasoning.encrypted_content"]},
                 "anthropic": {"max_tokens": 9000, "thinking": {"type": "enabled", "budget_tokens": 2048}},
                 "openai": {"reasoning_effort": "high"}, "ollama": {"think": True}}[c]
        if c != "gemini":
            body |= {"model": f"{upstream}/m", "stream": stream}
        reply = daemon.post(gemini_path(f"{upstream}/m", stream) if c == "gemini" else PATHS[c], body, self.headers)
        assert reply.status == 200, reply.text
        turn = turn_of(c, reply.body, stream)
        self.turns += turn + results_for(c, turn)
        return reply


# ---- the provider: what it wants back


def plain(signature):
    """In one of the two alphabets of base64, since bytes are what counts."""
    return signature.replace("-", "+").replace("_", "/").rstrip("=")


def native(provider, body):
    """[(the call it belongs to, what was thought, signature)] of a request."""
    found, thought = [], None
    if provider == "gemini":
        for part in (p for c in body["contents"] for p in c["parts"] if "functionCall" in p):
            signature = part.get("thoughtSignature", part.get("thought_signature"))
            found += [(part["functionCall"]["name"], None, plain(signature))] if signature else []
        return found
    if provider == "anthropic":
        items = [b for m in body["messages"] if m["role"] == "assistant" for b in m["content"]]
        keys = ("thinking", "thinking", "signature", "tool_use")
    else:
        items, keys = body["input"], ("reasoning", "summary", "encrypted_content", "function_call")
    for item in items:
        if item.get("type") == keys[0] and item.get(keys[2]):
            thought = item[keys[1]], plain(item[keys[2]])
        elif item.get("type") == keys[3]:
            found += [(item["name"], *thought)] if thought else []
            thought = None
    return found


def tools_in(turns):
    text = " ".join(body for _, body, _ in turns)
    names = {n for n in ("get_country", "get_capital", "get_user_country", "get_weather", "final_result", "get_location",
                         "get_temperature") if f'"{n}"' in text}
    assert names
    return sorted(names)


@pytest.mark.tsan
@recorded
@each
def test_signatures_come_back_to_their_provider(three, client, provider, name):
    turns = load(provider, name)
    talk = Talk(client, tools_in(turns), turns[0][2])
    for i, (request, body, stream) in enumerate(turns):
        three.sim.script([{"body": body, "content_type": "text/event-stream" if stream else "application/json"}])
        reply = talk.say(three.daemon, provider)
        sent, wanted = three.sim.last()["body"], native(provider, request)
        assert native(provider, json.loads(sent)) == wanted and bool(wanted) == (i > 0)
        assert "gtS1" not in sent, "what we packed is for us alone"
        assert not [d for d in three.daemon.why(reply)["drops"] if "signature" in d["path"].lower()]


@recorded
@each
@pytest.mark.parametrize("other", DIALECTS)
def test_another_provider_gets_no_signature(three, client, provider, name, other):
    if other == provider:
        return
    turns = load(provider, name)
    talk = Talk(client, tools_in(turns), turns[0][2])
    three.sim.script([{"body": turns[0][1], "content_type": "text/event-stream" if turns[0][2] else "application/json"}])
    talk.say(three.daemon, provider)
    three.sim.always(text="fine")
    reply = talk.say(three.daemon, other)
    sent = three.sim.last()["body"]
    signatures = [s for _, _, s in native(provider, turns[1][0])]
    assert signatures and not any(s[:40] in plain(sent) for s in signatures) and "gtS1" not in sent
    drops = three.daemon.why(reply)["drops"]
    assert any((d["action"], d["path"]) == ("dropped", "signature") for d in drops), drops
    assert sent.count('"12"') >= 1, "the result of the call did not travel"


# ---- turns without a call: no id to ride in


WORDS = {  # the provider's answer, with what it signed, and where it wants that back
    "anthropic": ({"type": "message", "id": "msg_1", "role": "assistant", "model": "m", "stop_reason": "end_turn",
                   "content": [{"type": "thinking", "thinking": "I ponder.", "signature": "c2lnbmVk"},
                               {"type": "text", "text": "Grüße \U0001f600"}], "usage": {"input_tokens": 1, "output_tokens": 1}},
                  lambda body: [b["signature"] for m in body["messages"] for b in m["content"] if "signature" in b]),
    "gemini": ({"candidates": [{"content": {"role": "model", "parts": [
                    {"text": "I ponder.", "thought": True}, {"text": "Grüße \U0001f600", "thoughtSignature": "c2lnbmVk"}]},
                "finishReason": "STOP"}]},
               lambda body: [p["thoughtSignature"] for c in body["contents"] for p in c["parts"] if "thoughtSignature" in p]),
    "responses": ({"object": "response", "id": "resp_1", "status": "completed", "model": "m", "output": [
                       {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "c2lnbmVk"},
                       {"type": "message", "id": "msg_1", "role": "assistant", "status": "completed",
                        "content": [{"type": "output_text", "text": "Grüße \U0001f600", "annotations": []}]}]},
                  lambda body: [i["encrypted_content"] for i in body["input"] if "encrypted_content" in i]),
}


def talk_of_words(daemon, sim, client, provider, said="Go on.", headers=None, before=None):
    """A turn of words that the provider signed, and what it gets of that with the next one."""
    talk = Talk(client, [], False)
    talk.headers = headers
    talk.turns = [{"role": "user", "parts": [{"text": said}]} if client == "gemini" else {"role": "user", "content": said}]
    answer, signatures = WORDS[provider]
    sim.script([{"body": json.dumps(answer), "content_type": "application/json"}])
    talk.say(daemon, provider)
    talk.turns.append({"role": "user", "parts": [{"text": "And?"}]} if client == "gemini" else {"role": "user", "content": "And?"})
    if before:
        before(talk)
    sim.always(text="fine")
    talk.say(daemon, provider)
    return signatures(json.loads(sim.last()["body"]))


@each
@pytest.mark.parametrize("provider", WORDS)
def test_words_that_were_signed_come_back_signed(three, client, provider):
    assert talk_of_words(three.daemon, three.sim, client, provider) == ["c2lnbmVk"]


@pytest.mark.parametrize("provider", WORDS)
def test_the_same_words_elsewhere_are_another_turn(three, provider):
    def other_question(talk):
        talk.turns[0]["content"] = "Something else."

    def other_words(talk):
        talk.turns[1]["content"] += "!"
    for change in (other_question, other_words):
        assert talk_of_words(three.daemon, three.sim, "openai", provider, "Tell me.", before=change) == []


@pytest.mark.parametrize("provider", WORDS)
def test_nobody_else_gets_them_and_no_restart_keeps_them(sims, gridtie, provider):
    sim = sims()
    name = {"responses": "openai-responses"}.get(provider, provider)
    daemon = gridtie({"endpoints": [sim.endpoint(provider, name)], "keys": [{"name": n, "secret": f"secret-of-{n}"} for n in "ab"]})

    def as_b(talk):
        talk.headers = {"Authorization": "Bearer secret-of-b"}

    def restart(talk):
        daemon.stop()
        daemon.restart()
    as_a = {"Authorization": "Bearer secret-of-a"}
    assert talk_of_words(daemon, sim, "openai", provider, headers=as_a) == ["c2lnbmVk"]
    assert talk_of_words(daemon, sim, "openai", provider, headers=as_a, before=as_b) == []
    assert talk_of_words(daemon, sim, "openai", provider, headers=as_a, before=restart) == []
