# SPDX-License-Identifier: Apache-2.0
"""What is found without being listed: servers on ports of this machine, keys in the usual variables."""
import shutil

import pytest

from harness import BIN, Sim, ask, eventually

KEYS = {"OPENAI_API_KEY": "sk-of-the-environment", "GROQ_API_KEY": "gsk-of-the-environment"}


def look_at(*ports, **more):
    """A config that looks at these ports and no others, and not for keys."""
    return {"discovery": {"keys": False, "ports": list(ports)}, **more}


def endpoints(daemon):
    return {e["name"]: e for e in daemon.get("/gridtie/v1/endpoints").json["endpoints"]}


def ids(daemon):
    return {m["id"] for m in daemon.get("/v1/models").json["data"]}


@pytest.mark.tsan
def test_an_ollama_on_a_port_is_found_used_and_its_cloud_models_are_cloud(sims, gridtie):
    sim = sims("--models", "qwen3:8b,gpt-oss:120b-cloud")
    daemon = gridtie(look_at(f"ollama:{sim.port}"))
    eventually(lambda: "ollama/qwen3:8b" in ids(daemon), 10, "the discovered model")
    row = endpoints(daemon)["ollama"]
    assert (row["provider"], row["zone"], row["found_by"]) == ("ollama", "edge", "port")
    reply, _ = ask(daemon, "openai", "qwen3:8b")
    assert reply.status == 200 and reply.headers["x-gridtie-zone"] == "edge"
    reply, _ = ask(daemon, "openai", "gpt-oss:120b-cloud")
    assert reply.headers["x-gridtie-zone"] == "cloud"
    reply, _ = ask(daemon, "openai", "qwen3:8b", headers={"x-gridtie-label": "secret"})
    assert reply.status == 403, "only the device may have a secret"


def test_a_server_that_starts_later_is_found(sims, gridtie, tmp_path):
    first = sims()
    port = first.port
    first.kill()
    daemon = gridtie(look_at(f"ollama:{port}"))
    assert not endpoints(daemon)
    folder = tmp_path / "later"
    folder.mkdir()
    later = Sim(folder, "--listen", f"127.0.0.1:{port}")
    try:
        eventually(lambda: "ollama/m" in ids(daemon), 20, "the later server's model")
    finally:
        later.stop()


@pytest.mark.parametrize("owner,name,zone", [("vllm", "vllm", "edge"), ("organization_owner", "lmstudio", "edge"),
                                             ("humanity", "gpt4all", "edge"), ("sim", None, "cloud"),
                                             ("llamacpp", "llama-server", "edge")])
def test_a_server_is_known_by_what_its_list_says(sims, gridtie, owner, name, zone):
    """Whatever was expected at the port; and a stranger that says it is a llama-server is none of the device's."""
    sim = sims("--owner", owner)
    daemon = gridtie(look_at(f"vllm:{sim.port}"))
    name = name or f"port-{sim.port}"
    row = eventually(lambda: endpoints(daemon).get(name), 10, name)
    assert row["zone"] == zone
    eventually(lambda: f"{name}/m" in ids(daemon), 10, "its model")


def test_a_llama_server_of_this_user_is_the_device(tmp_path, gridtie):
    folder = tmp_path / "server"
    folder.mkdir()
    program = folder / "llama-server"
    shutil.copy(BIN, program)
    sim = Sim(folder, "--owner", "llamacpp", binary=program)
    try:
        daemon = gridtie(look_at(f"llama-server:{sim.port}"))
        eventually(lambda: "llama-server/m" in ids(daemon), 10, "its model")
        assert endpoints(daemon)["llama-server"]["zone"] == "device"
        reply, _ = ask(daemon, "openai", "m", headers={"x-gridtie-label": "secret"})
        assert reply.status == 200 and reply.headers["x-gridtie-zone"] == "device"
    finally:
        sim.stop()


def test_a_tunnel_is_the_cloud(tmp_path, gridtie):
    folder = tmp_path / "tunnel"
    folder.mkdir()
    program = folder / "ssh"
    shutil.copy(BIN, program)
    sim = Sim(folder, binary=program)
    try:
        daemon = gridtie(look_at(f"ollama:{sim.port}"))
        assert eventually(lambda: endpoints(daemon).get("ollama"), 10, "the endpoint")["zone"] == "cloud"
    finally:
        sim.stop()


def test_another_gridtie_is_passed_by(sims, gridtie):
    sim = sims()
    other = gridtie({"endpoints": [sim.endpoint("o")]})
    daemon = gridtie(look_at(f"ollama:{other.port}"))
    eventually(lambda: "passed_by" in daemon.stderr, 10, "the look at the other one")
    assert not endpoints(daemon)


def test_what_config_has_is_not_found_twice(sims, gridtie):
    sim = sims()
    mine = {"name": "mine", "provider": "ollama", "url": sim.url, "zone": "cloud"}
    daemon = gridtie(look_at(f"ollama:{sim.port}", endpoints=[mine]))
    eventually(lambda: "mine/m" in ids(daemon), 10, "the model")
    assert set(endpoints(daemon)) == {"mine"}
    daemon.reload({"discovery": {"keys": False, "ports": [f"ollama:{sim.port}"]}})
    eventually(lambda: "ollama/m" in ids(daemon), 10, "the model under its new name")
    daemon.reload({"discovery": False})
    assert not endpoints(daemon)


def test_usual_variables_make_endpoints_that_can_be_switched_off(gridtie):
    config = {"discovery": {"ports": []}, "offline": True}  # offline: nothing of this test leaves the machine
    daemon = gridtie(config, env=KEYS)
    rows = endpoints(daemon)
    assert {name: (r["zone"], r["found_by"]) for name, r in rows.items()} == {
        "openai": ("cloud", "OPENAI_API_KEY"), "groq": ("cloud", "GROQ_API_KEY")}
    assert "of-the-environment" not in str(rows) + daemon.stderr
    reply, _ = ask(daemon, "openai", "groq/llama-3.3-70b", headers={"x-gridtie-label": "internal"})
    assert reply.status == 403, "a cloud that may keep what it is sent"
    daemon.reload({"discovery": {"ports": [], "keys": False}, "offline": True})
    assert not endpoints(daemon)


def test_a_route_may_name_a_provider_that_is_only_found(sims, gridtie):
    sim = sims()
    daemon = gridtie(look_at(f"ollama:{sim.port}", routes={"r": ["ollama/m"]}))
    eventually(lambda: "ollama/m" in ids(daemon), 10, "the model")
    assert ask(daemon, "openai", "r")[0].headers["x-gridtie-target"] == "ollama/m"
