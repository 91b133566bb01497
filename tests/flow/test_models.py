# SPDX-License-Identifier: Apache-2.0
"""Names, lists, headers, metrics, money and why."""
import json
import re

import pytest

from harness import DIALECTS, Client, ask, assert_error_shape, chat, error_text, eventually, free_port, order

pytestmark = pytest.mark.tsan

both = pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
each = pytest.mark.parametrize("client", DIALECTS)
PRICES = {"models": [{"name": "o/m", "input": "2.50 USD/M", "output": "10 USD/M"},
                     {"name": "a/m", "input": "0.000001 USD/M", "output": "3.141592 USD/M"}]}


@each
def test_an_unknown_model_is_404_with_what_is_near(three, client):
    for name in ("openai/mm", "nothing-like-it", "openia/m", "m3"):
        path, body = chat(client, name)
        reply = three.daemon.post(path, body)
        assert reply.status == 404, name
        text = assert_error_shape(client, reply)
        assert name in text and re.search(r"(openai|anthropic|ollama)/m", text), text
    assert not three.sim.requests()


def test_a_bare_name_goes_by_config_order_and_endpoint_names_win(sims, gridtie):
    first, second = sims(), sims()
    daemon = gridtie({"endpoints": [first.endpoint("one", models=["m", "only1"]), second.endpoint("two", models=["m", "n"])]})
    for name, target in (("m", "one/m"), ("two/m", "two/m"), ("n", "two/n"), ("only1", "one/only1"), ("one/m", "one/m")):
        reply, _ = ask(daemon, "openai", name)
        assert reply.headers["x-gridtie-target"] == target
    first.always(error="server_error")
    reply, _ = ask(daemon, "openai", "m")
    assert reply.headers["x-gridtie-target"] == "two/m", "a bare name has a second chance"
    reply, _ = ask(daemon, "openai", "one/m")
    assert reply.status >= 500, "endpoint/model means that one"


@each
def test_tools_for_a_model_that_has_none_are_400_with_a_way_out(sim, gridtie, client):
    """Of a provider that they are not emulated for."""
    daemon = gridtie({"endpoints": [sim.endpoint("o", models=[{"name": "m", "tools": False, "vision": False}]),
                                    sim.endpoint("far")]})
    reply, _ = ask(daemon, client, "o/m", tools=True)
    text = assert_error_shape(client, reply)
    assert reply.status == 400 and "o/m (cloud): cannot call tools" in text, text
    assert "These could: far/m; or leave out `tools`" in text, text
    if client == "openai":
        assert reply.json["error"]["param"] == "tools"
    assert not sim.requests() and ask(daemon, client, "o/m")[0].status == 200


def test_ollamas_latest_is_the_same_model(three):
    for name in ("openai/m:latest", "m:latest"):
        assert ask(three.daemon, "ollama", name)[0].status == 200


def test_a_route_has_its_name_in_the_lists_and_in_why(sim, gridtie):
    daemon = gridtie({"endpoints": [sim.endpoint("o")], "routes": {"coding": ["o/m"]}})
    reply, _ = ask(daemon, "anthropic", "coding")
    assert daemon.why(reply)["route"] == "coding"
    assert "coding" in [m["id"] for m in daemon.get("/v1/models").json["data"]]


def test_an_endpoint_without_a_model_list_is_asked_for_it(sims, gridtie):
    sim = sims("--models", "alpha,beta")
    rows = [{k: v for k, v in sim.endpoint(d, d).items() if k != "models"} for d in DIALECTS]
    daemon = gridtie({"endpoints": rows})
    eventually(lambda: {f"{d}/{m}" for d in DIALECTS for m in ("alpha", "beta")} <=
               {m["id"] for m in daemon.get("/v1/models").json["data"]}, 10, "the discovered models")
    for d in DIALECTS:
        assert ask(daemon, "openai", f"{d}/beta")[0].status == 200


