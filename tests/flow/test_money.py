# SPDX-License-Identifier: Apache-2.0
"""Budgets, keys and runs: what a client may spend, what goes over the wire for it, who waits, who is refused, and what
stands in the ledger after kills, full disks and clocks that go back. The providers' own bills are the measure."""
import json
import random
import signal
import threading
import time
from datetime import datetime, timezone

import pytest

from harness import (DIALECTS, FINISH, Client, ask, assert_error_shape, chat, complete_config, error_text, eventually,
                     order, read)
from storm import Storm

USD = 10**12
each = pytest.mark.parametrize("client", DIALECTS)
both = pytest.mark.parametrize("stream", [True, False], ids=["stream", "whole"])
BAR = {"Authorization": "Bearer secret-of-bar"}


def config(sim, *budgets, provider="openai", price=(250, 1000), **more):
    return {"endpoints": [sim.endpoint("mock", provider, ["mock"])],
            "catalogue": {"models": [{"name": "mock/mock", "input": f"{price[0]} USD/M", "output": f"{price[1]} USD/M"}]},
            "keys": [{"name": "bar", "secret": "secret-of-bar", "budgets": list(budgets)}], **more}


def priced(sims, *options, price=(250, 1000)):
    return sims("--price", f"{price[0]}:{price[1]}", "--models", "mock", *options)


def bill_usd(sim):
    return sum(row["cost_picousd"] for row in sim.bill()) / USD if sim.bill_path.exists() else 0.0


def budget_of(daemon, key="bar", headers=None):
    rows = daemon.get("/gridtie/v1/spend", headers or BAR).json["budgets"]
    return next(b for b in rows if b.get("key") == key)


def teach(daemon, n=8, words=20, **more):
    """The daemon learns what answers are like."""
    for _ in range(n):
        assert ask(daemon, "openai", "mock/mock", order(words=words, **more), True, headers=BAR)[0].status == 200


# ---- a budget is a promise


AS_WRITTEN = """
catalogue: {models: [{name: mock/mock, input: 250 USD/M, output: 1000 USD/M}]}
keys: [{name: bar, secret_file: ./bar.key, budgets: [{amount: 2 USD, window: total}]}]
"""


def sixty_four(sim, daemon, what):
    """As many clients, half of them streaming, ask until they are refused: the refusals, and the bill as it grew."""
    refused, bills, done = [], [], threading.Event()

    def client(i):
        rng = random.Random(i)
        while True:
            reply, _ = ask(daemon, "openai", "mock/mock", order(**what(rng)), i % 2 == 0, headers=BAR, timeout=60)
            if reply.status != 200:
                refused.append(reply)
                return

    def watch():
        while not done.is_set():
            bills.append(bill_usd(sim))
            time.sleep(0.01)
    threads = [threading.Thread(target=client, args=(i,)) for i in range(64)]
    watcher = threading.Thread(target=watch)
    watcher.start()
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    done.set()
    watcher.join()
    return refused, [*bills, bill_usd(sim)]


@pytest.mark.tsan
@pytest.mark.parametrize("what", [{}, {"words": 400}, {"chunk_ms": 10, "words": 30}, {"first_ms": 150}],
                         ids=["default", "long-at-once", "slow", "late"])
def test_sixty_four_clients_at_once_spend_what_there_is_and_no_more(sims, gridtie, tmp_path, loops, what):
    sim, folder = priced(sims), tmp_path / "gridtie0"
    folder.mkdir()
    (folder / "bar.key").write_text("secret-of-bar\n")
    (folder / "bar.key").chmod(0o600)
    daemon = gridtie(complete_config({"endpoints": [sim.endpoint("mock", "openai", ["mock"])]}, loops) + AS_WRITTEN)
    refused, bills = sixty_four(sim, daemon, lambda rng: what)
    assert max(bills) <= 2 and bills[-1] >= 1.80
    assert len(refused) == 64
    for reply in refused:
        message = assert_error_shape("openai", reply)
        assert reply.status in (402, 429) and "is left of 2 USD" in message and "it does not renew" in message
    budget = budget_of(daemon)
    assert budget["open_picousd"] == 0 and budget["settled_picousd"] >= bill_usd(sim) * USD


def test_answers_of_any_length_that_come_at_once_cost_no_more_than_there_is(sims, gridtie):
    """Longer ones than any before come as long as it goes on, and nobody can end them in time."""
    sim = priced(sims)
    daemon = gridtie(config(sim, {"amount": "20 USD"}))
    _, bills = sixty_four(sim, daemon, lambda rng: {"words": int(rng.lognormvariate(3, 1)) + 1})
    assert max(bills) <= 20 and bills[-1] >= 19
    assert budget_of(daemon)["settled_picousd"] == round(bills[-1] * USD)


@each
def test_a_refusal_is_in_the_dialects_shape_and_says_when_it_renews(sims, gridtie, client):
    sim = priced(sims)
    daemon = gridtie(config(sim, {"amount": "0.01 USD", "window": "day", "time_zone": "Europe/Berlin"}))
    reply, _ = ask(daemon, client, "mock/mock", "x" * 400, headers=BAR)
    message = assert_error_shape(client, reply)
    assert reply.status == 402 and "key 'bar' for today" in message and "0.01 USD is left of 0.01 USD" in message
    renews = budget_of(daemon)["renews"]
    assert renews[:16] in message
    seconds = datetime.fromisoformat(renews.replace("Z", "+00:00")).timestamp() - time.time()
    assert abs(int(reply.headers["retry-after"]) - seconds) < 10
    assert not sim.requests()


