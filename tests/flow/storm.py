# SPDX-License-Identifier: Apache-2.0
"""A storm of clients against budgets: random sizes, dialects, streams, clients that leave, providers and the daemon killed
with -9. What must hold is read from the providers' own bills, many times a second: they are never above the limits. After
quiet nothing is open, and the ledger is not below the bills. `test_money.py` runs a small one; as a program it is any size:

    storm.py [--clients 1000] [--seconds 120] [--kills 4] [--sim-kills 6] [--loops 2] [--seed 1]
"""
import argparse
import asyncio
import json
import os
import random
import socket
import sys
import tempfile
import threading
import time
from pathlib import Path

from harness import BIN, DIALECTS, Gridtie, Sim, chat, eventually, order, request_bytes

PRICE_IN, PRICE_OUT = 250, 1000  # USD a million tokens: a few answers are real money
USD = 10**12
KEYS = {"ann": "secret-of-ann-1", "bob": "secret-of-bob-2", "cat": "secret-of-cat-3"}


def listens(port):
    with socket.socket() as s:
        return s.connect_ex(("127.0.0.1", port)) == 0


def kept_port():
    """One that stays free while nothing listens on it: no connection of this machine gets it as its own."""
    return next(p for p in random.SystemRandom().sample(range(20000, 30000), 100) if not listens(p))


class Provider(Sim):
    """A scripted provider on a port of its own, so that it can come back; its bill goes on in the same file."""

    def __init__(self, folder, name, model):
        self.folder, self.name, self.model, self.fixed = folder, name, model, kept_port()
        super().__init__(folder, *self.options(), name=name)

    def options(self):
        return ["--listen", f"127.0.0.1:{self.fixed}", "--price", f"{PRICE_IN}:{PRICE_OUT}", "--models", self.model]

    def again(self):
        self.start([BIN, "sim", *self.options(), "--bill", self.bill_path], self.folder, name=self.name)
        eventually(lambda: listens(self.fixed), 20, "the provider is back")


class Bills:
    """What the providers billed, read on from where it was."""

    def __init__(self, providers):
        self.at = {p.bill_path: 0 for p in providers}
        self.by_model, self.n = {}, 0

    def read(self):
        for path, at in self.at.items():
            if not path.exists():
                continue
            with open(path, "rb") as f:
                f.seek(at)
                data = f.read()
            whole = data.rfind(b"\n") + 1
            self.at[path] = at + whole
            for line in data[:whole].splitlines():
                row = json.loads(line)
                self.by_model[row["model"]] = self.by_model.get(row["model"], 0) + row["cost_picousd"]
                self.n += 1
        return sum(self.by_model.values())


