# SPDX-License-Identifier: Apache-2.0
"""What a measurement stands on: upstreams and proxies as processes that are pinned to a core each, and the load. The proxy
has PROXY_CORE for itself; load and upstream share the other."""
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import time
from pathlib import Path

REPO = Path(__file__).resolve().parent.parent
PROXY_CORE, LOAD_CORE = "0", "1"
CHUNKS, INTERVAL_MS, RAMP_MS = 20, 50, 500


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def ready(port, path="/healthz", seconds=20.0):
    """Polls until something answers HTTP there."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        try:
            with socket.create_connection(("127.0.0.1", port), timeout=1) as s:
                s.sendall(f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n".encode())
                if s.recv(16).startswith(b"HTTP/1.1"):
                    return
        except OSError:
            pass
        time.sleep(0.0005)
    raise SystemExit(f"bench: nothing answers on port {port}")


class Process:
    """Started on one core, ended by its id."""

    def __init__(self, core, argv, cwd, name, env=None):
        self.err = open(Path(cwd, name + ".err"), "ab")
        self.start_s = time.monotonic()
        self.p = subprocess.Popen(["taskset", "-c", core, *map(str, argv)], cwd=cwd, stdin=subprocess.DEVNULL,
                                  stdout=subprocess.PIPE, stderr=self.err, env=env)

    def line(self):
        return self.p.stdout.readline().decode().strip()

    def pids(self):
        """It and its children (nginx's worker)."""
        found = [self.p.pid]
        for pid in found:
            for task in Path(f"/proc/{pid}/task").iterdir():
                found += map(int, (task / "children").read_text().split())
        return found

    def cpu_us(self):
        """CPU time of all its threads so far."""
        total = 0
        for pid in self.pids():
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
            ticks = (int(fields[11]) + int(fields[12])) * 1e6 / os.sysconf("SC_CLK_TCK")
            exact = 0
            for task in Path(f"/proc/{pid}/task").iterdir():
                try:
                    exact += int((task / "schedstat").read_text().split()[0]) / 1000
                except OSError:
                    pass
            total += exact or ticks
        return total

    def rss_kb(self):
        total = 0
        for pid in self.pids():
            total += int(re.search(r"VmRSS:\s+(\d+)", Path(f"/proc/{pid}/status").read_text())[1])
        return total

    def stop(self):
        if self.p.poll() is None:
            self.p.send_signal(signal.SIGTERM)
            try:
                self.p.wait(5)
            except subprocess.TimeoutExpired:
                self.p.kill()
                self.p.wait()
        self.err.close()


NGINX = """daemon off; worker_processes 1; pid {folder}/nginx.pid; error_log {folder}/nginx.log error;
events {{ worker_connections 20000; }}
http {{
  access_log off; client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy; fastcgi_temp_path {folder}/f;
  uwsgi_temp_path {folder}/u; scgi_temp_path {folder}/s; client_body_buffer_size 1m; client_max_body_size 64m;
  keepalive_requests 10000000; tcp_nodelay on;
  upstream whole {{ server 127.0.0.1:{whole}; keepalive 128; keepalive_requests 10000000; }}
  upstream stream {{ server 127.0.0.1:{stream}; keepalive 4096; keepalive_requests 10000000; }}
  upstream secure {{ server 127.0.0.1:{tls}; keepalive 128; keepalive_requests 10000000; }}
  server {{
    listen 127.0.0.1:{port} backlog=8192; {ssl}
    proxy_http_version 1.1; proxy_set_header Connection ""; proxy_buffering off; proxy_read_timeout 300s;
    location /v1/ {{ proxy_pass http://whole; }}
    location /stream/ {{ proxy_pass http://stream/; }}
    location /tls/ {{ proxy_pass https://secure/; proxy_ssl_session_reuse on; proxy_ssl_verify off; }}
    location /healthz {{ return 200 "ok"; }}
  }}
}}
"""

GRIDTIE = """listen: 127.0.0.1:{port}
loops: 1
log: {{level: warn}}
engine: {{enabled: false}}
discovery: off
endpoints:
  - {{name: w, provider: openai, url: "http://127.0.0.1:{whole}/v1", zone: device, models: [m]}}
  - {{name: c, provider: openai, url: "http://127.0.0.1:{whole}/v1", zone: cloud, models: [cloud]}}
  - {{name: s, provider: openai, url: "http://127.0.0.1:{stream}/v1", zone: device, models: [stream]}}
  - {{name: t, provider: openai, url: "https://127.0.0.1:{tls}/v1", zone: device, models: [tls], ca_file: {folder}/cert.pem}}
"""


class Stage:
    """The upstreams, the proxies and where to reach them."""

    def __init__(self, folder, gridtie):
        self.folder, self.tools, self.gridtie = Path(folder), REPO / "build/bench", gridtie
        self.up, self.proxies = [], {}
        self.ports = {"whole": self.upstream("whole"), "stream": self.upstream("stream", CHUNKS, INTERVAL_MS)}
        self.certificate()
        self.ports["tls"] = self.tls_front()
        self.bodies()

    def upstream(self, *argv):
        self.up.append(Process(LOAD_CORE, [self.tools / "upstream", *argv], self.folder, "upstream"))
        return int(self.up[-1].line())

    def certificate(self):
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout",
                        "key.pem", "-out", "cert.pem", "-subj", "/CN=127.0.0.1", "-days", "2", "-addext",
                        "subjectAltName=IP:127.0.0.1"], cwd=self.folder, check=True, capture_output=True)

    def nginx_config(self, name, port, ssl="", tls=1):
        folder = self.folder / name
        folder.mkdir(exist_ok=True)
        text = NGINX.format(folder=folder, port=port, ssl=ssl, **{**self.ports, "tls": tls})
        (folder / "nginx.conf").write_text(text)
        return [shutil.which("nginx") or "/usr/sbin/nginx", "-p", folder, "-c", folder / "nginx.conf", "-e",
                folder / "nginx.log"]

    def tls_front(self):
        """An nginx on the load's core that turns TLS into plain for the same upstream."""
        port = free_port()
        argv = self.nginx_config("tls", port, f"ssl_certificate {self.folder}/cert.pem; ssl_certificate_key {self.folder}/key.pem;")
        config = self.folder / "tls/nginx.conf"
        config.write_text(config.read_text().replace(f"listen 127.0.0.1:{port} backlog=8192", f"listen 127.0.0.1:{port} ssl"))
        self.up.append(Process(LOAD_CORE, argv, self.folder, "tls"))
        return port

    def bodies(self):
        def write(name, model, words, **more):
            body = {"model": model, **more, "messages": [{"role": "user", "content": words}]}
            path = self.folder / f"{name}.json"
            path.write_text(json.dumps(body))
            return path
        def turns(name, model, words, count, **more):
            body = {"model": model, **more, "messages": [{"role": "user", "content": words}] * count}
            path = self.folder / f"{name}.json"
            path.write_text(json.dumps(body))
            return path
        text = "the quick brown fox jumps over the lazy dog and says nothing of it; "
        code = "    for (size_t i = 0; i < n && !e; i++)\n\te = row(\"x\", '\\n');\n" * 900
        small, large = (text * 20)[:880], (text * 4000)[:199_800]
        ask = {"stream": True, "stream_options": {"include_usage": True}}
        self.files = {"small": write("small", "m", small), "large": write("large", "m", large),
                      "cloud-small": write("cloud-small", "cloud", small), "cloud-large": write("cloud-large", "cloud", large),
                      "tls": write("tls", "tls", small), "stream": write("stream", "stream", small, **ask),
                      "anthropic": write("anthropic", "stream", small, stream=True, max_tokens=500),
                      "anthropic-small": write("anthropic-small", "m", small, max_tokens=500),
                      "anthropic-large": write("anthropic-large", "m", large, max_tokens=500),
                      "huge": turns("huge", "m", code, 80), "cloud-huge": turns("cloud-huge", "cloud", code, 80),
                      "anthropic-huge": turns("anthropic-huge", "m", code, 80, max_tokens=500)}

    def start(self, which, cores=PROXY_CORE):
        """Starts a proxy; the milliseconds until it answered are kept in .start_ms."""
        port = free_port()
        if which == "nginx":
            process = Process(PROXY_CORE, self.nginx_config("nginx", port, tls=self.ports["tls"]), self.folder, "nginx")
        else:
            home = self.folder / f"home{len(os.listdir(self.folder))}"
            home.mkdir()
            (home / "gridtie.yaml").write_text(GRIDTIE.format(port=port, folder=self.folder, **self.ports))
            env = {k: v for k, v in os.environ.items() if not re.search(r"_API_(KEY|TOKEN)$|_proxy$", k, re.I)}
            env.update({"XDG_CONFIG_HOME": str(home), "XDG_DATA_HOME": str(home), "XDG_RUNTIME_DIR": str(home), "HOME": str(home)})
            process = Process(cores, [self.gridtie, "serve", "--config", home / "gridtie.yaml"], home, "gridtie", env)
        process.port = port
        ready(port)
        process.start_ms = (time.monotonic() - process.start_s) * 1000
        process.idle_kb = process.rss_kb()
        return process

    def load(self, *argv, background=False):
        command = ["taskset", "-c", LOAD_CORE, self.tools / "load", *argv]
        p = subprocess.Popen([str(a) for a in command], stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=self.folder)
        return p if background else self.finish(p)

    @staticmethod
    def finish(p):
        out, err = p.communicate(timeout=300)
        if not out:
            raise SystemExit(f"bench: load failed: {err.decode()}")
        return json.loads(out)

    def close(self):
        for p in self.up:
            p.stop()


def find_gridtie(given):
    """The binary to measure: what was asked for, or the newest kind of build that is optimised."""
    builds = [given] if given else [REPO / "build/bench/gridtie", REPO / "build/release/gridtie"]
    found = next((Path(b).resolve() for b in builds if Path(b).exists()), None)
    if not found or not (REPO / "build/bench/load").exists():
        raise SystemExit("bench: no build; run: tools/build bench")
    if (os.cpu_count() or 1) < 2:
        raise SystemExit("bench: needs two cores, one is the proxy's")
    return found
