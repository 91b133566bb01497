# SPDX-License-Identifier: Apache-2.0
"""What models cost and can when the catalogue knows them: tables in the daemon's cache folder, compiled at start and by an
order; config first, then one's own machine, then the catalogue."""
import json

import pytest

from harness import ask, eventually

KEY = {"authorization": "Bearer sk-test-k"}
LITELLM = {
    "groq/m": {"litellm_provider": "groq", "mode": "chat", "input_cost_per_token": 2.5e-06, "output_cost_per_token": 1e-05,
               "cache_read_input_token_cost": 2.5e-07, "max_input_tokens": 131072, "max_output_tokens": 8192,
               "supports_function_calling": True, "supports_vision": True},
    "groq/long": {"litellm_provider": "groq", "mode": "chat", "input_cost_per_token": 1e-06, "output_cost_per_token": 2e-06,
                  "input_cost_per_token_above_32k_tokens": 1e-05, "output_cost_per_token_above_32k_tokens": 2e-05},
}
GENAI = [{"id": "groq", "models": [
    {"id": "m", "match": {"equals": "m"}, "context": 131072, "prices": [{"from": None, "input": "3", "output": "10"}]},
    {"id": "only", "match": {"starts_with": "only-"}, "context": 4096,
     "prices": [{"from": None, "input": "0.5", "output": "1.5"}]}]}]


def tables(folder, litellm=LITELLM, genai=GENAI):
    folder = folder / "cache/catalogue"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "litellm.json").write_text(json.dumps(litellm))
    (folder / "genai-prices.json").write_text(json.dumps(genai))
    (folder / "versions.json").write_text(json.dumps({"litellm": "9.8.7", "genai-prices": "6.5.4"}))


def endpoint(sim, **more):
    return {**sim.endpoint("groq", "groq", models=["m", "long", "only-1", "nobody"]), "url": sim.url + "/v1", **more}


@pytest.fixture
def priced(sim, gridtie, tmp_path):
    """A daemon that has compiled its tables."""
    def make(config=None):
        daemon = gridtie({"endpoints": [endpoint(sim)], **(config or {})})
        tables(daemon.folder)
        reply = daemon.post("/gridtie/v1/catalogue/update", headers=KEY)
        assert reply.status == 200, reply.text
        eventually(lambda: daemon.get("/gridtie/v1/catalogue", KEY).json["present"], what="a snapshot with the catalogue")
        return daemon
    return make


def model(daemon, name):
    return next(m for m in daemon.get("/v1/models").json["data"] if m["id"] == name)


def test_a_known_model_has_a_price_and_its_budget_works(priced, sim):
    daemon = priced({"keys": [{"name": "k", "secret": "sk-test-k", "budgets": [{"amount": "1 USD"}]}]})
    sim.always(usage={"input": 1000, "output": 200})
    for name, cost in (("groq/m", "0.0045"), ("groq/only-1", "0.0008")):
        reply, _ = ask(daemon, "openai", name, headers=KEY)
        assert reply.status == 200, reply.text
        assert reply.headers["x-gridtie-cost-usd"] == cost
    reply, _ = ask(daemon, "openai", "groq/nobody", headers=KEY)
    assert reply.status == 402, "a price that nobody knows is none"


def test_above_a_tier_all_of_it_costs_the_tiers_price(priced, sim):
    daemon = priced()
    for tokens, cost in ((32000, "0.0322"), (32001, "0.32201")):
        sim.always(usage={"input": tokens, "output": 100})
        reply, _ = ask(daemon, "openai", "groq/long", "word " * 32000)
        assert reply.headers["x-gridtie-cost-usd"] == cost


def test_the_configs_word_comes_first(priced, sim):
    daemon = priced({"catalogue": {"models": [{"name": "groq/m", "input": "7 USD/M", "output": "0 USD/M", "context": 99},
                                              {"name": "groq/long", "context": 77}]}})
    sim.always(usage={"input": 1000, "output": 200})
    assert ask(daemon, "openai", "groq/m")[0].headers["x-gridtie-cost-usd"] == "0.007"
    found = {m["name"]: m for m in daemon.get("/gridtie/v1/models").json["models"]}
    assert (found["groq/m"]["price_from"], found["groq/m"]["context"]) == ("config", 99)
    assert (found["groq/long"]["price_from"], found["groq/long"]["context"]) == ("catalogue", 77)
    assert found["groq/nobody"]["price_from"] is None and found["groq/nobody"]["price_picousd_per_token"] is None