def test_model_lists_have_the_shape_of_each_dialect(three):
    data = three.daemon.get("/v1/models").json
    assert data["object"] == "list" and {"id", "object", "created", "owned_by"} <= set(data["data"][0])
    assert {m["id"] for m in data["data"]} == {f"{d}/m" for d in DIALECTS}
    data = three.daemon.get("/v1/models", {"anthropic-version": "2023-06-01"}).json
    assert {"type", "id", "display_name", "created_at"} <= set(data["data"][0]) and data["has_more"] is False
    assert data["first_id"] and data["last_id"]
    tags = three.daemon.get("/api/tags").json["models"]
    assert {"name", "model", "modified_at", "size", "digest", "details"} <= set(tags[0])
    assert len({m["digest"] for m in tags}) == len(tags), "its clients take models of one digest for one"
    assert all(re.fullmatch("[0-9a-f]{64}", m["digest"]) for m in tags)
    assert three.daemon.get("/v1/models/openai/m").json["id"] == "openai/m"
    assert three.daemon.get("/v1/models/openai/none").status == 404
    assert three.daemon.get("/v1/models/").json == three.daemon.get("/models").json == three.daemon.get("/v1/models").json
    for path, headers in (("/v1beta/models", {}), ("/v1/models", {"x-goog-api-key": "k"}), ("/v1/models?key=k", {}),
                          ("/v1beta/models?pageSize=9&key=k", {})):
        models = three.daemon.get(path, headers).json["models"]
        assert {m["name"] for m in models} == {f"models/{d}/m" for d in DIALECTS}, path
        assert "generateContent" in models[0]["supportedGenerationMethods"] and models[0]["displayName"]
    assert three.daemon.get("/v1beta/models/openai/m").json["name"] == "models/openai/m"
    reply = three.daemon.get("/v1beta/models/openai/none")
    assert reply.status == 404 and assert_error_shape("gemini", reply)


def test_one_model_is_found_by_every_name_that_a_request_may_use(sim, gridtie):
    daemon = gridtie({"endpoints": [sim.endpoint("o")], "routes": {"coding": ["o/m"]}})
    for name, found in (("coding", "coding"), ("o/m", "o/m"), ("o%2Fm", "o/m"), ("m", "o/m"), ("%6D", "o/m")):
        assert daemon.get(f"/v1/models/{name}").json["id"] == found
        assert daemon.get(f"/models/{name}").json["id"] == found
        assert daemon.get(f"/v1/models/{name}", {"anthropic-version": "2023-06-01"}).json["id"] == found
        assert daemon.get(f"/v1beta/models/{name}").json["name"] == f"models/{found}"
    assert daemon.get("/v1/models/o%252Fm").status == 404


def pages(ask_for, ids, after):
    """Follows a list to its end: the ids of each page."""
    found, more = [], {}
    while more is not None:
        reply = ask_for(more)
        assert reply.status == 200, reply.text
        found.append(ids(reply.json))
        more = after(reply.json)
    return found