def test_a_storm_of_clients_and_kills_stays_below_every_limit(tmp_path, loops):
    storm = Storm(tmp_path, {"whole": 12, "ann": 6, "bob": 5}, loops=loops, seed=loops)
    try:
        report = storm.run(clients=60, seconds=12, kills=2, sim_kills=2)
    finally:
        storm.end()
    assert not report["above_limit"], report
    assert report["open"] == 0 and report["open_picousd"] == 0, report
    assert report["settled_usd"] >= report["bill_usd"] > 2, report
    for budget in report["budgets"].values():
        assert budget["open"] == 0 and budget["waiting"] == 0 and budget["settled"] >= budget["bill"], report


# ---- the bound on the wire


def wire_bound(sim, at=-1):
    body = json.loads(sim.requests()[at]["body"])
    places = {**body, **body.get("options", {}), **body.get("generationConfig", {})}
    names = ("max_tokens", "max_completion_tokens", "max_output_tokens", "num_predict", "maxOutputTokens")
    return next((places[name] for name in names if name in places), None)


@pytest.mark.parametrize("upstream", DIALECTS)
def test_the_wire_carries_a_bound_wherever_a_budget_pays(sims, gridtie, upstream):
    sim = priced(sims)
    routes = {"long": {"targets": ["mock/mock"], "max_tokens": 777}}
    daemon = gridtie(config(sim, {"amount": "100 USD"}, provider=upstream, routes=routes, loopback="owner"))
    ask(daemon, "openai", "mock/mock", headers=BAR)
    assert wire_bound(sim) == 4096
    ask(daemon, "openai", "long", headers=BAR)
    assert wire_bound(sim) == 777
    ask(daemon, "openai", "mock/mock", headers=BAR, max_tokens=55)
    assert wire_bound(sim) == 55
    ask(daemon, "openai", "mock/mock")  # the owner has no budget
    assert wire_bound(sim) == (4096 if upstream == "anthropic" else None)


def test_a_bound_that_can_be_paid_leaves_the_bytes_as_they_are(sims, gridtie):
    sim = priced(sims)
    daemon = gridtie(config(sim, {"amount": "100 USD"}))
    body = '{"max_tokens":50 , "model":"mock","messages":[{"role":"user","content":"h\\u00e9"}]}'
    assert daemon.post("/v1/chat/completions", body, BAR).status == 200
    assert sim.last()["body"] == body


def test_the_bound_is_cut_to_what_is_left(sims, gridtie):
    sim = priced(sims)
    daemon = gridtie(config(sim, {"amount": "0.5 USD"}))
    teach(daemon, 4, words=20, chunk_ms=15)
    left = budget_of(daemon)["left_picousd"]
    reply, a = ask(daemon, "openai", "mock/mock", order(words=2000, chunk_ms=5), headers=BAR)
    assert 100 < wire_bound(sim) <= left // 10**9 and a.finish == "length" and reply.status == 200
    assert 0.40 <= bill_usd(sim) <= 0.5


@each
@both
def test_an_answer_that_can_not_be_paid_for_ends_with_the_dialects_length_reason(sims, gridtie, client, stream):
    sim = priced(sims)
    daemon = gridtie(config(sim, {"amount": "2 USD"}))
    teach(daemon, 8, words=20, chunk_ms=8)
    long = Client(daemon.port, timeout=40)
    path, body = chat(client, "mock/mock", order(words=900, chunk_ms=20), stream)
    long.request("POST", path, body, BAR)
    eventually(lambda: len(sim.requests()) == 9, 5, "it runs")
    assert json.loads(sim.last()["body"])["stream"] is True, "it is followed"
    holders = []  # take all that is free while it runs
    while budget_of(daemon)["waiting"] == 0:
        assert len(holders) < 100
        holders.append(Client(daemon.port))
        holders[-1].request("POST", *chat("openai", "mock/mock", order(words=20, first_ms=20000), True), BAR)
    reply = long.reply()
    a = read(client, reply, stream)
    assert reply.status == 200 and a.ended and a.error is None
    assert a.finish == FINISH[client]["length"] and a.text.startswith("alpha bravo")
    for c in holders:
        c.close()
    why = daemon.why(reply, BAR)
    assert why["finish"] == "length" and any(d["action"] == "cut" for d in why["drops"])
    eventually(lambda: budget_of(daemon)["open_picousd"] == 0, 20, "nothing is open")
    assert bill_usd(sim) <= 2


# ---- waiting


def hold_all(daemon, ms, words=4):
    """A request that holds the whole budget for so long: of its model nothing is known."""
    c = Client(daemon.port)
    path, body = chat("openai", "mock/mock", order(words=words, first_ms=ms), True, max_tokens=60)
    c.request("POST", path, body, BAR)
    eventually(lambda: budget_of(daemon)["open_picousd"] > 0, 5, "a hold")
    return c


def test_who_only_open_money_stands_in_the_way_of_waits_and_is_served(sims, gridtie):
    sim = priced(sims)
    daemon = gridtie(config(sim, {"amount": "0.12 USD"}))
    c = hold_all(daemon, 700)
    reply, a = ask(daemon, "openai", "mock/mock", order(words=5), headers=BAR, max_tokens=50)
    assert reply.status == 200 and a.text.startswith("alpha")
    assert c.reply().status == 200
    assert len(sim.requests()) == 2 and budget_of(daemon)["open_picousd"] == 0


@each
def test_the_wait_is_bounded_and_says_so(sims, gridtie, client):
    sim = priced(sims)
    daemon = gridtie(config(sim, {"amount": "0.12 USD"}, budgets={"wait": "200ms"}))
    c = hold_all(daemon, 3000)
    more = {"options": {"num_predict": 50}} if client == "ollama" else {"max_tokens": 50}
    reply, _ = ask(daemon, client, "mock/mock", headers=BAR, **more)
    assert reply.status == 429 and int(reply.headers["retry-after"]) >= 1
    assert "held by requests that still run" in assert_error_shape(client, reply)
    assert len(sim.requests()) == 1
    c.close()


