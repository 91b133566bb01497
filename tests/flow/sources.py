# SPDX-License-Identifier: Apache-2.0
"""A server where models come from: Hugging Face's protocol, that of an Ollama registry, plain files. It can cut an answer,
damage it, be slow, not know ranges, redirect to another server, want a login, speak TLS, and it remembers who asked how.
And GGUF files to serve."""
import hashlib
import http.server
import io
import json
import math
import re
import ssl
import struct
import threading
import time
import urllib.parse
import zipfile


def text(s):
    return struct.pack("<Q", len(s.encode())) + s.encode()


def gguf(architecture="llama", size=300_000, seed=b"x", pooling=None, kind=None, tensors=(),
         template="{% for m in messages %}{{ m.content }}{% endfor %}"):
    """A header that reads well, and bytes behind it. tensors: (name, dims) of 32-bit numbers, whose data those bytes are."""
    pairs = [text("general.architecture") + struct.pack("<I", 8) + text(architecture),
             text(f"{architecture}.context_length") + struct.pack("<II", 4, 512),
             text("general.file_type") + struct.pack("<II", 4, 2)]
    if template:
        pairs.append(text("tokenizer.chat_template") + struct.pack("<I", 8) + text(template))
    if pooling:
        pairs.append(text(f"{architecture}.pooling_type") + struct.pack("<II", 4, pooling))
    if kind:
        pairs.append(text("general.type") + struct.pack("<I", 8) + text(kind))
    if tensors:
        pairs.append(text("tokenizer.ggml.tokens") + struct.pack("<IIQ", 9, 8, 3) + text("a") + text("b") + text("c"))
        pairs.append(text("tokenizer.ggml.token_type") + struct.pack("<IIQ", 9, 5, 3) + struct.pack("<iii", 1, 2, 3))
    head = b"GGUF" + struct.pack("<IQQ", 3, len(tensors), len(pairs)) + b"".join(pairs)
    offset = 0
    for name, dims in tensors:
        head += text(name) + struct.pack(f"<I{len(dims)}QIQ", len(dims), *dims, 0, offset)
        offset += -(-4 * math.prod(dims) // 32) * 32
    if tensors:
        head += b"\0" * (-len(head) % 32)
        size = offset
    return head + (seed * size)[:size]


def sha256(data):
    return hashlib.sha256(data).hexdigest()


class Source:
    """files: path → bytes. cuts: path → list of how many bytes each next answer gives before it is cut. Everything else by
    its name. asked: (method, path, headers) of all requests. extra: path → headers that its answer has besides. guard:
    headers of a request → None, or the headers with which it is refused (401)."""

    def __init__(self, cert=None, key=None, host="127.0.0.1"):
        self.extra, self.pages, self.guard = {}, {}, None
        self.files, self.json, self.redirects, self.cuts, self.asked = {}, {}, {}, {}, []
        self.ranges, self.pause, self.etags, self.status = True, 0.0, {}, {}
        self.lock = threading.Lock()
        source = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_):
                pass

            def do_GET(self):
                source.serve(self)

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        if cert:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(cert, key)
            self.server.socket = context.wrap_socket(self.server.socket, server_side=True)
        self.url = f"http{'s' if cert else ''}://{host}:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def close(self):
        self.server.shutdown()
        self.server.server_close()

    def plain(self, h, status, body, kind="application/json", headers=()):
        h.send_response(status)
        h.send_header("Content-Type", kind)
        h.send_header("Content-Length", str(len(body)))
        for k, v in headers:
            h.send_header(k, v)
        h.end_headers()
        h.wfile.write(body)

    def serve(self, h):
        path = urllib.parse.unquote(h.path.split("?")[0])
        with self.lock:
            self.asked.append((h.command, h.path, {k.lower(): v for k, v in h.headers.items()}))
            cut = self.cuts.get(path, [])
            most = cut.pop(0) if cut else None
        more = self.extra.get(path, [])
        wanted = self.guard(path, h.headers) if self.guard else None
        if wanted:
            self.plain(h, 401, b"{}", headers=wanted)
        elif path in self.status:
            self.plain(h, self.status[path], b"{}", headers=more)
        elif path in self.redirects:
            self.plain(h, 302, b"", headers=[("Location", self.redirects[path]), *more])
        elif path in self.pages:
            self.plain(h, 200, self.pages[path].encode(), "text/html")
        elif callable(self.json.get(path)):
            body, more = self.json[path](h.path)
            self.plain(h, 200, json.dumps(body).encode(), headers=more)
        elif path in self.json:
            self.plain(h, 200, json.dumps(self.json[path]).encode(), headers=more)
        elif path in self.files:
            self.file(h, path, self.files[path], most)
        else:
            self.plain(h, 404, b"{}")

    def file(self, h, path, data, most):
        found = re.fullmatch(r"bytes=(\d+)-", h.headers.get("Range", ""))
        start = int(found[1]) if found and self.ranges else 0
        if start and start >= len(data):
            self.plain(h, 416, b"", headers=[("Content-Range", f"bytes */{len(data)}")])
            return
        body = data[start:]
        h.send_response(206 if start else 200)
        if start:
            h.send_header("Content-Range", f"bytes {start}-{len(data) - 1}/{len(data)}")
        if path in self.etags:
            h.send_header("ETag", self.etags[path])
        h.send_header("Content-Length", str(len(body)))
        h.end_headers()
        if most is not None:
            body = body[:most]
        try:
            for i in range(0, len(body), 16384):
                h.wfile.write(body[i:i + 16384])
                if self.pause:
                    time.sleep(self.pause)
            if most is not None:
                h.wfile.flush()
                h.close_connection = True
                h.connection.shutdown(2)
        except OSError:
            pass

    # ---- protocols

    def registry(self, name, tag, layers):
        """layers: kind → bytes, as application/vnd.ollama.image.KIND."""
        listed = []
        for kind, data in layers.items():
            digest = "sha256:" + sha256(data)
            self.files[f"/v2/{name}/blobs/{digest}"] = data
            listed.append({"mediaType": f"application/vnd.ollama.image.{kind}", "digest": digest, "size": len(data)})
        self.json[f"/v2/{name}/manifests/{tag}"] = {"schemaVersion": 2, "layers": listed}

    def login(self, realm, token, service="files"):
        """Everything below /v2 wants this token, which is to be had at the realm."""
        challenge = [("WWW-Authenticate", f'Bearer realm="{realm}",service="{service}",scope="repository:x:pull"')]
        self.guard = lambda path, headers: challenge if path.startswith("/v2/") and \
            headers.get("Authorization") != "Bearer " + token else None

    def hub(self, repo, files, store=None, page=None, tail="?signature=abc"):
        """files: name → bytes; with a store they lie there, behind a redirect as Hugging Face's. page: so many in a page."""
        tree = []
        for name, data in files.items():
            path = f"/{repo}/resolve/main/{name}"
            if store:
                self.redirects[path] = f"{store.url}/bucket/{sha256(data)}{tail}"
                self.extra[path] = [("X-Linked-Etag", f'"{sha256(data)}"'), ("X-Linked-Size", str(len(data)))]
                store.files[f"/bucket/{sha256(data)}"] = data
            else:
                self.files[path] = data
            tree.append({"type": "file", "path": name, "size": len(data), "lfs": {"oid": sha256(data), "size": len(data)}})
        listed = f"/api/models/{repo}/tree/main"
        self.json[listed] = tree
        if page:
            def one(path):
                at = int(urllib.parse.parse_qs(urllib.parse.urlparse(path).query).get("cursor", ["0"])[0])
                more = [("Link", f'<{self.url}{listed}?recursive=true&cursor={at + page}>; rel="next"')]
                return tree[at:at + page], more if at + page < len(tree) else []
            self.json[listed] = one

    def package(self, name, version, members):
        """A wheel in a simple index (PEP 503); returns its path here."""
        packed, stem = io.BytesIO(), f"{name}-{version}"
        meta = {"METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n", "RECORD": "",
                "WHEEL": "Wheel-Version: 1.0\nGenerator: x\nRoot-Is-Purelib: true\nTag: py3-none-any\n"}
        with zipfile.ZipFile(packed, "w") as z:
            for member, data in (members | {f"{stem}.dist-info/{k}": v for k, v in meta.items()}).items():
                z.writestr(member, data)
        path = f"/files/{stem}-py3-none-any.whl"
        self.files[path] = packed.getvalue()
        self.pages[f"/simple/{name}/"] = f'<a href="{self.url}{path}#sha256={sha256(packed.getvalue())}">{stem}-py3-none-any.whl</a>'
        return path

    def count(self, part):
        return sum(part in path for _, path, _ in self.asked)