def test_lists_come_in_pages(sim, gridtie):
    names = [f"m{i}" for i in range(25)]
    daemon = gridtie({"endpoints": [sim.endpoint("o", models=names)], "routes": {"coding": ["o/m1"]}})
    all_ids = [f"o/{n}" for n in names] + ["coding"]
    version = {"anthropic-version": "2023-06-01"}

    def anthropic(query):
        return daemon.get("/v1/models?" + "&".join(f"{k}={v}" for k, v in query.items()), version)

    def ids(j):
        page = [m["id"] for m in j["data"]]
        assert (j["first_id"], j["last_id"]) == ((page[0], page[-1]) if page else (None, None))
        return page

    def forth(limit):
        return lambda j: {"limit": limit, "after_id": j["last_id"].replace("/", "%2F")} if j["has_more"] else None

    assert [len(p) for p in pages(anthropic, ids, lambda j: {"after_id": j["last_id"]} if j["has_more"] else None)] == [20, 6]
    for limit in (1, 7, 25, 26, 1000):
        got = pages(lambda q: anthropic(q or {"limit": limit}), ids, forth(limit))
        assert sum(got, []) == all_ids and {len(p) for p in got[:-1]} <= {limit}
    back = pages(lambda q: anthropic(q or {"limit": 10, "before_id": "coding"}), ids,
                 lambda j: {"limit": 10, "before_id": j["first_id"]} if j["has_more"] else None)
    assert back == [all_ids[15:25], all_ids[5:15], all_ids[0:5]]
    for wrong in ({"limit": 0}, {"limit": 1001}, {"limit": "x"}, {"after_id": "o/none"}, {"before_id": "o/none"}):
        reply = anthropic(wrong)
        assert reply.status == 400 and assert_error_shape("anthropic", reply), wrong

    def gemini(query):
        return daemon.get("/v1beta/models?" + "&".join(f"{k}={v}" for k, v in query.items()))

    for size in (1, 7, 26, 5000):
        got = pages(lambda q: gemini(q or {"pageSize": size}), lambda j: [m["name"][7:] for m in j["models"]],
                    lambda j: {"pageSize": size, "pageToken": j["nextPageToken"]} if "nextPageToken" in j else None)
        assert sum(got, []) == all_ids and {len(p) for p in got[:-1]} <= {size}
    for wrong in ({"pageSize": -1}, {"pageSize": "x"}, {"pageToken": "x"}, {"pageToken": 27}):
        reply = gemini(wrong)
        assert reply.status == 400 and assert_error_shape("gemini", reply), wrong


def test_ollamas_small_addresses_answer(three):
    assert re.fullmatch(r"\d+\.\d+\.\d+", three.daemon.get("/api/version").json["version"])
    assert three.daemon.get("/api/ps").json["models"] == []
    show = three.daemon.post("/api/show", {"model": "openai/m"})
    assert show.status == 200 and "details" in show.json and "model_info" in show.json
    assert three.daemon.post("/api/show", {"model": "none"}).status == 404
    assert three.daemon.post("/api/show", {"name": "openai/m"}).status == 200, "the old spelling"
    assert three.daemon.get("/healthz").text == "ok\n"


# ---- what an answer says of itself


@each
@both
def test_an_answer_names_its_id_target_zone_cost_and_time(three, client, stream):
    reply, _ = ask(three.daemon, client, "openai/m", stream=stream)
    h = reply.headers
    assert re.fullmatch(r"x[0-9a-f]{10,}", h["x-gridtie-id"])
    own = {"openai": "x-request-id", "responses": "x-request-id", "anthropic": "request-id"}.get(client)
    assert own is None or h[own] == h["x-gridtie-id"], "its SDK shows it with answers and errors"
    assert (h["x-gridtie-target"], h["x-gridtie-zone"]) == ("openai/m", "cloud")
    assert "total;dur=" in h["server-timing"] and "decide;dur=" in h["server-timing"]
    cost = reply.trailers if stream else h
    assert cost["x-gridtie-cost-usd"] == "unknown", "no price is known"
    assert three.daemon.why(reply)["cost_picousd"] is None


def test_ids_are_never_twice(three):
    with Client(three.daemon.port) as c:
        ids = set()
        for _ in range(50):
            path, body = chat("openai", "openai/m")
            c.request("POST", path, body)
            ids.add(c.reply().headers["x-gridtie-id"])
    assert len(ids) == 50