@pytest.mark.tsan
def test_they_are_served_in_the_order_of_arrival(sims, gridtie):
    sim = priced(sims)
    daemon = gridtie(config(sim, {"amount": "0.12 USD"}, endpoints=[sim.endpoint("mock", "openai", ["mock"])]), loops=1)
    holder = hold_all(daemon, 3000)
    clients = []
    for i in range(5):
        c = Client(daemon.port)
        path, body = chat("openai", "mock/mock", order(f"number {i}", words=1), False, max_tokens=40)
        c.request("POST", path, body, BAR)
        clients.append(c)
        eventually(lambda: budget_of(daemon)["waiting"] == i + 1, 5, "it waits")
    for c in clients:
        assert c.reply().status == 200
    holder.close()
    seen = [json.loads(r["body"])["messages"][0]["content"] for r in sim.requests()[1:]]
    assert [s.split(" [[")[0] for s in seen] == [f"number {i}" for i in range(5)]


@pytest.mark.tsan
def test_a_client_that_leaves_the_queue_frees_its_place(sims, gridtie):
    sim = priced(sims)
    daemon = gridtie(config(sim, {"amount": "0.12 USD"}))
    holder = hold_all(daemon, 900)
    gone = Client(daemon.port)
    path, body = chat("openai", "mock/mock", order(words=1), False, max_tokens=40)
    gone.request("POST", path, body, BAR)
    eventually(lambda: budget_of(daemon)["waiting"] == 1, 5, "it waits")
    gone.close()
    eventually(lambda: budget_of(daemon)["waiting"] == 0, 5, "it is gone")
    assert ask(daemon, "openai", "mock/mock", order(words=1), headers=BAR, max_tokens=40)[0].status == 200
    assert len(sim.requests()) == 2
    holder.close()


def test_a_refused_reservation_moves_on_to_the_next_stage(sims, gridtie):
    sim, free = priced(sims), sims("--models", "m")
    daemon = gridtie({**config(sim, {"amount": "0.001 USD"}),
                      "endpoints": [sim.endpoint("mock", "openai", ["mock"]), free.endpoint("edge", zone="edge")],
                      "routes": {"both": {"targets": ["mock/mock", "edge/m"]}}})
    reply, _ = ask(daemon, "openai", "both", headers=BAR)
    assert reply.status == 200 and reply.headers["x-gridtie-target"] == "edge/m"
    attempts = daemon.why(reply, BAR)["attempts"]
    assert attempts[0]["err"] == "payment" and attempts[0]["outcome"] == "not_sent" and "is left" in attempts[0]["detail"]
    assert not sim.requests()


def test_a_model_without_a_price_is_refused_under_a_budget_unless_config_allows_it(sims, gridtie):
    sim = sims("--models", "m")
    base = {"endpoints": [sim.endpoint("o")],
            "keys": [{"name": "bar", "secret": "secret-of-bar", "budgets": [{"amount": "5 USD"}]},
                     {"name": "free", "secret": "secret-of-free"}]}
    daemon = gridtie(base)
    reply, _ = ask(daemon, "openai", "o/m", headers=BAR)
    assert reply.status == 402 and "price is unknown" in error_text("openai", reply) and not sim.requests()
    assert ask(daemon, "openai", "o/m", headers={"Authorization": "Bearer secret-of-free"})[0].status == 200
    daemon.write_config({**base, "budgets": {"unpriced": "allow"}})
    daemon.signal(signal.SIGHUP)
    eventually(lambda: ask(daemon, "openai", "o/m", headers=BAR)[0].status == 200, 5, "the new config")
    # The answer is there a moment before its line: that goes out when the loop's turn ends.
    row = eventually(lambda: next((r for r in daemon.get("/gridtie/v1/spend", BAR).json["rows"] if r["unpriced"]), None), 5)
    assert row["key"] == "bar" and row["unpriced"] == 1


# ---- what comes back from upstreams


def test_usage_above_the_bound_is_an_overrun_and_is_shown(sims, gridtie):
    sim = priced(sims)
    daemon = gridtie(config(sim, {"amount": "2 USD"}))
    reply, _ = ask(daemon, "openai", "mock/mock", order(words=100, ignore_max=True), headers=BAR, max_tokens=20)
    attempt = daemon.why(reply, BAR)["attempts"][0]
    bill = eventually(sim.bill, 5, "the provider's bill")
    assert attempt["cost_picousd"] == bill[-1]["cost_picousd"] > attempt["reserved_picousd"]
    assert float(attempt["overrun_usd"]) > 0
    row = daemon.get("/gridtie/v1/spend", BAR).json["rows"][0]
    assert row["overrun_picousd"] == attempt["cost_picousd"] - attempt["reserved_picousd"]
    assert budget_of(daemon)["settled_picousd"] == attempt["cost_picousd"]


def in_slow_words(sims, gridtie, amount):
    """A model whose answers have always come slowly, so that little is held of each; and a long one that soon bursts."""
    sim = priced(sims)
    daemon = gridtie(config(sim, {"amount": amount}))
    teach(daemon, 12, words=20, chunk_ms=15)
    return sim, daemon, order(words=3000, chunk_ms=250, slow_chunks=10)


def followed_burst(daemon, text):
    burst = Client(daemon.port, timeout=40)
    burst.request("POST", *chat("openai", "mock/mock", text, True), BAR)
    return burst


