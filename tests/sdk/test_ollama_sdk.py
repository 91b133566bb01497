# SPDX-License-Identifier: Apache-2.0
"""The official ollama package, sync and async."""
import asyncio

import ollama
import pytest
from conftest import DIRECT, KEY
from harness import PNG, SCHEMA, Gridtie, order
from sources import Source, gguf

TOOLS = [{"type": "function", "function": {"name": "weather", "description": "d", "parameters": SCHEMA}}]
AUTH = {"Authorization": f"Bearer {KEY}"}


def words(*said, **what):
    return [{"role": "user", "content": order(*said, **what)}]


@pytest.fixture
def client(gate):
    return ollama.Client(host=gate.url, headers=AUTH, timeout=20)


def test_chat(client, model):
    r = client.chat(model=model, messages=words(text="Grüße", usage={"input": 9, "output": 4}))
    assert r.message.content == "Grüße" and r.done and r.done_reason == "stop"
    assert (r.prompt_eval_count, r.eval_count) == (9, 4)


def test_stream(client, model):
    parts = list(client.chat(model=model, messages=words(text="one two three four"), stream=True))
    assert "".join(p.message.content or "" for p in parts) == "one two three four"
    assert parts[-1].done and not any(p.done for p in parts[:-1])


def test_generate(client, model):
    assert client.generate(model=model, prompt=order(text="made"), system="s").response == "made"
    assert "".join(p.response for p in client.generate(model=model, prompt=order(text="made up"), stream=True)) == "made up"


@pytest.mark.skipif(DIRECT, reason="the scripted provider has no vectors of its own")
@pytest.mark.parametrize("upstream", ["openai", "ollama"])
def test_embed(client, provider, upstream):
    body = {"openai": '{"data":[{"index":0,"embedding":[0.5,1]}],"usage":{"prompt_tokens":2,"total_tokens":2}}',
            "ollama": '{"model":"m","embeddings":[[0.5,1]],"prompt_eval_count":2}'}[upstream]
    provider.reset()
    provider.script([{"body": body, "content_type": "application/json"}] * 2)
    r = client.embed(model=f"{upstream}/m", input="one", dimensions=2)
    assert r.embeddings == [[0.5, 1]] and r.prompt_eval_count == 2
    assert client.embeddings(model=f"{upstream}/m", prompt="one").embedding == [0.5, 1]


@pytest.mark.parametrize("stream", [False, True])
def test_tools_and_results(client, model, stream):
    what = words(tool_calls=[{"name": "weather", "arguments": {"city": "Köln"}}, {"name": "weather", "arguments": {"city": "Rom"}}])
    r = client.chat(model=model, messages=what, tools=TOOLS, stream=stream)
    calls = [c for p in (r if stream else [r]) for c in p.message.tool_calls or []]
    assert [c.function.arguments["city"] for c in calls] == ["Köln", "Rom"]
    again = [*what, {"role": "assistant", "content": "", "tool_calls": [c.model_dump() for c in calls]},
             {"role": "tool", "content": "12", "tool_name": "weather"}, {"role": "tool", "content": "25", "tool_name": "weather"},
             *words("thanks", text="warm")]
    assert client.chat(model=model, messages=again, tools=TOOLS).message.content == "warm"


def test_thinking(client, model):
    r = client.chat(model=model, messages=words(thinking="I ponder", text="done"), think=True)
    assert (r.message.thinking, r.message.content) == ("I ponder", "done")


def test_image_and_options(client, model, provider):
    message = {"role": "user", "content": order(text="a dot"), "images": [PNG]}
    r = client.chat(model=model, messages=[message], options={"temperature": 0.5, "num_predict": 9})
    assert r.message.content == "a dot" and PNG in provider.last()["body"]


def test_lists(client):
    assert ("m" if DIRECT else "ollama/m") in [m.model for m in client.list().models]
    assert client.show("m" if DIRECT else "ollama/m").details is not None


@pytest.mark.parametrize("error,status", [("rate_limit", 429), ("context_length", 400)])
def test_errors_have_their_status(client, model, error, status):
    with pytest.raises(ollama.ResponseError) as caught:
        client.chat(model=model, messages=words(error=error))
    assert caught.value.status_code == status and caught.value.error