@each
@both
def test_a_known_price_gives_the_exact_cost_and_it_is_the_providers_bill(sims, gridtie, client, stream):
    sim = sims("--price", "2.5:10")
    daemon = gridtie({"endpoints": [sim.endpoint("o"), sim.endpoint("a", "anthropic")], "catalogue": PRICES})
    for tokens_in, tokens_out in ((1, 1), (1234, 567), (99_999_999, 1), (0, 3)):
        reply, _ = ask(daemon, client, "o/m", order(usage={"input": tokens_in, "output": tokens_out}), stream)
        exact = tokens_in * 2_500_000 + tokens_out * 10_000_000
        eventually(lambda: sim.bill() and sim.bill()[-1]["cost_picousd"] == exact, 5, "the provider's bill")
        why = daemon.why(reply)
        assert why["cost_picousd"] == exact and why["attempts"][0]["cost_picousd"] == exact
        header = (reply.trailers if stream else reply.headers)["x-gridtie-cost-usd"]
        assert picousd(header) == exact
        if stream:
            assert picousd(reply.headers["x-gridtie-cost-estimate-usd"]) > 0
    reply, _ = ask(daemon, client, "a/m", order(usage={"input": 1_000_003, "output": 7}), stream)
    assert daemon.why(reply)["cost_picousd"] == 1_000_003 * 1 + 7 * 3_141_592
    totals = daemon.get("/gridtie/v1/totals").json
    assert totals["settled_picousd"] == sum(r["cost_picousd"] for r in daemon.get("/gridtie/v1/log").json["exchanges"])


def picousd(text):
    whole, _, frac = text.partition(".")
    return int(whole) * 10**12 + int((frac + "0" * 12)[:12])


def test_cached_tokens_are_priced_apart(sim, gridtie):
    price = {"name": "o/m", "input": "10 USD/M", "output": "20 USD/M", "cached_input": "1 USD/M"}
    daemon = gridtie({"endpoints": [sim.endpoint("o")], "catalogue": {"models": [price]}})
    reply, _ = ask(daemon, "openai", "o/m", order(usage={"input": 100, "output": 10, "cached": 60}))
    assert daemon.why(reply)["cost_picousd"] == 40 * 10_000_000 + 60 * 1_000_000 + 10 * 20_000_000


def test_a_failed_attempt_costs_nothing_and_the_next_is_counted(sims, gridtie):
    bad, good = sims(), sims()
    bad.always(error="server_error")
    daemon = gridtie({"endpoints": [bad.endpoint("o"), good.endpoint("a")], "routes": {"r": ["o/m", "a/m"]},
                      "catalogue": PRICES})
    reply, _ = ask(daemon, "openai", "r", order(usage={"input": 10, "output": 10}))
    why = daemon.why(reply)
    assert why["attempts"][0]["cost_picousd"] == 0 and why["cost_picousd"] == 10 + 10 * 3_141_592


# ---- why, log, metrics


def test_why_tells_the_whole_way(three):
    reply, _ = ask(three.daemon, "anthropic", "openai/m", order(usage={"input": 11, "output": 5}))
    why = three.daemon.why(reply)
    assert (why["dialect"], why["model"], why["status"], why["err"]) == ("anthropic", "openai/m", 200, None)
    at = why["attempts"][0]
    assert (at["target"], at["http_status"], at["usage"]["input_tokens"]) == ("openai/m", 200, 11)
    assert at["reason"] and at["sent"] and at["start_ms"] <= at["connected_ms"] <= at["end_ms"]
    assert why["label"] == "public" and why["steps"]["read"] is not None and why["steps"]["settle"] is not None
    assert three.daemon.why("last")["id"]
    assert three.daemon.get("/gridtie/v1/why/x0000").status == 404


def test_log_lists_the_newest_first_and_filters(three):
    for i in range(3):
        ask(three.daemon, "openai", "openai/m")
    three.sim.script([{"error": "server_error"}])
    failed, _ = ask(three.daemon, "openai", "ollama/m")
    three.daemon.why(failed)
    rows = three.daemon.get("/gridtie/v1/log?limit=2").json["exchanges"]
    assert len(rows) == 2 and rows[0]["id"] == failed.headers["x-gridtie-id"]
    rows = three.daemon.get("/gridtie/v1/log?status=failed&target=ollama%2Fm").json["exchanges"]
    assert rows and all(r["err"] for r in rows)


def test_the_commands_why_and_log_show_the_same(three):
    reply, _ = ask(three.daemon, "openai", "openai/m")
    name = reply.headers["x-gridtie-id"]
    three.daemon.why(reply)
    done = three.daemon.cli("why", name, "--json")
    assert done.returncode == 0 and json.loads(done.stdout)["id"] == name, done.stderr
    done = three.daemon.cli("log", "--json")
    assert done.returncode == 0 and name in done.stdout


