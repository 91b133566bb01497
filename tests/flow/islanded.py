# SPDX-License-Identifier: Apache-2.0
"""Runs inside a network namespace that has a loopback and no route (test_offline.py starts it there): a daemon that is
offline, and one whose requests may reach the device only, under faults of the target on the device. Prints what left, as
JSON: every IP packet of the loopback that belongs to neither daemon nor provider, and how often the kernel found no route."""
import fcntl
import json
import re
import socket
import struct
import sys
import threading
import time
from pathlib import Path

from harness import DIALECTS, Gridtie, Sim, ask, complete_config

FAULTS = [{}, {"error": "overloaded"}, {"error": "rate_limit"}, {"drop": True}, {"cut_after_events": 1}, {"garbage": "x"},
          {"status": 500}, {"error": "auth"}, {"status": 408}, {"cut_after_events": 4}]
# Where nothing may go: addresses of the documentation, a private one, and names.
BEYOND = [("cloud", "openai", "http://192.0.2.1/v1"), ("named", "anthropic", "https://api.cloud.example"),
          ("edge", "ollama", "http://10.1.2.3:11434"), ("six", "openai", "http://[2001:db8::1]/v1")]


def loopback_up():
    with socket.socket() as s:
        flags = struct.unpack("16sH", fcntl.ioctl(s, 0x8913, struct.pack("16sH14x", b"lo", 0))[:18])[1]  # SIOCGIFFLAGS
        fcntl.ioctl(s, 0x8914, struct.pack("16sH14x", b"lo", flags | 1))  # SIOCSIFFLAGS, IFF_UP


def no_route():
    """How often a packet or a connection found none."""
    first = [line.split() for line in Path("/proc/self/net/snmp").read_text().splitlines() if line.startswith("Ip:")]
    four = int(dict(zip(*first))["OutNoRoutes"])
    return four + int(re.search(r"^Ip6OutNoRoutes\s+(\d+)", Path("/proc/self/net/snmp6").read_text(), re.M)[1])


class Listener(threading.Thread):
    """Who talks to whom on all interfaces of the namespace."""

    def __init__(self):
        super().__init__(daemon=True)
        self.seen = set()
        self.socket = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(3))
        self.start()

    def run(self):
        while True:
            packet, _ = self.socket.recvfrom(65536)
            version = packet[0] >> 4
            protocol, at = (packet[9], (packet[0] & 15) * 4) if version == 4 else (packet[6], 40)
            ports = struct.unpack(">HH", packet[at:at + 4]) if protocol in (6, 17) else (0, 0)
            self.seen.add((version, protocol, *ports))

    def strangers(self, known):
        time.sleep(0.2)
        return sorted(s for s in self.seen if s[1] != 6 or not known & set(s[2:]))


def config_of(sim, offline):
    rows = [sim.endpoint("dev", zone="device")]
    for name, provider, url in BEYOND:
        rows.append({"name": name, "provider": provider, "url": url, "zone": "edge" if name == "edge" else "cloud",
                     **({} if offline else {"models": ["m"]}), "timeouts": {"connect": "300ms"}})
    route = ["dev/m", *(f"{name}/m" for name, _, _ in BEYOND)]
    return {"endpoints": rows, "routes": {"r": route}, "discovery": offline}


def requests_all(daemon, sim, headers):
    statuses = []
    for fault in FAULTS:
        sim.always(**fault)
        for dialect in DIALECTS:
            for model in ("r", "dev/m", "cloud/m", "named/m"):
                reply, _ = ask(daemon, dialect, model, "I am jane.doe@corp.com", stream=model == "r", headers=headers)
                statuses.append(reply.status if reply else 0)
    return statuses


def main():
    folder, out = Path(sys.argv[1]), {}
    loopback_up()
    listener, known = Listener(), {1234, 4891, 8000, 8080, 11434}  # where discovery looks on this machine
    for name, offline, headers in (("offline", True, None), ("reach", False, {"x-gridtie-reach": "device"}),
                                   ("free", False, None)):
        where = folder / name
        where.mkdir()
        sim = Sim(where)
        daemon = Gridtie(where, complete_config(config_of(sim, offline), 2), loops=2,
                         argv=("--offline",) if offline else (),
                         env={"OPENAI_API_KEY": "a-key"} if offline else None)  # finds an endpoint that nobody configured
        known |= {sim.port, daemon.port}
        before = no_route()
        statuses = requests_all(daemon, sim, headers)
        out[name] = {"no_route": no_route() - before, "answered": statuses.count(200), "asked": len(statuses)}
        daemon.stop()
        sim.stop()
        out[name]["strangers"] = listener.strangers(known)
    print(json.dumps(out))


if __name__ == "__main__":
    main()
