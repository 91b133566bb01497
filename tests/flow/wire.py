# SPDX-License-Identifier: Apache-2.0
"""OpenAI's responses and Google's Gemini as a test speaks and reads them, and what the other three share with them. Owes
nothing to the daemon's own code. The readers are strict: what a client could stumble over fails here."""
import dataclasses
import json
import re

PNG = ("iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==")
SCHEMA = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}


@dataclasses.dataclass
class Answer:
    text: str = ""
    thinking: str = ""
    tools: list = dataclasses.field(default_factory=list)  # (name, arguments as a value)
    finish: str = None
    input_tokens: int = None
    output_tokens: int = None
    error: object = None
    ended: bool = False  # the dialect's proper end was there


def sse(body):
    """[(event, data)] of a body of server-sent events; comments left out."""
    found = []
    for block in body.decode().replace("\r\n", "\n").split("\n\n"):
        lines = [line for line in block.split("\n") if line and not line.startswith(":")]
        event = next((line[6:].strip() for line in lines if line.startswith("event:")), None)
        data = "\n".join(line[5:].lstrip() for line in lines if line.startswith("data:"))
        if lines:
            found.append((event, data))
    return found


# ---- responses


def chat_responses(model, text, stream, system, tools, image, results, think):
    user = {"role": "user", "content": text}
    if image:
        user["content"] = [{"type": "input_text", "text": text},
                           {"type": "input_image", "detail": "auto", "image_url": "data:image/png;base64," + PNG}]
    items = [user]
    if results:
        items = [{"role": "user", "content": "weather?"},
                 {"type": "function_call", "call_id": "call_1", "name": "weather", "arguments": json.dumps({"city": "Köln"})},
                 {"type": "function_call_output", "call_id": "call_1", "output": "12 degrees"}, user]
    body = {"model": model, "input": items}
    if system:
        body["instructions"] = system
    if tools or results:
        body["tools"] = [{"type": "function", "name": "weather", "description": "The weather.", "parameters": SCHEMA,
                          "strict": False}]
    if think:
        body["reasoning"] = {"effort": "high", "summary": "auto"}
    if stream:
        body["stream"] = True
    return body


def responses_end(response, a):
    assert response["object"] == "response" and response["id"] and response["created_at"]
    a.finish = response["status"]
    if a.finish == "incomplete":
        a.finish = response["incomplete_details"]["reason"]
    a.ended = response["status"] in ("completed", "incomplete")
    usage = response["usage"]
    if usage:
        a.input_tokens, a.output_tokens = usage["input_tokens"], usage["output_tokens"]
        assert usage["total_tokens"] == a.input_tokens + a.output_tokens
        assert usage["input_tokens_details"]["cached_tokens"] >= 0 and usage["output_tokens_details"]["reasoning_tokens"] >= 0
    ids = [item["id"] for item in response["output"]]
    assert len(set(ids)) == len(ids), "two items have one id"


def responses_item(item, a):
    if item["type"] == "message":
        assert item["role"] == "assistant" and item["status"] in ("completed", "incomplete")
        for part in item["content"]:
            a.text += part["text"] if part["type"] == "output_text" else part["refusal"]
            assert part["type"] != "output_text" or part["annotations"] == []
    elif item["type"] == "reasoning":
        a.thinking += "".join(part["text"] for part in item["summary"] + (item.get("content") or []))
    elif item["type"] == "function_call":
        assert item["call_id"] and item["status"] in ("completed", "incomplete")
        a.tools.append((item["name"], json.loads(item["arguments"])))


class ResponsesStream:
    """Checks each event against those before it."""

    def __init__(self):
        self.a, self.next, self.items, self.said, self.parts, self.over = Answer(), 0, {}, {}, {}, False

    def take(self, event, data):
        j = json.loads(data)
        assert event == j["type"], "the event's name and its type differ"
        assert not self.over, "events after the end"
        assert j["sequence_number"] == self.next, "events must count from 0 without gaps"
        self.next += 1
        kind = j["type"].removeprefix("response.")
        if kind == "error":
            self.a.error, self.over = {"code": j["code"], "message": j["message"]}, True
        elif kind in ("created", "in_progress", "completed", "incomplete", "failed"):
            self.whole(kind, j["response"])
        elif kind == "output_item.added":
            assert j["output_index"] == len(self.items), "items must count from 0 without gaps"
            self.items[j["output_index"]] = dict(j["item"], open=True)
        elif kind == "output_item.done":
            item = self.items[j["output_index"]]
            assert item["open"] and (item["id"], item["type"]) == (j["item"]["id"], j["item"]["type"])
            self.items[j["output_index"]] = dict(j["item"], open=False)
        else:
            self.inner(kind, j)

    def whole(self, kind, response):
        assert (self.next == 1) == (kind == "created"), "response.created comes first, and once"
        if kind in ("created", "in_progress"):
            assert response["status"] == "in_progress" and response["output"] == [] and response["usage"] is None
            return
        assert response["status"] == kind
        self.over = True
        if kind == "failed":
            self.a.error = response["error"]
            return
        items = [{k: v for k, v in item.items() if k != "open"} for _, item in sorted(self.items.items())]
        assert not any(item["open"] for item in self.items.values()), "an item stayed open"
        assert response["output"] == items, "the end says something else than the items before"
        for item in items:
            responses_item(item, self.a)
        responses_end(response, self.a)

    def inner(self, kind, j):
        item = self.items[j["output_index"]]
        assert item["open"] and item["id"] == j["item_id"], "an event of an item that is not open"
        at = (j["output_index"], j.get("content_index"), j.get("summary_index"))
        if kind.endswith("part.added"):
            assert at not in self.parts
            self.parts[at] = True
        elif kind.endswith("part.done"):
            assert self.parts[at] and (j["part"].get("text") or j["part"].get("refusal") or "") == self.said.get(at, "")
            self.parts[at] = False
        elif kind.endswith(".delta"):
            assert item["type"] == "function_call" or self.parts[at], "a delta outside of a part"
            self.said[at] = self.said.get(at, "") + j["delta"]
        elif kind.endswith(".done"):
            said = j.get("text", j.get("arguments", j.get("refusal")))
            assert said == self.said.get(at, ""), "the end of a part says something else than its deltas"


