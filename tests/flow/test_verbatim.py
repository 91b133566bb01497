# SPDX-License-Identifier: Apache-2.0
"""Same dialect on both sides: what need not change does not change by a byte, in both directions."""
import json

import pytest

from harness import DIALECTS, PATHS, read, sse

BODIES = {
    "openai": '{ "zz_unknown": {"b":1,"a":[1.0,2e3,-0]} ,"messages":[{"content":"h\\u00e9 \\ud83d\\ude00 \\/","role":"user",'
              '"x_extra":null}],\n\t"stream":%s,"model" : "m","stream_options":{"include_usage":true},"seed":12345678901234567}',
    "anthropic": '{"max_tokens":5 , "messages":[{"role":"user","content":[{"type":"text","text":"h\\u00e9",'
                 '"cache_control":{"type":"ephemeral"}}]}],"model":"m2","stream":%s, "zz":  [ ]}',
    "ollama": '{"options":{"num_ctx":2048,"zz":1.50},"keep_alive":"5m","stream":%s,"messages":[ {"role":"user","content":'
              '"\\u0068i"} ],"model":"m3"}',
}
MODELS = {"openai": "m", "anthropic": "m2", "ollama": "m3"}
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
}
WHOLES = {
    "openai": '{"odd" : 1.0,"id":"c1","object":"chat.completion","created":1,"model":"m","choices":[{"index":0,"message":{"role":'
              '"assistant","content":"h\\u00e9"},"finish_reason":"stop"}],"usage":{"prompt_tokens":1,"completion_tokens":1,'
              '"total_tokens":2}}\n',
    "anthropic": '{"id":"x","type":"message","role":"assistant","model":"m2","content":[{"type":"text","text":"h\\u00e9","odd":'
                 '1.0}],"stop_reason":"end_turn","stop_sequence":null,"usage":{"input_tokens":1,"output_tokens":1}}',
    "ollama": '{"model":"m3","created_at":"2025-01-01T00:00:00Z","message":{"role":"assistant","content":"h\\u00e9"},"done":true,'
              '"done_reason":"stop","odd":1.0,"prompt_eval_count":1,"eval_count":1}',
}
both = pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
each = pytest.mark.parametrize("dialect", DIALECTS)


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
    assert daemon.post(PATHS[dialect], body).status == 200
    assert sim.last()["body"].encode() == body


@each
def test_bytes_of_a_stream_come_back_as_the_upstream_sent_them(pair, dialect):
    sim, daemon = pair
    kind = "application/x-ndjson" if dialect == "ollama" else "text/event-stream"
    for split in (-1, 1, 7):
        sim.script([{"body": REPLIES[dialect], "content_type": kind, "split": split}])
        reply = daemon.post(PATHS[dialect], BODIES[dialect] % "true")
        assert reply.body == REPLIES[dialect].encode() and reply.complete


@each
def test_bytes_of_a_whole_answer_come_back_as_the_upstream_sent_them(pair, dialect):
    sim, daemon = pair
    sim.script([{"body": WHOLES[dialect]}])
    body = (BODIES[dialect] % "false").replace(',"stream_options":{"include_usage":true}', "")
    reply = daemon.post(PATHS[dialect], body)
    assert reply.body == WHOLES[dialect].encode()


@each
def test_another_model_name_changes_nothing_but_the_name(pair, dialect):
    sim, daemon = pair
    body = (BODIES[dialect] % "false").replace(',"stream_options":{"include_usage":true}', "")
    name = MODELS[dialect]
    daemon.post(PATHS[dialect], body.replace(f'"{name}"', f'"{dialect}/{name}"'))
    assert sim.last()["body"] == body


def test_usage_that_only_we_asked_for_is_hidden_from_the_client(pair):
    sim, daemon = pair
    reply = daemon.post(PATHS["openai"], {"model": "m", "stream": True, "messages": [{"role": "user", "content": "x"}]})
    assert json.loads(sim.last()["body"])["stream_options"] == {"include_usage": True}
    assert not [d for _, d in sse(reply.body) if d != "[DONE]" and json.loads(d).get("usage")]
    assert read("openai", reply, True).ended
    assert daemon.why(reply)["attempts"][0]["usage"]["estimated"] is False