def hold_what_is_free(daemon, until):
    holders = []
    while not until():
        assert len(holders) < 200
        before = budget_of(daemon)["open_picousd"]
        holders.append(Client(daemon.port))
        holders[-1].request("POST", *chat("openai", "mock/mock", order(words=5, first_ms=20000), True), BAR)
        eventually(lambda: until() or budget_of(daemon)["open_picousd"] > before, 10, "it holds its own")
    return holders


def test_a_burst_beside_others_holds_is_paid_from_what_was_free(sims, gridtie):
    sim, daemon, text = in_slow_words(sims, gridtie, "3 USD")
    holders = hold_what_is_free(daemon, lambda: budget_of(daemon)["open_picousd"] > USD)
    free = budget_of(daemon)["left_picousd"] - budget_of(daemon)["open_picousd"]
    burst = followed_burst(daemon, text)
    reply = burst.reply()
    a = read("openai", reply, True)
    bound = wire_bound(sim)
    assert 200 < bound <= free // 10**9 and a.finish == "length" and a.error is None
    for c in holders:
        c.close()
    eventually(lambda: budget_of(daemon)["open_picousd"] == 0, 20, "nothing is open")
    assert bound / 1000 < bill_usd(sim) <= 3
    assert bill_usd(sim) * USD <= budget_of(daemon)["settled_picousd"] <= 3 * USD


def test_a_burst_that_nothing_pays_for_any_more_is_cut_booked_and_shown(sims, gridtie):
    sim, daemon, text = in_slow_words(sims, gridtie, "2 USD")
    burst = followed_burst(daemon, text)
    eventually(lambda: len(sim.requests()) == 13, 5, "it runs")
    holders = hold_what_is_free(daemon, lambda: budget_of(daemon)["waiting"] > 0)
    reply = burst.reply()
    a = read("openai", reply, True)
    assert a.finish == "length" and a.error is None
    for c in holders:
        c.close()
    eventually(lambda: budget_of(daemon)["open_picousd"] == 0, 20, "nothing is open")
    eventually(lambda: len(sim.bill()) == len(sim.requests()), 20, "all are billed")
    attempt = daemon.why(reply, BAR)["attempts"][0]
    assert attempt["cost_picousd"] == sim.bill()[12]["cost_picousd"] > USD > attempt["reserved_picousd"]
    assert not attempt["usage"]["estimated"]
    assert attempt["overrun_usd"] and float(attempt["overrun_usd"]) > 0
    row = daemon.get("/gridtie/v1/spend", BAR).json["rows"][0]
    assert row["overrun_picousd"] == attempt["cost_picousd"] - attempt["reserved_picousd"]
    assert f'gridtie_overrun_usd_total{{target="mock/mock",zone="cloud"}} {row["overrun_usd"]}\n' in daemon.get("/metrics", BAR).text
    budget = budget_of(daemon)
    assert budget["settled_picousd"] >= bill_usd(sim) * USD
    assert budget["settled_picousd"] <= 2 * USD + row["overrun_picousd"]
    assert budget["left_picousd"] == 0 and ask(daemon, "openai", "mock/mock", headers=BAR)[0].status == 402


@both
@pytest.mark.parametrize("usage", [{"input": 10**11, "output": 10**11}, {"input": 0, "output": 0}, {"input": 10**15, "output": 1},
                                   {"input": 5, "output": 2**60}, {"input": -5, "output": -7}],
                         ids=["huge", "nothing", "beyond", "overflow", "negative"])
def test_absurd_usage_is_clamped_flagged_and_never_credited(sims, gridtie, usage, stream):
    sim = priced(sims)
    daemon = gridtie(config(sim, {"amount": "200 USD"}))
    if min(usage.values()) < 0:
        body = ('{"id":"x","object":"chat.completion","created":1,"model":"mock","choices":[{"index":0,"message":{"role":'
                '"assistant","content":"four words of text"},"finish_reason":"stop"}],"usage":{"prompt_tokens":-5,'
                '"completion_tokens":-7,"total_tokens":-12}}')
        sim.script([{"body": body}, {"body": body}])
        text = "hello"
    else:
        text = order(text="four words of text", usage=usage)
    ask(daemon, "openai", "mock/mock", "learn this", headers=BAR, max_tokens=100) if min(usage.values()) >= 0 else None
    before = budget_of(daemon)["settled_picousd"]
    reply, a = ask(daemon, "openai", "mock/mock", text, stream, headers=BAR, max_tokens=100)
    assert reply.status == 200 and a.text == "four words of text"
    attempt = daemon.why(reply, BAR)["attempts"][0]
    after = budget_of(daemon)
    assert attempt["cost_picousd"] > 0 and after["settled_picousd"] == before + attempt["cost_picousd"]
    assert after["settled_picousd"] < 20 * USD, "a number that can't be must not spend the budget"
    assert attempt["suspect"] or attempt["usage"]["estimated"], attempt


def test_cancelled_answers_cost_no_less_than_the_provider_bills(sims, gridtie):
    sim = priced(sims)
    daemon = gridtie(config(sim, {"amount": "50 USD"}))
    for chunk_ms in (0, 1, 5, 20):
        for _ in range(5):
            c = Client(daemon.port)
            path, body = chat("openai", "mock/mock", order(words=120, chunk_ms=chunk_ms), True, max_tokens=2000)
            c.request("POST", path, body, BAR)
            c.head()
            c.some()
            time.sleep(0.05)
            c.close()
    eventually(lambda: len(sim.bill()) == 20 and budget_of(daemon)["open_picousd"] == 0, 20, "quiet")
    assert budget_of(daemon)["settled_picousd"] >= bill_usd(sim) * USD


# ---- kills, disks, clocks