def read_responses(body, stream):
    if not stream:
        j = json.loads(body)
        if j.get("object") != "response":
            return Answer(error=j["error"])
        a = Answer(error=j["error"])
        for item in j["output"]:
            responses_item(item, a)
        responses_end(j, a)
        return a
    s = ResponsesStream()
    for event, data in sse(body):
        s.take(event, data)
    if not s.over or s.a.error:  # what was said before it broke
        for at, said in sorted(s.said.items()):
            if s.items[at[0]]["type"] != "function_call":
                setattr(s.a, *(("text", s.a.text + said) if at[2] is None else ("thinking", s.a.thinking + said)))
    return s.a


# ---- Gemini


def gemini_path(model, stream=False, array=False):
    return f"/v1beta/models/{model}:" + (("streamGenerateContent" + ("" if array else "?alt=sse")) if stream else "generateContent")


def chat_gemini(text, system, tools, image, results, think):
    user = {"role": "user", "parts": [{"text": text}]}
    if image:
        user["parts"].append({"inlineData": {"mimeType": "image/png", "data": PNG}})
    contents = [user]
    if results:
        contents = [{"role": "user", "parts": [{"text": "weather?"}]},
                    {"role": "model", "parts": [{"functionCall": {"name": "weather", "args": {"city": "Köln"}}}]},
                    {"role": "user", "parts": [{"functionResponse": {"name": "weather", "response": {"output": "12 degrees"}}}]},
                    user]
    body = {"contents": contents}
    if system:
        body["systemInstruction"] = {"parts": [{"text": system}]}
    if tools or results:
        body["tools"] = [{"functionDeclarations": [{"name": "weather", "description": "The weather.",
                                                    "parametersJsonSchema": SCHEMA}]}]
    if think:
        body["generationConfig"] = {"thinkingConfig": {"includeThoughts": True, "thinkingBudget": 1024}}
    return body


def gemini_chunk(j, a):
    assert not a.ended, "chunks after the one with a reason to finish"
    if "error" in j:
        a.error = j["error"]
        return
    usage = j.get("usageMetadata")
    if usage:
        a.input_tokens = usage["promptTokenCount"]
        a.output_tokens = usage.get("candidatesTokenCount", 0) + usage.get("thoughtsTokenCount", 0)
        assert usage["totalTokenCount"] == a.input_tokens + a.output_tokens
    assert j["responseId"] and j["modelVersion"]
    for candidate in j.get("candidates", []):
        assert candidate.get("index", 0) == 0
        for part in candidate.get("content", {}).get("parts", []):
            call = part.get("functionCall")
            if call:
                assert isinstance(call.get("args", {}), dict)
                a.tools.append((call["name"], call.get("args", {})))
            elif part.get("thought"):
                a.thinking += part.get("text", "")
            else:
                a.text += part.get("text", "")
        assert candidate.get("content", {"role": "model"})["role"] == "model"
        a.finish = candidate.get("finishReason", a.finish)
    if j.get("promptFeedback", {}).get("blockReason"):
        a.finish = j["promptFeedback"]["blockReason"]
    a.ended = a.finish is not None


def gemini_array(body):
    """The values of a JSON array that may break off."""
    text, found, decoder = body.decode(), [], json.JSONDecoder()
    at = 0
    while (at := next((i for i in range(at, len(text)) if text[i] not in "[, \r\n\t"), len(text))) < len(text):
        if text[at] == "]":
            return found
        try:
            value, at = decoder.raw_decode(text, at)
        except ValueError:
            return found
        found.append(value)
    return found


def read_gemini(body, stream):
    a = Answer()
    if not stream:
        gemini_chunk(json.loads(body), a)
    elif body[:1] == b"[":
        for j in gemini_array(body):
            gemini_chunk(j, a)
    else:
        assert re.fullmatch(rb"(?:data: [^\r\n]+(?:\n\n|\r\n\r\n))*", body), "Google's clients read events and nothing else"
        for event, data in sse(body):
            assert event is None
            gemini_chunk(json.loads(data), a)
    return a
