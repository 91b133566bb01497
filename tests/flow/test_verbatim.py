# SPDX-License-Identifier: Apache-2.0
"""Same dialect on both sides: what need not change does not change by a byte, in both directions."""
import json

import pytest

from harness import DIALECTS, PATHS, gemini_path, read, sse

BODIES = {
    "openai": '{ "zz_unknown": {"b":1,"a":[1.0,2e3,-0]} ,"messages":[{"content":"h\\u00e9 \\ud83d\\ude00 \\/","role":"user",'
              '"x_extra":null}],\n\t"stream":%s,"model" : "m","stream_options":{"include_usage":true},"seed":12345678901234567}',
    "anthropic": '{"max_tokens":5 , "messages":[{"role":"user","content":[{"type":"text","text":"h\\u00e9",'
                 '"cache_control":{"type":"ephemeral"}}]}],"model":"m2","stream":%s, "zz":  [ ]}',
    "ollama": '{"options":{"num_ctx":2048,"zz":1.50},"keep_alive":"5m","stream":%s,"messages":[ {"role":"user","content":'
              '"\\u0068i"} ],"model":"m3"}',
    "responses": '{ "input":[{"content":[{"text":"h\\u00e9","type":"input_text"}],"role":"user"} ],"model" :"m4", "stream":%s,'
                 '"store": false,"zz":[1.0,-0]}',
    "gemini": '{"contents":[{"parts":[{"text":"h\\u00e9 %s"}] ,"role":"user"}],"generationConfig":{"topK":1.0,"zz": [ ]}}',
}
MODELS = {"openai": "m", "anthropic": "m2", "ollama": "m3", "responses": "m4", "gemini": "m5"}
REPLIES = {
    "openai": 'data: {"id":"c1","object":"chat.completion.chunk","created":1,"model":"m","odd":[1.0],"choices":[{"index":0,'
              '"delta":{"role":"assistant","content":"h\\u00e9"},"finish_reason":null}]}\n\n: a comment\n\ndata: {"id":"c1",'
              '"object":"chat.completion.chunk","created":1,"model":"m","choices":[{"index":0,"delta":{},"finish_reason":"stop"'
              '}]}\n\ndata: {"id":"c1","object":"chat.completion.chunk","created":1,"model":"m","choices":[],"usage":'
              '{"prompt_tokens":1,"completion_tokens":1,"total_tokens":2}}\n\ndata: [DONE]\n\n',
    "anthropic": 'event: message_start\ndata: {"type":"message_start","message":{"id":"x","type":"message","role":"assistant",'
                 '"model":"m2","content":[],"stop_reason":null,"stop_sequence":null,"usage":{"input_tokens":1,"output_tokens"'
                 ':1},"odd":1.0}}\n\nevent: content_block_start\ndata: {"type":"content_block_start","index":0,"content_block"'
                 ':{"type":"text","text":""}}\n\nevent: ping\ndata: {"type": "ping"}\n\nevent: content_block_delta\ndata: '
                 '{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"h\\u00e9"}}\n\nevent: '
                 'content_block_stop\ndata: {"type":"content_block_stop","index":0}\n\nevent: message_delta\ndata: {"type":'
                 '"message_delta","delta":{"stop_reason":"end_turn","stop_sequence":null},"usage":{"output_tokens":2}}\n\n'
                 'event: message_stop\ndata: {"type":"message_stop"}\n\n',
    "ollama": '{"model":"m3","created_at":"2025-01-01T00:00:00Z","message":{"role":"assistant","content":"h\\u00e9"},"done":'
              'false, "odd":1.0}\n{"model":"m3","created_at":"2025-01-01T00:00:00Z","message":{"role":"assistant","content":'
              '""},"done":true,"done_reason":"stop","prompt_eval_count":1,"eval_count":1}\n',
    "responses": 'event: response.created\ndata: {"type":"response.created","sequence_number":0,"response":{"id":"r","object":'
                 '"response","created_at":1,"status":"in_progress","output":[],"usage":null, "odd":1.0}}\n\n: a comment\n\nevent: '
                 'response.output_item.added\ndata: {"type":"response.output_item.added","sequence_number":1,"output_index":0,'
                 '"item":{"id":"i","type":"message","role":"assistant","status":"in_progress","content":[]}}\n\nevent: '
                 'response.output_text.delta\ndata: {"type":"response.output_text.delta","sequence_number":2,"item_id":"i",'
                 '"output_index":0,"content_index":0,"delta":"h\\u00e9","obfuscation":"xyz"}\n\nevent: response.completed\ndata: '
                 '{"type":"response.completed","sequence_number":3,"response":{"id":"r","object":"response","created_at":1,'
                 '"status":"completed","output":[],"usage":{"input_tokens":1,"output_tokens":1,"total_tokens":2}}}\n\n',
    "gemini": 'data: {"candidates": [{"content": {"parts": [{"text": "h\\u00e9"}],"role": "model"}}],"odd": 1.0,"modelVersion": '
              '"m5","responseId": "r"}\r\n\r\ndata: {"candidates": [{"content": {"parts": [{"text": ""}],"role": "model"},'
              '"finishReason": "STOP"}],"usageMetadata": {"promptTokenCount": 1,"candidatesTokenCount": 1,"totalTokenCount": 2},'
              '"modelVersion": "m5","responseId": "r"}\r\n\r\n',
}
WHOLES = {
    "openai": '{"odd" : 1.0,"id":"c1","object":"chat.completion","created":1,"model":"m","choices":[{"index":0,"message":{"role":'
              '"assistant","content":"h\\u00e9"},"finish_reason":"stop"}],"usage":{"prompt_tokens":1,"completion_tokens":1,'
              '"total_tokens":2}}\n',
    "anthropic": '{"id":"x","type":"message","role":"assistant","model":"m2","content":[{"type":"text","text":"h\\u00e9","odd":'
                 '1.0}],"stop_reason":"end_turn","stop_sequence":null,"usage":{"input_tokens":1,"output_tokens":1}}',
    "ollama": '{"model":"m3","created_at":"2025-01-01T00:00:00Z","message":{"role":"assistant","content":"h\\u00e9"},"done":true,'
              '"done_reason":"stop","odd":1.0,"prompt_eval_count":1,"eval_count":1}',
    "responses": '{ "id":"r","object":"response","created_at":1,"status":"completed","output":[{"id":"i","type":"message","role":'
                 '"assistant","status":"completed","content":[{"type":"output_text","text":"h\\u00e9","annotations":[]}]}],'
                 '"odd":1.0,"usage":{"input_tokens":1,"output_tokens":1,"total_tokens":2}}',
    "gemini": '{\n  "candidates": [{"content": {"parts": [{"text": "h\\u00e9"}],"role": "model"},"finishReason": "STOP","index": 0,'
              '"odd": 1.0}],\n  "usageMetadata": {"promptTokenCount": 1,"candidatesTokenCount": 1,"totalTokenCount": 2}\n}\n',
}
both = pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
each = pytest.mark.parametrize("dialect", DIALECTS)