def test_lists_say_what_is_known(priced):
    daemon = priced()
    m = model(daemon, "groq/m")
    assert m["context_length"] == 131072 and m["zone"] == "cloud" and m["owned_by"] == "groq"
    assert m["architecture"] == {"input_modalities": ["text", "image"], "output_modalities": ["text"]}
    assert m["pricing"] == {"prompt": "0.0000025", "completion": "0.00001", "input_cache_read": "0.00000025"}
    assert "pricing" not in model(daemon, "groq/nobody")
    shown = daemon.get("/gridtie/v1/catalogue?model=m").json
    assert shown["targets"][0]["name"] == "groq/m" and shown["targets"][0]["price_from"] == "catalogue"
    assert {m["model"] for m in shown["models"]} == {"m"}
    summary = daemon.get("/gridtie/v1/catalogue").json
    assert summary["versions"] == {"litellm": "9.8.7", "genai-prices": "6.5.4"} and summary["models"] == 2
    [differs] = daemon.get("/gridtie/v1/catalogue/diff").json["models"]
    assert differs["facts"]["genai_prices_picousd_per_token"]["input"] == 3000000


def test_without_a_catalogue_all_goes_on(sim, gridtie):
    daemon = gridtie({"endpoints": [endpoint(sim)]})
    reply, _ = ask(daemon, "openai", "groq/m")
    assert reply.status == 200 and reply.headers["x-gridtie-cost-usd"] == "unknown"
    assert daemon.get("/gridtie/v1/catalogue").json == {"present": False}
    assert daemon.get("/gridtie/v1/catalogue?model=m").json["models"] == []
    assert daemon.get("/gridtie/v1/catalogue/diff").json == {"present": False, "models": []}
    reply = daemon.post("/gridtie/v1/catalogue/update")
    assert reply.status == 404 and "no tables" in reply.text


def test_a_broken_table_changes_nothing(priced, sim):
    daemon = priced()
    for text in ("<html>", "[", "[]", ""):
        (daemon.folder / "cache/catalogue/litellm.json").write_text(text)
        reply = daemon.post("/gridtie/v1/catalogue/update")
        if text:
            assert reply.status >= 400 and "litellm.json" in reply.text, text
            sim.always(usage={"input": 1000, "output": 200})
            assert ask(daemon, "openai", "groq/m")[0].headers["x-gridtie-cost-usd"] == "0.0045"
    assert daemon.get("/gridtie/v1/catalogue").json["models"] == 0, "an empty file is a table of nothing"


def test_the_next_start_has_it_at_once_and_takes_newer_tables(priced, sim):
    daemon = priced()
    daemon.stop()
    daemon.restart()
    assert model(daemon, "groq/m")["pricing"]["prompt"] == "0.0000025"
    table = daemon.folder / "data/gridtie/catalogue.table"
    table.write_bytes(table.read_bytes()[:-1])
    daemon.stop()
    daemon.restart()
    eventually(lambda: daemon.get("/gridtie/v1/catalogue").json["present"], what="a new one in place of the broken one")


def test_a_machine_of_ones_own_costs_its_energy(sim, gridtie):
    daemon = gridtie({"endpoints": [endpoint(sim, zone="edge", watts=300)], "catalogue": {"kwh": "0.30 USD"}})
    tables(daemon.folder)
    assert daemon.post("/gridtie/v1/catalogue/update").status == 200
    sim.always(usage={"input": 1000, "output": 200}, chunk_ms=5)
    assert ask(daemon, "openai", "groq/m", stream=True)[0].status == 200

    def look():
        found = next(m for m in daemon.get("/gridtie/v1/models").json["models"] if m["name"] == "groq/m")
        return found["price_from"] == "energy" and found
    found = eventually(look, seconds=30, what="a price by measured times")
    price = found["price_picousd_per_token"]
    assert price["input"] > 0 and price["output"] > 0 and price["cache_read"] == 0