@pytest.mark.skipif(DIRECT, reason="the daemon's own")
def test_errors_of_the_gate(gate, client):
    with pytest.raises(ollama.ResponseError) as caught:
        client.chat(model="nothing", messages=words())
    assert caught.value.status_code == 404
    with pytest.raises(ollama.ResponseError) as caught:
        ollama.Client(host=gate.url).chat(model="ollama/m", messages=words())
    assert caught.value.status_code == 401


def test_a_broken_stream_raises(client, model):
    with pytest.raises(ollama.ResponseError):
        for _ in client.chat(model=model, stream=True, messages=words(error="overloaded", error_after_events=7, chunk_chars=2,
                                                                     text="many words in here for it and some more to come")):
            pass


def test_async_many_at_once(gate, model):
    async def all_of():
        c = ollama.AsyncClient(host=gate.url, headers=AUTH)

        async def one(i):
            return "".join([p.message.content async for p in
                            await c.chat(model=model, messages=words(text=f"no {i} " * 8), stream=True)])
        return await asyncio.gather(*(one(i) for i in range(20)))
    assert asyncio.run(all_of()) == [f"no {i} " * 8 for i in range(20)]


@pytest.mark.real
def test_the_real_engine_answers(engine):
    c = ollama.Client(host=engine.url, timeout=120)
    r = c.chat(model="smollm2:135m", messages=[{"role": "user", "content": "Say hello."}], options={"num_predict": 12})
    assert r.message.content and r.eval_count <= 12
    assert "".join(p.response for p in c.generate(model="smollm2:135m", prompt="Once", options={"num_predict": 12}, stream=True))
    assert "smollm2:135m" in [m.model for m in c.ps().models]


# ---- models that come and go


@pytest.fixture
def owner(tmp_path, request):
    """A daemon of one's own, that serves what is in its store, and a place where models come from."""
    if DIRECT:
        pytest.skip("the scripted provider has no store")
    source = Source()
    daemon = Gridtie(tmp_path, {"engine": {"enabled": True, "binary": "/bin/false"},
                                "store": {"found": False, "registry": source.url}})
    source.registry("library/tiny", "latest", {"model": gguf(size=2_000_000), "params": b'{"temperature":0.5}'})
    yield ollama.Client(host=daemon.url, timeout=30)
    source.close()
    daemon.stop()


def test_pull_show_list_copy_delete(owner, tmp_path):
    parts = list(owner.pull("tiny", stream=True))
    assert parts[0].status == "pulling manifest" and parts[-1].status == "success"
    assert any(p.total and p.completed == p.total and p.digest.startswith("sha256:") for p in parts)
    assert owner.pull("tiny").status == "success"
    assert [m.model for m in owner.list().models] == ["tiny:latest"] and owner.list().models[0].size > 2_000_000
    about = owner.show("tiny")
    assert about.details.family == "llama" and about.parameters == "temperature 0.5" and about.template and about.modelfile
    assert about.modelinfo["llama.context_length"] == 512 and "completion" in about.capabilities
    assert owner.copy("tiny", "other").status == "success"
    assert owner.delete("tiny").status == "success"
    assert [m.model for m in owner.list().models] == ["other:latest"]
    for call in (lambda: owner.delete("tiny"), lambda: owner.show("tiny"), lambda: owner.pull("none"),
                 lambda: list(owner.pull("none", stream=True)), lambda: owner.push("other")):
        with pytest.raises(ollama.ResponseError):
            call()


def test_create_from_a_file_of_the_client(owner, tmp_path):
    (tmp_path / "own.gguf").write_bytes(gguf(size=3_000_000, seed=b"q"))
    digest = owner.create_blob(tmp_path / "own.gguf")
    made = list(owner.create("mine", files={"own.gguf": digest}, system="Be short.", parameters={"top_k": 3}, stream=True))
    assert made[-1].status == "success"
    assert owner.create("child", from_="mine", license="MIT", messages=[{"role": "user", "content": "q"}]).status == "success"
    about = owner.show("child")
    assert about.license == "MIT" and about.parameters == "top_k 3" and "Be short." in about.modelfile