def path_of(dialect, stream=False, model=None, **more):
    return gemini_path(model or MODELS[dialect], stream, **more) if dialect == "gemini" else PATHS[dialect]


@pytest.fixture
def pair(sim, gridtie):
    return sim, gridtie({"endpoints": [sim.endpoint(d, d, models=[MODELS[d]]) for d in DIALECTS]})


@each
@both
def test_bytes_upstream_are_the_clients_bytes(pair, dialect, stream):
    sim, daemon = pair
    body = (BODIES[dialect] % ("true" if stream else "false")).encode()
    if not stream:
        body = body.replace(b',"stream_options":{"include_usage":true}', b"")
    assert daemon.post(path_of(dialect, stream), body).status == 200
    assert sim.last()["body"].encode() == body


@each
def test_bytes_of_a_stream_come_back_as_the_upstream_sent_them(pair, dialect):
    sim, daemon = pair
    kind = "application/x-ndjson" if dialect == "ollama" else "text/event-stream"
    for split in (-1, 1, 7):
        sim.script([{"body": REPLIES[dialect], "content_type": kind, "split": split}])
        reply = daemon.post(path_of(dialect, True), BODIES[dialect] % "true")
        assert reply.body == REPLIES[dialect].encode() and reply.complete


@each
def test_bytes_of_a_whole_answer_come_back_as_the_upstream_sent_them(pair, dialect):
    sim, daemon = pair
    sim.script([{"body": WHOLES[dialect]}])
    body = (BODIES[dialect] % "false").replace(',"stream_options":{"include_usage":true}', "")
    reply = daemon.post(path_of(dialect), body)
    assert reply.body == WHOLES[dialect].encode()


@each
def test_another_model_name_changes_nothing_but_the_name(pair, dialect):
    sim, daemon = pair
    body = (BODIES[dialect] % "false").replace(',"stream_options":{"include_usage":true}', "")
    name = MODELS[dialect]
    daemon.post(path_of(dialect, model=f"{dialect}/{name}"), body.replace(f'"{name}"', f'"{dialect}/{name}"'))
    assert sim.last()["body"] == body and sim.last()["path"] == path_of(dialect)


def test_an_array_of_gemini_comes_back_as_the_upstream_sent_it(pair):
    sim, daemon = pair
    array = "[" + ",\r\n".join(data for _, data in sse(REPLIES["gemini"].encode())) + "]\n"
    for split in (-1, 1, 7):
        sim.script([{"body": array, "content_type": "application/json", "split": split}])
        reply = daemon.post(path_of("gemini", True, array=True), BODIES["gemini"] % "true")
        assert reply.body == array.encode() and reply.complete
        assert reply.headers["content-type"].startswith("application/json")
        assert sim.last()["path"] == path_of("gemini", True, array=True)
        assert daemon.why(reply)["attempts"][0]["usage"] | {"input_tokens": 1, "output_tokens": 1} == \
            daemon.why(reply)["attempts"][0]["usage"]


def test_usage_that_only_we_asked_for_is_hidden_from_the_client(pair):
    sim, daemon = pair
    reply = daemon.post(PATHS["openai"], {"model": "m", "stream": True, "messages": [{"role": "user", "content": "x"}]})
    assert json.loads(sim.last()["body"])["stream_options"] == {"include_usage": True}
    assert not [d for _, d in sse(reply.body) if d != "[DONE]" and json.loads(d).get("usage")]
    assert read("openai", reply, True).ended
    assert daemon.why(reply)["attempts"][0]["usage"]["estimated"] is False