def test_what_a_kill_left_open_is_unknown_and_counted_at_what_was_held(sims, gridtie):
    sim = priced(sims)
    daemon = gridtie(config(sim, {"amount": "40 USD"}))
    teach(daemon, 3)
    settled = budget_of(daemon)["settled_picousd"]
    streams = [Client(daemon.port) for _ in range(6)]
    for c in streams:
        path, body = chat("openai", "mock/mock", order(words=400, chunk_ms=10), True, max_tokens=1500)
        c.request("POST", path, body, BAR)
        assert c.head()[0] == 200
    open_before = budget_of(daemon)["open_picousd"]
    daemon.kill()
    for c in streams:
        c.close()
    daemon.restart()
    eventually(lambda: sum(row["cancelled"] for row in sim.bill()) == 6, 10, "the provider notices")
    row = daemon.get("/gridtie/v1/spend", BAR).json["rows"][0]
    budget = budget_of(daemon)
    assert row["unknown"] == 6 and row["unknown_picousd"] == open_before
    assert budget["settled_picousd"] == settled + open_before and budget["open_picousd"] == 0
    assert 0 <= budget["settled_picousd"] - bill_usd(sim) * USD <= open_before
    outcomes = [x["outcome"] for x in daemon.get("/gridtie/v1/log", BAR).json["exchanges"]]
    assert outcomes.count("unknown") == 6


def test_a_hold_that_was_raised_is_known_after_a_kill(sims, gridtie):
    sim = priced(sims)
    daemon = gridtie(config(sim, {"amount": "3 USD"}))
    teach(daemon, 8, words=10, chunk_ms=4)
    settled = budget_of(daemon)["settled_picousd"]
    c = Client(daemon.port)
    path, body = chat("openai", "mock/mock", order(words=300, chunk_ms=4), True)
    c.request("POST", path, body, BAR)
    c.head()
    first = budget_of(daemon)["open_picousd"]
    held = eventually(lambda: (lambda b: b["open_picousd"] > first and b["open_picousd"])(budget_of(daemon)), 10, "a raise")
    daemon.kill()
    c.close()
    daemon.restart()
    assert budget_of(daemon)["settled_picousd"] >= settled + held
    assert eventually(lambda: len(sim.bill()) == 9, 10) and budget_of(daemon)["settled_picousd"] >= bill_usd(sim) * USD


def test_budgets_stand_as_they_were_after_a_restart(sims, gridtie):
    sim = priced(sims)
    daemon = gridtie(config(sim, {"amount": "0.1 USD", "window": "month"}, {"amount": "1 USD"}))
    while ask(daemon, "openai", "mock/mock", order(words=20), headers=BAR)[0].status == 200:
        pass
    before = daemon.get("/gridtie/v1/spend", BAR).json["budgets"]
    for way in ("stop", "kill"):
        getattr(daemon, way)()
        daemon.kill()
        daemon.restart()
        after = daemon.get("/gridtie/v1/spend", BAR).json["budgets"]
        assert [b["settled_picousd"] for b in after] == [b["settled_picousd"] for b in before]
        assert ask(daemon, "openai", "mock/mock", "x" * 100, headers=BAR)[0].status == 402


def test_a_full_disk_refuses_what_it_can_not_account_for(sims, gridtie, tmp_path):
    sim, full = priced(sims), tmp_path / "disk-is-full"
    daemon = gridtie(config(sim, {"amount": "2 USD"}), env={"GRIDTIE_FAULT_DISK": str(full)})
    assert ask(daemon, "openai", "mock/mock", headers=BAR)[0].status == 200
    c = Client(daemon.port)
    path, body = chat("openai", "mock/mock", order(words=30, chunk_ms=20), True, max_tokens=100)
    c.request("POST", path, body, BAR)
    assert c.head()[0] == 200
    full.touch()
    assert ask(daemon, "openai", "mock/mock", headers=BAR)[0].status == 500
    assert len(sim.requests()) == 2, "nothing was sent that no line accounts for"
    while c.some():
        pass
    assert budget_of(daemon)["open_picousd"] == 0, "what ran was settled in memory"
    full.unlink()
    assert ask(daemon, "openai", "mock/mock", headers=BAR)[0].status == 200
    settled = budget_of(daemon)["settled_picousd"]
    assert settled == bill_usd(sim) * USD
    eventually(lambda: daemon.get("/gridtie/v1/spend", BAR).json["total"]["settled_picousd"] == settled, 10, "the rows")
    daemon.kill()
    daemon.restart()
    assert budget_of(daemon)["settled_picousd"] == settled


def seconds_until(when):
    return int(when - time.time())


def at_time(gridtie, sim, when, *budgets):
    """A daemon whose clock shows that time, and how to start it again at another."""
    daemon = gridtie(config(sim, *budgets), env={"GRIDTIE_CLOCK_OFFSET_S": str(seconds_until(when))})

    def again(then):
        daemon.stop()
        daemon.env["GRIDTIE_CLOCK_OFFSET_S"] = str(seconds_until(then))
        daemon.restart()
        return ask(daemon, "openai", "mock/mock", headers=BAR)[0].status
    return daemon, again


def spend_all(daemon):
    while ask(daemon, "openai", "mock/mock", order(words=40), headers=BAR)[0].status == 200:
        pass


def utc(*date):
    return datetime(*date, tzinfo=timezone.utc).timestamp()


def test_a_clock_that_goes_back_reopens_nothing(sims, gridtie):
    sim = priced(sims)
    daemon, again = at_time(gridtie, sim, utc(2027, 5, 10, 0, 20), {"amount": "0.05 USD", "window": "day"})
    spend_all(daemon)
    assert again(utc(2027, 5, 9, 23, 25)) == 402, "an hour back, into the day before"
    assert again(utc(2027, 5, 10, 23, 0)) == 402
    assert again(utc(2027, 5, 11, 0, 1)) == 200, "the next day"