class Storm:
    """limits: {"whole": USD, "ann": USD, …}. Key k asks for the model mk only, so that its provider's bill is its own."""

    def __init__(self, folder, limits, loops=2, seed=1, slow=True, wait="10s"):
        self.limits, self.random, self.slow = limits, random.Random(seed), slow
        self.providers, endpoints, prices = {}, [], []
        for name in KEYS:
            sub = folder / f"sim-{name}"
            sub.mkdir()
            self.providers[name] = Provider(sub, "sim", "m" + name)
            provider = {"ann": "openai", "bob": "anthropic", "cat": "openai"}[name]
            endpoints.append(self.providers[name].endpoint(name, provider, ["m" + name]))
            prices.append({"name": f"{name}/m{name}", "input": f"{PRICE_IN} USD/M", "output": f"{PRICE_OUT} USD/M"})
        keys = [{"name": k, "secret": s, "budgets": [{"amount": f"{limits[k]} USD"}] if k in limits else []}
                for k, s in KEYS.items()]
        self.config = {"endpoints": endpoints, "catalogue": {"models": prices}, "keys": keys, "loopback": "owner",
                       "budgets": {"wait": wait, "whole": [{"amount": f"{limits['whole']} USD", "window": "month"}]}}
        (folder / "gridtie").mkdir()
        self.daemon = Gridtie(folder / "gridtie", self.config, loops=loops)
        self.bills = Bills(self.providers.values())
        self.seen = {"ok": 0, "length": 0, "refused": 0, "held": 0, "left": 0, "failed": 0, "none": 0}
        self.over, self.looks, self.highest = [], 0, 0
        self.stop = False

    # ---- looking at the bills

    def look(self):
        total = self.bills.read()
        self.looks += 1
        self.highest = max(self.highest, total)
        if total > self.limits["whole"] * USD:
            self.over.append(("whole", total))
        for key in KEYS:
            if key in self.limits and self.bills.by_model.get("m" + key, 0) > self.limits[key] * USD:
                self.over.append((key, self.bills.by_model["m" + key]))

    def look_on(self):
        while not self.stop:
            self.look()
            time.sleep(0.02)

    # ---- clients

    def one(self, rng):
        """(bytes of a request, when to leave: None or seconds)"""
        key = rng.choice(list(KEYS))
        what = {"words": int(rng.lognormvariate(3.2, 1.0)) + 1}
        if self.slow and rng.random() < 0.7:
            what["chunk_ms"] = rng.choice([1, 5, 20])
        if rng.random() < 0.3:
            what["first_ms"] = rng.randrange(200)
        dialect, bound = rng.choice(DIALECTS), rng.choice([1, 20, 100, 1000, 20000])
        more = {"ollama": {"options": {"num_predict": bound}}, "responses": {"max_output_tokens": bound},
                "gemini": {"generationConfig": {"maxOutputTokens": bound}}}.get(dialect, {"max_tokens": bound})
        more = more if rng.random() < 0.5 else {}
        stream = rng.random() < 0.5
        text = order("x" * rng.choice([1, 10, 100, 1000, 3000]), **what)
        path, body = chat(dialect, f"{key}/m{key}", text, stream, **more)
        if dialect == "anthropic" and "max_tokens" not in more:
            body["max_tokens"] = 100000
        headers = {"Authorization": f"Bearer {KEYS[key]}"}
        if rng.random() < 0.4:
            headers["x-gridtie-run"] = f"run-{rng.randrange(20)}"
        if rng.random() < 0.1:
            headers["x-gridtie-run"] = f"capped-{rng.randrange(10)}"
            headers["x-gridtie-budget-usd"] = "0.5"
        leaves = rng.random() * 0.4 if rng.random() < 0.15 else None
        return request_bytes("POST", path, json.dumps(body), headers), leaves

    async def ask(self, rng):
        data, leaves = self.one(rng)
        try:
            reader, writer = await asyncio.open_connection("127.0.0.1", self.daemon.port)
        except OSError:
            await asyncio.sleep(0.1)
            return "none"
        try:
            writer.write(data)
            reply = asyncio.ensure_future(self.read(reader))
            done, _ = await asyncio.wait([reply], timeout=leaves if leaves is not None else 60)
            if done:
                return reply.result()
            reply.cancel()
            return "left" if leaves is not None else "none"
        except OSError:
            return "none"
        finally:
            writer.close()

    @staticmethod
    async def read(reader):
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin1")
            status = int(head.split(" ")[1])
            if "chunked" in head:
                body = b""
                while not body.endswith(b"0\r\n\r\n") and b"\r\n0\r\nx-gridtie-cost-usd" not in body[-200:]:
                    more = await reader.read(65536)
                    if not more:
                        return "failed"
                    body += more
            else:
                n = int(head.lower().split("content-length: ")[1].split("\r\n")[0])
                body = await reader.readexactly(n)
        except (OSError, asyncio.IncompleteReadError, IndexError, ValueError):
            return "failed"
        if status == 402:
            return "refused"
        if status != 200:
            return "held" if status == 429 else "failed"
        cut = any(word in body for word in (b'"length"', b'"max_tokens"', b'"max_output_tokens"', b'"MAX_TOKENS"'))
        return "length" if cut else "ok"

    async def client(self, seed, until):
        rng = random.Random(seed)
        refused = 0
        while time.monotonic() < until and refused < 20:
            outcome = await self.ask(rng)
            self.seen[outcome] += 1
            refused = refused + 1 if outcome == "refused" else 0
            if outcome == "refused":
                await asyncio.sleep(rng.random() * 0.3)

    async def clients(self, n, seconds):
        until = time.monotonic() + seconds
        await asyncio.gather(*(self.client(self.random.random(), until) for _ in range(n)))

    # ---- faults

    def faults(self, seconds, kills, sim_kills):
        times = sorted([(self.random.uniform(0.1, 0.8) * seconds, "daemon") for _ in range(kills)] +
                       [(self.random.uniform(0.05, 0.85) * seconds, "sim") for _ in range(sim_kills)])
        begin = time.monotonic()
        for at, what in times:
            time.sleep(max(0, begin + at - time.monotonic()))
            if what == "daemon":
                self.daemon.kill()
                self.daemon.restart()
            else:
                p = self.random.choice(list(self.providers.values()))
                p.kill()
                time.sleep(self.random.random() * 0.2)
                p.again()

    def run(self, clients, seconds, kills=0, sim_kills=0):
        watch = threading.Thread(target=self.look_on)
        fault = threading.Thread(target=self.faults, args=(seconds, kills, sim_kills))
        watch.start()
        fault.start()
        asyncio.run(self.clients(clients, seconds))
        fault.join()
        self.quiet()
        self.stop = True
        watch.join()
        self.look()
        return self.report()

    def quiet(self):
        def nothing_open():  # but the question itself
            status = self.daemon.get("/gridtie/v1/status").json
            return status["in_flight"] == 0 and all(p.state()["open_requests"] <= 1 for p in self.providers.values())
        eventually(nothing_open, 60, "quiet")

    def budgets(self):
        return self.daemon.get("/gridtie/v1/spend?by=model").json["budgets"]

    def report(self):
        spend = self.daemon.get("/gridtie/v1/spend?by=model").json
        totals = self.daemon.get("/gridtie/v1/totals").json
        return {"requests": dict(self.seen), "billed_requests": self.bills.n, "looks": self.looks,
                "bill_usd": round(sum(self.bills.by_model.values()) / USD, 4), "highest_usd": round(self.highest / USD, 4),
                "limit_usd": self.limits["whole"], "above_limit": self.over[:5],
                "settled_usd": round(spend["total"]["settled_picousd"] / USD, 4),
                "unknown_usd": round(spend["total"]["unknown_picousd"] / USD, 4), "unknown": spend["total"]["unknown"],
                "overrun_usd": round(spend["total"]["overrun_picousd"] / USD, 4),
                "open_picousd": totals["open_picousd"], "open": totals["open"],
                "budgets": {b.get("key", "whole"): {"limit": float(b["limit_usd"]), "settled": round(float(b["settled_usd"]), 4),
                                                    "open": b["open_picousd"], "waiting": b["waiting"],
                                                    "bill": round(self.bills.by_model.get("m" + b.get("key", ""), 0) / USD, 4)}
                            for b in spend["budgets"]}}

    def end(self):
        try:
            self.daemon.stop()
        finally:
            self.daemon.kill()
            for p in self.providers.values():
                p.stop()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name, default in (("clients", 1000), ("seconds", 120), ("kills", 4), ("sim-kills", 6), ("loops", 2), ("seed", 1)):
        parser.add_argument("--" + name, type=int, default=default)
    parser.add_argument("--limit", type=float, default=600.0)
    o = parser.parse_args()
    limits = {"whole": o.limit, "ann": o.limit * 0.5, "bob": o.limit * 0.4}
    with tempfile.TemporaryDirectory(prefix="storm") as folder:
        storm = Storm(Path(folder), limits, loops=o.loops, seed=o.seed)
        try:
            report = storm.run(o.clients, o.seconds, o.kills, o.sim_kills)
        finally:
            storm.end()
    print(json.dumps(report, indent=1))
    good = (not report["above_limit"] and report["open"] == 0 and report["settled_usd"] >= report["bill_usd"]
            and all(b["open"] == 0 and b["waiting"] == 0 for b in report["budgets"].values()))
    print("holds" if good else "DOES NOT HOLD")
    sys.exit(0 if good else 1)


if __name__ == "__main__":
    os.environ.setdefault("GRIDTIE_BIN", BIN)
    main()
