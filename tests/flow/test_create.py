# SPDX-License-Identifier: Apache-2.0
"""What `create` makes and `show` tells, to Ollama's letter: quantizing, adapters, drafts, what is refused, and that a
Modelfile that was shown makes the same model again. The official client's own types read every answer."""
import json
import os
from pathlib import Path

import pytest
from ollama._types import ListResponse, ProcessResponse, ShowResponse

from harness import REPO
from sources import gguf, sha256
from test_sources import TENSORS
from test_store import blobs, models_dir, names, pulled, show, store  # noqa: F401

OPENAPI = Path(os.environ.get("GRIDTIE_SHARED", REPO.parent / "shared")) / "vectors/ollama+ollama/openapi.yaml"
TINY, LLAMA = os.environ.get("GRIDTIE_TINY_MODEL", ""), os.environ.get("GRIDTIE_LLAMA_SERVER", "")


def create(daemon, model, **body):
    return [json.loads(line) for line in daemon.post("/api/create", {"model": model, **body}, timeout=120).text.splitlines()]


def created(daemon, model, **body):
    lines = create(daemon, model, **body)
    assert lines[-1] == {"status": "success"}, lines[-1]
    return lines


def blob(daemon, data):
    digest = "sha256:" + sha256(data)
    assert daemon.post("/api/blobs/" + digest, data).status == 201
    return digest


@pytest.fixture
def base(store):
    """A daemon with a model `base`."""
    daemon = store()
    created(daemon, "base", files={"x.gguf": blob(daemon, gguf(tensors=TENSORS))})
    return daemon


# ---- adapters and drafts


def test_adapters_go_along(base, tmp_path):
    first, second = gguf(kind="adapter", seed=b"a"), gguf(kind="adapter", seed=b"b")
    digest = blob(base, first)
    created(base, "tuned", **{"from": "base", "adapters": {"a.gguf": digest}})
    assert f"ADAPTER {models_dir(base)}/blobs/sha256-{sha256(first)}\n" in show(base, "tuned")["modelfile"]
    created(base, "child", **{"from": "tuned"})
    assert "ADAPTER" in show(base, "child")["modelfile"]
    (tmp_path / "b.gguf").write_bytes(second)
    created(base, "other", modelfile="FROM tuned\nADAPTER ./b.gguf\n", path=str(tmp_path))
    text = show(base, "other")["modelfile"]
    assert text.count("ADAPTER") == 1 and sha256(second) in text
    for name in ("tuned", "child"):
        assert base.call("DELETE", "/api/delete", {"model": name}).status == 200
    assert "sha256-" + sha256(first) not in blobs(base) and "sha256-" + sha256(second) in blobs(base)


def test_what_is_no_adapter(base):
    assert "is no adapter" in create(base, "x", **{"from": "base", "adapters": {"a.gguf": blob(base, gguf(seed=b"n"))}})[-1]["error"]
    adapter = blob(base, gguf(kind="adapter"))
    assert "it goes behind ADAPTER" in create(base, "x", files={"a.gguf": adapter})[-1]["error"]
    nine = {f"{i}.gguf": blob(base, gguf(kind="adapter", seed=bytes([i]))) for i in range(9)}
    assert "too many" in create(base, "x", **{"from": "base", "adapters": nine})[-1]["error"]


def test_a_draft_goes_along(base, tmp_path):
    created(base, "fast", **{"from": "base", "draft": "ngram"})
    assert "DRAFT ngram\n" in show(base, "fast")["modelfile"]
    (tmp_path / "small.gguf").write_bytes(small := gguf(seed=b"s"))
    created(base, "faster", modelfile="FROM fast\nDRAFT ./small.gguf\n", path=str(tmp_path))
    assert f"DRAFT {models_dir(base)}/blobs/sha256-{sha256(small)}\n" in show(base, "faster")["modelfile"]
    assert "draft" in create(base, "x", **{"from": "base", "draft": "x y"})[-1]["error"]
    assert base.call("DELETE", "/api/delete", {"model": "faster"}).status == 200
    assert "sha256-" + sha256(small) not in blobs(base)