def test_a_month_ends_where_its_zone_says(sims, gridtie):
    sim = priced(sims)
    budget = {"amount": "0.05 USD", "window": "month", "time_zone": "Europe/Berlin"}
    daemon, again = at_time(gridtie, sim, utc(2027, 2, 28, 22, 0), budget)
    spend_all(daemon)
    assert budget_of(daemon)["renews"].startswith("2027-02-28T23:00:00")
    assert again(utc(2027, 2, 28, 22, 55)) == 402
    assert again(utc(2027, 2, 28, 23, 1)) == 200, "it is March in Berlin"
    assert budget_of(daemon)["renews"].startswith("2027-03-31T22:00:00"), "and summer when March ends"


def test_a_day_of_twenty_three_hours_ends_after_them(sims, gridtie):
    sim = priced(sims)
    budget = {"amount": "0.05 USD", "window": "day", "time_zone": "Europe/Berlin"}
    daemon, again = at_time(gridtie, sim, utc(2027, 3, 27, 23, 5), budget)  # the clock goes forward at 01:00 UTC
    spend_all(daemon)
    assert again(utc(2027, 3, 28, 21, 55)) == 402
    assert again(utc(2027, 3, 28, 22, 1)) == 200


# ---- reload


def test_a_reload_changes_limits_and_keeps_what_was_spent(sims, gridtie):
    sim = priced(sims)
    daemon = gridtie(config(sim, {"amount": "0.05 USD"}, loopback="owner"))
    spend_all(daemon)
    spent = budget_of(daemon)["settled_picousd"]
    daemon.reload(config(sim, {"amount": "1 USD"}, loopback="owner"))
    eventually(lambda: ask(daemon, "openai", "mock/mock", headers=BAR)[0].status == 200, 5, "more money")
    daemon.reload(config(sim, {"amount": "1 USD"}, {"amount": "0.05 USD", "window": "month"}, loopback="owner"))
    reply, _ = ask(daemon, "openai", "mock/mock", "x" * 100, headers=BAR)
    assert reply.status == 402 and "for this month" in error_text("openai", reply), "a new budget counts what was before"
    rows = daemon.get("/gridtie/v1/spend", BAR).json["budgets"]
    assert len(rows) == 2 and all(r["settled_picousd"] > spent for r in rows), (rows, spent)
    daemon.reload(config(sim, loopback="owner"))
    eventually(lambda: ask(daemon, "openai", "mock/mock", headers=BAR)[0].status == 200, 5, "no budget any more")


def test_a_reload_that_drops_the_budget_lets_who_waits_go(sims, gridtie):
    sim = priced(sims)
    daemon = gridtie(config(sim, {"amount": "0.12 USD"}, loopback="owner"))
    holder = hold_all(daemon, 4000)
    waiting = Client(daemon.port)
    path, body = chat("openai", "mock/mock", order(words=1), False, max_tokens=60)
    waiting.request("POST", path, body, BAR)
    eventually(lambda: budget_of(daemon)["waiting"] == 1, 5, "it waits")
    daemon.reload(config(sim, loopback="owner"))
    assert waiting.reply().status == 200
    holder.close()


@pytest.mark.tsan
def test_the_whole_has_a_budget_that_all_keys_share(sims, gridtie):
    sim = priced(sims)
    base = config(sim, budgets={"whole": [{"amount": "0.06 USD", "window": "month"}]})
    base["keys"].append({"name": "other", "secret": "secret-of-other"})
    daemon = gridtie(base)
    spend_all(daemon)
    reply, _ = ask(daemon, "openai", "mock/mock", "x" * 100, headers={"Authorization": "Bearer secret-of-other"})
    assert reply.status == 402 and "the budget of all requests for this month" in error_text("openai", reply)


# ---- keys


def test_a_made_key_is_shown_once_kept_as_a_hash_and_can_be_revoked(sims, gridtie):
    sim = priced(sims)
    base = config(sim)
    del base["keys"]
    daemon = gridtie(base)
    assert ask(daemon, "openai", "mock/mock")[0].status == 200, "no key, none needed"
    made = daemon.cli("key", "add", "ann", "--budget", "0.5 USD/day@Europe/Berlin, 1 USD")
    secret = made.stdout.strip()
    assert made.returncode == 0 and secret.startswith("gt-") and "once" in made.stderr
    assert ask(daemon, "openai", "mock/mock")[0].status == 401, "now every request needs one, also on loopback"
    ann = {"Authorization": f"Bearer {secret}"}
    assert ask(daemon, "openai", "mock/mock", headers=ann)[0].status == 200
    assert ask(daemon, "openai", "mock/mock", headers={"x-api-key": secret})[0].status == 200
    wrong = secret[:-1] + ("a" if secret[-1] != "a" else "b")
    assert ask(daemon, "openai", "mock/mock", headers={"x-api-key": wrong})[0].status == 401
    for where in (secret, secret[-20:]):
        for f in daemon.folder.rglob("*"):
            assert not f.is_file() or where.encode() not in f.read_bytes(), f"the secret is in {f}"
    listed = json.loads(daemon.cli("key", "list", "--json").stdout)["keys"]
    assert [(k["name"], k["revoked"]) for k in listed] == [("ann", None)] and secret.startswith("gt-" + listed[0]["prefix"])
    assert daemon.cli("why", "last").returncode == 0 and "mock/mock" in daemon.cli("log").stdout, "the owner needs none"
    assert daemon.cli("key", "revoke", "ann").returncode == 0
    assert ask(daemon, "openai", "mock/mock", headers=ann)[0].status == 401, "at once"
    daemon.kill()
    daemon.restart()
    assert ask(daemon, "openai", "mock/mock", headers=ann)[0].status == 401
    assert ask(daemon, "openai", "mock/mock")[0].status == 401, "revoking the last key opens no door"
    assert daemon.cli("key", "revoke", "ann").returncode == 1