def test_a_tokens_time_is_known_of_streams_not_of_whole_answers(sims, gridtie):
    daemon = gridtie({"endpoints": [sims().endpoint("o")]})
    seen = 'gridtie_token_seconds_count{target="o/m",zone="cloud"}'
    assert seen in daemon.metrics(), [k for k in daemon.metrics() if k.startswith("gridtie_token_seconds_count")]
    for stream, count in ((False, 0), (True, 1)):
        assert ask(daemon, "openai", "o/m", order(words=9), stream)[0].status == 200
        eventually(lambda: daemon.metrics()["gridtie_exchanges"] == 0, 5, "all settled")
        assert daemon.metrics()[seen] == count


def test_metrics_parse_and_move_by_target(three):
    before = three.daemon.metrics()
    for _ in range(3):
        ask(three.daemon, "openai", "openai/m", order(usage={"input": 10, "output": 4}))
    three.sim.script([{"error": "overloaded"}])
    ask(three.daemon, "anthropic", "anthropic/m")
    # An answer is there a moment before its exchange is settled and counted.
    after = eventually(lambda: next((m for m in [three.daemon.metrics()] if m["gridtie_exchanges"] == 0), None), 5, "all settled")
    labels = '{target="openai/m",zone="cloud"}'

    def moved(name):
        return after.get(name, 0) - before.get(name, 0)
    assert moved("gridtie_attempts_total" + labels) == 3
    assert moved("gridtie_input_tokens_total" + labels) == 30
    assert moved("gridtie_output_tokens_total" + labels) == 12
    assert moved('gridtie_attempt_errors_total{target="anthropic/m",zone="cloud",class="up_overloaded"}') == 1
    assert moved('gridtie_requests_total{result="ok"}') == 3
    assert after["gridtie_exchanges"] == 0
    assert moved('gridtie_first_token_seconds_count' + labels) == 3


def test_status_endpoints_and_models_are_json(three):
    status = three.daemon.get("/gridtie/v1/status").json
    assert status["pid"] == three.daemon.pid and status["targets"] == len(DIALECTS) and str(three.daemon.port) in str(status["listen"])
    rows = three.daemon.get("/gridtie/v1/endpoints").json["endpoints"]
    assert {r["name"] for r in rows} >= set(DIALECTS) and "upstream-key" not in json.dumps(rows)
    assert {m["name"] for m in three.daemon.get("/gridtie/v1/models").json["models"]} >= {"openai/m"}


@each
def test_a_loop_of_gateways_ends_with_508(gridtie, client):
    port = free_port()
    me = {"name": "me", "provider": "openai", "url": f"http://127.0.0.1:{port}/v1", "zone": "cloud", "models": ["me/m"]}
    daemon = gridtie({"listen": [f"127.0.0.1:{port}"], "endpoints": [me]})
    path, body = chat(client, "me/me/m", "round and round")
    for hops in ("4", "1000", "1001", "99999999999999999999999"):
        reply = daemon.post(path, body, {"x-gridtie-hop": hops, "x-gridtie-deadline-ms": "5000"})
        assert reply.status == 508, hops
        assert_error_shape(client, reply)
        assert error_text(client, reply)
    for hops in ("", "-1", "one", "1 2"):
        reply = daemon.post(path, body, {"x-gridtie-hop": hops, "x-gridtie-deadline-ms": "5000"})
        assert reply.status == 400 and "x-gridtie-hop: expected a number" in error_text(client, reply), hops
    reply = daemon.post(path, body)
    assert 400 <= reply.status < 600
    assert daemon.metrics()['gridtie_requests_total{result="loop"}'] >= 2


@each
def test_an_empty_chat_of_ollama_loads_the_model_and_no_more(three, client):
    if client != "ollama":
        return
    reply = three.daemon.post("/api/chat", {"model": "openai/m", "messages": []})
    assert reply.status == 200 and reply.json["done"] is True and not three.sim.requests()