def lora_of(weights, path):
    """A low-rank change of one matrix of these weights, large enough to be heard."""
    import numpy
    from gguf import GGUFReader, GGUFWriter
    reader = GGUFReader(weights)
    arch = bytes(reader.fields["general.architecture"].parts[-1]).decode()
    columns, rows = next(t.shape for t in reader.tensors if t.name == "blk.0.ffn_down.weight")
    writer = GGUFWriter(path, arch)
    writer.add_type("adapter")
    writer.add_string("adapter.type", "lora")
    writer.add_float32("adapter.lora.alpha", 4.0)
    numbers = numpy.random.default_rng(7)
    writer.add_tensor("blk.0.ffn_down.weight.lora_a", numbers.normal(size=(4, int(columns))).astype(numpy.float32))
    writer.add_tensor("blk.0.ffn_down.weight.lora_b", numbers.normal(size=(int(rows), 4)).astype(numpy.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


@pytest.mark.skipif(not TINY or not Path(TINY).exists() or not os.access(LLAMA, os.X_OK), reason="tools/setup engine")
def test_an_adapter_is_heard_in_the_answer(gridtie, tmp_path):
    daemon = gridtie({"engine": {"enabled": True, "binary": LLAMA, "context": 256, "threads": 1, "parallel": 1},
                      "store": {"found": False}})
    pulled(daemon, TINY, **{"as": "plain"})
    lora_of(TINY, tmp_path / "lora.gguf")
    created(daemon, "tuned", modelfile="FROM plain\nADAPTER ./lora.gguf\nPARAMETER temperature 0\n", path=str(tmp_path))
    created(daemon, "same", modelfile="FROM plain\nPARAMETER temperature 0\n")
    said = {}
    for name in ("same", "tuned"):
        reply = daemon.post("/api/generate", {"model": name, "prompt": "Hello", "stream": False, "raw": True,
                                              "options": {"num_predict": 12, "seed": 1}}, timeout=120)
        assert reply.status == 200, reply.text
        said[name] = reply.json["response"]
    assert said["same"] != said["tuned"]
    loaded = ProcessResponse.model_validate(daemon.get("/api/ps").json).models
    assert {m.model for m in loaded} <= {"same:latest", "tuned:latest"} and loaded[0].size > 0 and loaded[0].context_length
    for model in daemon.get("/api/ps").json["models"]:
        if OPENAPI.exists():
            import yaml
            fields(yaml.safe_load(OPENAPI.read_text())["components"]["schemas"]["Ps"], model)


# ---- what is refused


def test_safetensors_are_refused_with_a_way_out(base, tmp_path):
    for name in ("model.safetensors", "config.json"):
        error = create(base, "x", files={name: blob(base, b"{}")})[-1]["error"]
        assert name in error and "convert_hf_to_gguf.py" in error
    assert "convert_lora_to_gguf.py" in create(base, "x", **{"from": "base", "adapters": {"a.safetensors": "sha256:" + "0" * 64}})[-1]["error"]
    (tmp_path / "folder").mkdir()
    for source in ("./folder", "./model.safetensors", "."):
        assert "convert_hf_to_gguf.py" in create(base, "x", modelfile=f"FROM {source}\n", path=str(tmp_path))[-1]["error"]
    assert names(base) == ["base:latest"]


# ---- quantizing


@pytest.mark.skipif(not TINY or not Path(TINY).exists(), reason="no tiny model")
@pytest.mark.skipif(not (Path(os.environ.get("GRIDTIE_LLAMA_SERVER", "/x")).resolve().parent / "llama-quantize").exists(),
                    reason="no llama-quantize")
def test_quantize(store, tmp_path):
    daemon = store()
    pulled(daemon, TINY, **{"as": "tiny"})
    was = show(daemon, "tiny")
    lines = created(daemon, "small", **{"from": "tiny", "quantize": "q4_0"})
    step = [line for line in lines if line["status"].startswith("quantizing ")]
    assert step and step[-1]["total"] == step[-1]["completed"] == Path(was["gridtie"]["path"]).stat().st_size, lines
    about = show(daemon, "small")
    assert about["details"]["quantization_level"] == "Q4_0" != was["details"]["quantization_level"]
    assert about["gridtie"]["path"] != was["gridtie"]["path"]
    assert not [b for b in blobs(daemon) if b.endswith(".partial")]
    (tmp_path / "Modelfile").write_text("FROM tiny\nSYSTEM Short.\n")
    done = daemon.cli("create", "third", "-f", str(tmp_path / "Modelfile"), "--quantize", "Q5_0")
    assert done.returncode == 0, done.stderr
    assert show(daemon, "third")["details"]["quantization_level"] == "Q5_0"
    error = create(daemon, "x", **{"from": "tiny", "quantize": "q9"})[-1]["error"]
    assert "there is no 'q9'" in error and "Q4_K_M" in error


def test_quantize_without_a_quantizer_is_refused(store, tmp_path):
    daemon = store(env={"GRIDTIE_LLAMA_SERVER": "", "GRIDTIE_CACHE": str(tmp_path)})
    created(daemon, "base", files={"x.gguf": blob(daemon, gguf())})
    assert "no llama-quantize" in create(daemon, "x", **{"from": "base", "quantize": "q4_0"})[-1]["error"]


# ---- there and back again


FULL = '''FROM base
ADAPTER ./a.gguf
DRAFT ngram
TEMPLATE """{% for m in messages %}<{{ m.role }}>
{{ m.content }}{% endfor %}"""
SYSTEM """Two
lines, and a "quote"."""
PARAMETER temperature 0.25
PARAMETER num_ctx 256
PARAMETER stop "<|end|>"
PARAMETER stop """

"""
PARAMETER stop " x"
MESSAGE user Are "you" there?
MESSAGE assistant """Yes,
I am."""
MESSAGE user " spaces "
LICENSE """MIT
and so on"""
'''


def test_a_modelfile_that_is_shown_makes_the_same_again(base, tmp_path):
    (tmp_path / "a.gguf").write_bytes(gguf(kind="adapter"))
    (tmp_path / "Modelfile").write_text(FULL)
    assert base.cli("create", "first", "-f", str(tmp_path / "Modelfile")).returncode == 0
    shown = base.cli("show", "first", "--modelfile")
    assert shown.returncode == 0
    (tmp_path / "again").write_text(shown.stdout)
    done = base.cli("create", "second", "-f", str(tmp_path / "again"))
    assert done.returncode == 0, done.stderr
    one, two = show(base, "first"), show(base, "second")
    for key in ("license", "template", "parameters", "system", "messages", "details", "model_info", "capabilities"):
        assert one[key] == two[key], key
    assert one["system"] == 'Two\nlines, and a "quote".' and one["license"] == "MIT\nand so on"
    assert one["messages"][0]["content"] == 'Are "you" there?' and one["messages"][2]["content"] == " spaces "
    assert one["modelfile"].replace("first:latest", "second:latest") == two["modelfile"]
    created(base, "third", **{"from": "base", **{k: one[k] for k in ("license", "template", "system", "messages")},
                              "parameters": {"temperature": 0.25, "num_ctx": 256, "stop": ["<|end|>", "\n\n", " x"]}})
    three = show(base, "third")
    for key in ("license", "template", "parameters", "system", "messages"):
        assert one[key] == three[key], key


def test_a_model_in_parts_makes_itself_again(store, tmp_path):
    daemon = store()
    for i in (1, 2):
        (tmp_path / f"p-0000{i}-of-00002.gguf").write_bytes(gguf(seed=bytes([i])))
    created(daemon, "parts", modelfile="FROM ./p-00001-of-00002.gguf\n", path=str(tmp_path))
    (tmp_path / "again").write_text(show(daemon, "parts")["modelfile"])
    assert daemon.cli("create", "again", "-f", str(tmp_path / "again")).returncode == 0
    assert show(daemon, "again")["gridtie"]["parts"] == 2 and len(blobs(daemon)) == 2


# ---- to the letter


def test_verbose_gives_tensors_and_arrays(base):
    brief, whole = show(base, "base"), show(base, "base", verbose=True)
    assert brief["model_info"]["tokenizer.ggml.tokens"] is None and "tensors" not in brief
    assert whole["model_info"]["tokenizer.ggml.tokens"] == ["a", "b", "c"]
    assert whole["model_info"]["tokenizer.ggml.token_type"] == [1, 2, 3]
    assert whole["tensors"] == [{"name": n, "type": "F32", "shape": list(dims)} for n, dims in TENSORS]
    assert whole["model_info"]["general.parameter_count"] == 64 * 100 + 64 * 64 + 64


def test_a_projector_is_told_of(store):
    daemon = store()
    files = {"x.gguf": blob(daemon, gguf()), "mmproj.gguf": blob(daemon, gguf("clip", seed=b"p"))}
    created(daemon, "seer", files=files)
    about = show(daemon, "seer")
    assert about["projector_info"]["general.architecture"] == "clip" and "vision" in about["capabilities"]
    assert about["modelfile"].count("\nFROM ") == 2
    created(daemon, "again", modelfile=about["modelfile"])
    assert "vision" in show(daemon, "again")["capabilities"]


def fields(schema, document):
    """Each field of a schema is there and of its type, where the document can have it."""
    optional = {"remote_model", "remote_host"}  # of models that run elsewhere
    kinds = {"string": str, "integer": int, "object": dict, "array": list}
    for name, row in schema["properties"].items():
        if name in optional:
            assert name not in document
            continue
        assert isinstance(document[name], kinds[row["type"]]) and not isinstance(document[name], bool), name
        if row["type"] == "object" and "properties" in row:
            fields(row, document[name])


@pytest.mark.skipif(not OPENAPI.exists(), reason="no description of Ollama's API")
def test_answers_have_every_field_of_the_description(base):
    import yaml
    schemas = yaml.safe_load(OPENAPI.read_text())["components"]["schemas"]
    for model in base.get("/api/tags").json["models"]:
        fields(schemas["ModelSummary"], model)
    about = show(base, "base")
    fields(schemas["ShowResponse"], about)
    fields(schemas["ModelSummary"]["properties"]["details"], about["details"])


def test_the_official_clients_types_read_every_answer(base):
    tags = ListResponse.model_validate(base.get("/api/tags").json)
    assert [m.model for m in tags.models] == ["base:latest"] and tags.models[0].size > 0
    assert tags.models[0].modified_at and tags.models[0].details.format == "gguf" and len(tags.models[0].digest) == 64
    for verbose in (False, True):
        about = ShowResponse.model_validate(show(base, "base", verbose=verbose))
        assert about.modelfile and about.details.family == "llama" and about.modelinfo["general.architecture"] == "llama"
        assert about.modified_at and about.capabilities[0] == "completion"
    assert ProcessResponse.model_validate(base.get("/api/ps").json).models == []