@pytest.mark.tsan
@each
@both
def test_a_revoked_key_ends_what_it_has_under_way_and_says_so(sims, gridtie, client, stream):
    sim = priced(sims)
    daemon = gridtie(config(sim, {"amount": "5 USD"}, budgets={"whole": [{"amount": "9 USD"}]}, loopback="owner"))
    ann, bob = ({"Authorization": "Bearer " + daemon.cli("key", "add", name).stdout.strip()} for name in ("ann", "bob"))
    clients = [Client(daemon.port) for _ in range(2)]
    path, body = chat(client, "mock/mock", order(words=80, chunk_ms=20, first_ms=0 if stream else 1000), stream)
    for c, key in zip(clients, (ann, bob)):
        c.request("POST", path, body, key)
    eventually(lambda: len(sim.requests()) == 2, 5, "they run")
    assert daemon.cli("key", "revoke", "ann").returncode == 0
    reply = clients[0].reply()
    a = read(client, reply, stream) if stream else None
    if stream:
        assert reply.status == 200 and "this key was revoked" in str(a.error) and not a.ended
    else:
        assert reply.status == 401 and "this key was revoked" in assert_error_shape(client, reply)
    other = clients[1].reply()
    assert other.status == 200 and read(client, other, stream).ended, "another key's goes on"
    eventually(lambda: sorted(r["outcome"] for r in sim.requests()) == ["done", "gone"], 5, "its upstream was stopped")
    budget = next(b for b in daemon.get("/gridtie/v1/spend").json["budgets"] if "key" not in b)
    assert budget["open_picousd"] == 0 and budget["settled_picousd"] >= bill_usd(sim) * USD


def test_a_made_keys_budget_holds_and_survives(sims, gridtie):
    sim = priced(sims)
    daemon = gridtie(config(sim))
    secret = daemon.cli("key", "add", "ann", "--budget", "0.05 USD").stdout.strip()
    ann = {"Authorization": f"Bearer {secret}"}
    while ask(daemon, "openai", "mock/mock", order(words=20), headers=ann)[0].status == 200:
        pass
    daemon.kill()
    daemon.restart()
    reply, _ = ask(daemon, "openai", "mock/mock", "x" * 100, headers=ann)
    assert reply.status == 402 and "key 'ann'" in error_text("openai", reply)
    assert ask(daemon, "openai", "mock/mock", headers=BAR)[0].status == 200
    assert bill_usd(sim) <= 0.07


@pytest.mark.parametrize("budget", ["5 EUR", "-5 USD", "5", "1e3 USD", "99999999999999 USD", "0.0000000000001 USD",
                                    "5 USD/week", "5 USD/day@Mars/Olympus", "5 USD/day, 6 USD/day", "USD"])
def test_a_bad_budget_makes_no_key(sims, gridtie, budget):
    daemon = gridtie(config(priced(sims), loopback="owner"))
    done = daemon.cli("key", "add", "ann", "--budget", budget)
    assert done.returncode == 1 and "budget" in done.stderr and not done.stdout
    assert daemon.get("/gridtie/v1/keys").json["keys"] == []


def test_a_client_manages_no_keys_and_sees_its_own_spending_only(sims, gridtie):
    sim = priced(sims)
    base = config(sim, {"amount": "1 USD"})
    base["keys"].append({"name": "other", "secret": "secret-of-other", "budgets": [{"amount": "3 USD"}]})
    daemon = gridtie(base)
    other = {"Authorization": "Bearer secret-of-other", "x-gridtie-run": "others"}
    ask(daemon, "openai", "mock/mock", headers=other)
    ask(daemon, "openai", "mock/mock", headers={**BAR, "x-gridtie-run": "mine"})
    for method, path in (("GET", "keys"), ("POST", "keys"), ("POST", "keys/revoke")):
        assert daemon.call(method, f"/gridtie/v1/{path}", {"name": "x"} if method == "POST" else None, BAR).status == 403
    spend = daemon.get("/gridtie/v1/spend", BAR).json
    assert [r["key"] for r in spend["rows"]] == ["bar"] and [b["key"] for b in spend["budgets"]] == ["bar"]
    assert [r["run"] for r in daemon.get("/gridtie/v1/runs", BAR).json["runs"]] == ["mine"]
    assert daemon.post("/gridtie/v1/runs/stop", {"run": "others"}, BAR).status == 404
    assert {r["run"] for r in json.loads(daemon.cli("runs", "--json").stdout)["runs"]} == {"mine", "others"}


# ---- runs


@each
def test_a_run_has_a_cap_of_its_own(sims, gridtie, client):
    sim = priced(sims)
    daemon = gridtie(config(sim, {"amount": "5 USD"}))
    run = {**BAR, "x-gridtie-run": "task-1", "x-gridtie-budget-usd": "0.05"}
    refused = None
    for _ in range(40):
        refused, _ = ask(daemon, client, "mock/mock", order(words=10), headers=run)
        if refused.status != 200:
            break
    assert refused.status == 402 and "run 'task-1'" in assert_error_shape(client, refused)
    assert bill_usd(sim) <= 0.05
    again = {**run, "x-gridtie-budget-usd": "5"}
    assert ask(daemon, client, "mock/mock", "x" * 100, headers=again)[0].status == 402, "a cap is not raised"
    assert ask(daemon, client, "mock/mock", headers={**BAR, "x-gridtie-run": "task-2"})[0].status == 200
    daemon.kill()
    daemon.restart()
    assert ask(daemon, client, "mock/mock", "x" * 100, headers={**BAR, "x-gridtie-run": "task-1"})[0].status == 402
    runs = {r["run"]: r for r in json.loads(daemon.cli("runs", "--json").stdout)["runs"]}
    assert runs["task-1"]["cap_usd"] == "0.05" and runs["task-2"]["cap_picousd"] is None


