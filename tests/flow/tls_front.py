#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""tls_front.py: a small TLS server in front of a plain upstream, for tests; also a CONNECT proxy. Both can cut a
connection after so many bytes. Used as a module: TlsFront(upstream_port, cert, key), ConnectProxy()."""
import socket
import ssl
import struct
import subprocess
import threading
from pathlib import Path


def make_authority(folder, names=("localhost", "127.0.0.1"), days=2):
    """A CA and a certificate by it, by openssl: (ca, cert, key) paths. days=-1: it has expired."""
    folder = Path(folder)
    ca_key, ca, key, request, cert, ext = (folder / n for n in ("ca.key", "ca.pem", "key.pem", "csr.pem", "cert.pem", "ext"))
    alternatives = ",".join(("IP:" if n[0].isdigit() else "DNS:") + n for n in names)
    ext.write_text(f"subjectAltName={alternatives}\nbasicConstraints=CA:FALSE\n")

    def run(*argv):
        subprocess.run(["openssl", *map(str, argv)], check=True, capture_output=True)
    run("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", ca_key, "-out", ca,
        "-subj", "/CN=test authority", "-days", "2")
    run("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", key, "-out", request, "-subj",
        "/CN=" + names[0])
    run("x509", "-req", "-in", request, "-CA", ca, "-CAkey", ca_key, "-CAcreateserial", "-out", cert, "-days", days,
        "-extfile", ext)
    return ca, cert, key


def pump(source, target, limit=None, done=None):
    """Copies until the end, or until `limit` bytes: then done() is called."""
    sent = 0
    try:
        while data := source.recv(65536):
            if limit is not None and sent + len(data) > limit:
                target.sendall(data[:limit - sent])
                done()
                return
            target.sendall(data)
            sent += len(data)
    except OSError:
        pass
    try:
        target.shutdown(socket.SHUT_WR)
    except OSError:
        pass


def reset(sock):
    raw = socket.socket(fileno=sock.detach())
    raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    try:
        raw.shutdown(socket.SHUT_RD)  # wakes the thread that reads it and would keep it open
    except OSError:
        pass
    raw.close()


class Front:
    """Accepts until closed; each connection runs in two threads."""

    def __init__(self):
        self.connections, self.failed, self.cut_after = 0, 0, None
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self):
        self.listener.close()

    def _accept(self):
        while True:
            try:
                conn, _ = self.listener.accept()
            except OSError:
                return
            self.connections += 1
            threading.Thread(target=self._serve_quietly, args=(conn,), daemon=True).start()

    def _serve_quietly(self, conn):
        try:
            self.serve(conn)
        except OSError:
            self.failed += 1
            conn.close()

    def join(self, client, server):
        threading.Thread(target=pump, args=(client, server), daemon=True).start()
        pump(server, client, self.cut_after, lambda: reset(client))
        for s in (client, server):
            s.close()


class TlsFront(Front):
    def __init__(self, upstream_port, cert, key):
        self.upstream_port = upstream_port
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.load_cert_chain(cert, key)
        super().__init__()

    def serve(self, conn):
        client = self.context.wrap_socket(conn, server_side=True)
        self.join(client, socket.create_connection(("127.0.0.1", self.upstream_port)))


class ConnectProxy(Front):
    """Speaks CONNECT only, to loopback only; remembers what it was asked for."""

    def __init__(self, refuse=False):
        self.asked, self.refuse = [], refuse
        super().__init__()

    def serve(self, conn):
        head = b""
        while b"\r\n\r\n" not in head:
            data = conn.recv(4096)
            if not data:
                return
            head += data
        target = head.split(b" ")[1].decode()
        self.asked.append(head.split(b"\r\n")[0].decode())
        if self.refuse or not head.startswith(b"CONNECT "):
            conn.sendall(b"HTTP/1.1 403 Forbidden\r\ncontent-length: 0\r\n\r\n")
            conn.close()
            return
        port = int(target.rpartition(":")[2])
        server = socket.create_connection(("127.0.0.1", port))
        conn.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
        self.join(conn, server)