def test_runs_are_recognised_by_what_clients_send_anyway(three):
    daemon = three.daemon
    path, body = chat("anthropic", "anthropic/m")
    for headers, user, expected in (
            ({"x-claude-code-session-id": "cc-1"}, None, "cc-1"),
            ({"x-session-id": "s-2"}, None, "s-2"),
            ({}, "user_9f_account_1b_session_3c4d-5e", "3c4d-5e"),
            ({}, json.dumps({"device_id": "d", "account_uuid": "a", "session_id": "6f7a"}), "6f7a"),
            ({"x-gridtie-run": "own", "x-session-id": "s-2"}, None, "own"),
            ({"x-session-id": "no good"}, None, None),
            ({}, "somebody", None)):
        b = dict(body, metadata={"user_id": user}) if user else body
        reply = daemon.post(path, b, headers)
        assert reply.status == 200 and daemon.why(reply)["run"] == expected


@pytest.mark.parametrize("headers", [{"x-gridtie-run": "two words"}, {"x-gridtie-run": ""}, {"x-gridtie-run": "x" * 129},
                                     {"x-gridtie-run": "r", "x-gridtie-budget-usd": "-1"},
                                     {"x-gridtie-run": "r", "x-gridtie-budget-usd": "1 EUR"},
                                     {"x-gridtie-run": "r", "x-gridtie-budget-usd": "1e9"},
                                     {"x-gridtie-run": "r", "x-gridtie-budget-usd": "99999999999999999999"},
                                     {"x-gridtie-budget-usd": "1"}])
@each
def test_bad_run_headers_are_named(three, client, headers):
    path, body = chat(client, "openai/m")
    reply = three.daemon.post(path, body, headers)
    assert reply.status == 400 and "x-gridtie-" in assert_error_shape(client, reply)


@pytest.mark.tsan
@each
@both
def test_a_stopped_run_ends_what_it_has_under_way_and_begins_nothing(sims, gridtie, client, stream):
    sim = priced(sims)
    daemon = gridtie(config(sim, {"amount": "5 USD"}))
    run = {**BAR, "x-gridtie-run": "task-9"}
    c = Client(daemon.port)
    path, body = chat(client, "mock/mock", order(words=2000, chunk_ms=10, first_ms=0 if stream else 20000), stream)
    c.request("POST", path, body, run)
    eventually(lambda: sim.requests(), 5, "it runs")
    if stream:
        assert c.head()[0] == 200 and c.some()
    assert daemon.cli("runs", "stop", "task-9").returncode == 0
    if stream:
        rest = b""
        while more := c.some():
            rest += more
        assert b"this run was stopped" in rest
    else:
        reply = c.reply()
        assert reply.status == 403 and "stopped" in assert_error_shape(client, reply)
    eventually(lambda: sim.last()["outcome"] == "gone", 5, "its upstream is stopped")
    reply, _ = ask(daemon, client, "mock/mock", headers=run)
    assert reply.status == 403
    daemon.kill()
    daemon.restart()
    assert ask(daemon, client, "mock/mock", headers=run)[0].status == 403, "also after a restart"
    assert ask(daemon, client, "mock/mock", headers=BAR)[0].status == 200
    assert daemon.cli("runs", "stop", "no-such-run").returncode == 1


# ---- what people see


def test_spend_adds_up_by_everything(sims, gridtie):
    a, b = priced(sims), priced(sims)
    base = config(a, {"amount": "50 USD"})
    base["endpoints"].append(b.endpoint("second", "anthropic", ["mock"]))
    base["catalogue"]["models"].append({"name": "second/mock", "input": "250 USD/M", "output": "1000 USD/M"})
    base["keys"].append({"name": "other", "secret": "secret-of-other"})
    daemon = gridtie(base)
    for model, key, run in (("mock/mock", "bar", "r1"), ("second/mock", "bar", "r2"), ("mock/mock", "other", "r1")):
        for _ in range(2):
            headers = {"Authorization": f"Bearer secret-of-{key}", "x-gridtie-run": run}
            assert ask(daemon, "openai", model, headers=headers)[0].status == 200
    eventually(lambda: len(a.bill()) == 4 and len(b.bill()) == 2, 5, "the bills")
    total = round((bill_usd(a) + bill_usd(b)) * USD)

    def spend(by):
        rows = json.loads(daemon.cli("spend", "--by", by, "--json").stdout)
        assert rows["total"]["settled_picousd"] == total == sum(r["settled_picousd"] for r in rows["rows"])
        return rows["rows"]
    assert {r["key"]: r["exchanges"] for r in spend("key")} == {"bar": 4, "other": 2}
    assert {r["endpoint"]: r["exchanges"] for r in spend("endpoint")} == {"mock": 4, "second": 2}
    assert {r["model"]: r["exchanges"] for r in spend("model")} == {"mock": 6}
    assert {(r["run"], r["key"]): r["exchanges"] for r in spend("run")} == {("r1", "bar"): 2, ("r2", "bar"): 2, ("r1", "other"): 2}
    assert len(spend("day")) == 1
    assert json.loads(daemon.cli("spend", "--since", str(int(time.time()) + 3600), "--json").stdout)["rows"] == []
    text = daemon.cli("spend").stdout
    assert "key bar" in text and "total" in text
    assert daemon.cli("spend", "--by", "colour").returncode == 2
    assert daemon.cli("spend", "--since", "yesterday").returncode == 2
