# SPDX-License-Identifier: Apache-2.0
"""Where models come from, beyond what is friendly: TLS with papers good and bad, redirects, logins, gates, lists in pages."""
import base64
import shutil
import urllib.parse

import pytest

from sources import Source, gguf, sha256
from test_store import blobs, models_dir, names, pull, pulled, show, store  # noqa: F401
from tls_front import make_authority

pytestmark = pytest.mark.skipif(not shutil.which("openssl"), reason="no openssl command")


@pytest.fixture(scope="module")
def papers(tmp_path_factory):
    made = {name: make_authority(tmp_path_factory.mktemp(name)) for name in ("good", "other")}
    made["misnamed"] = make_authority(tmp_path_factory.mktemp("misnamed"), ("elsewhere.example",))
    made["expired"] = make_authority(tmp_path_factory.mktemp("expired"), days=-1)
    ca = made["good"][0]
    made["selfsigned"] = (ca, ca, ca.parent / "ca.key")
    return made


@pytest.fixture
def sources():
    made = []

    def make(*args, **more):
        made.append(Source(*args, **more))
        return made[-1]
    yield make
    for s in made:
        s.close()


@pytest.fixture
def secure(sources, papers):
    """secure(which="good"): a source with TLS, for a daemon whose store.ca_file is papers["good"]."""
    return lambda which="good", **more: sources(*papers[which][1:], **more)


# ---- TLS


def test_each_source_works_over_tls(store, secure, papers):
    source, data, other = secure(host="localhost"), gguf(), gguf(seed=b"2")
    source.registry("library/m", "latest", {"model": data})
    source.hub("org/repo", {"r-Q4_0.gguf": other})
    source.files["/plain.gguf"] = gguf(seed=b"3")
    daemon = store(store={"registry": source.url, "huggingface": source.url, "ca_file": str(papers["good"][0])})
    for name in ("m", "hf.co/org/repo", source.url + "/plain.gguf"):
        pulled(daemon, name)
    assert names(daemon) == ["hf.co/org/repo:Q4_0", "m:latest", "plain:latest"]


def test_cuts_over_tls_are_gone_on_from(store, secure, papers):
    source, data = secure(), gguf(size=2_000_000)
    source.registry("library/m", "latest", {"model": data})
    path = f"/v2/library/m/blobs/sha256:{sha256(data)}"
    source.cuts[path] = [700_000, 400_000]
    daemon = store(store={"registry": source.url, "ca_file": str(papers["good"][0])})
    pulled(daemon, "m")
    assert [h.get("range") is None for _, p, h in source.asked if p == path] == [True, False, False]


@pytest.mark.parametrize("which, says", [("misnamed", "matches target host name"), ("expired", "expired"),
                                         ("other", "unable to get local issuer certificate; store.ca_file"),
                                         ("selfsigned", "self-signed certificate; store.ca_file")])
def test_bad_papers_are_refused_and_say_why(store, secure, papers, which, says):
    source = secure(which)
    source.registry("library/m", "latest", {"model": gguf()})
    source.hub("org/repo", {"r-Q4_0.gguf": gguf()})
    source.files["/plain.gguf"] = gguf()
    ca = papers[{"other": "good", "selfsigned": "other"}.get(which, which)][0]
    daemon = store(env={"HF_TOKEN": "hf_canary_token"}, store={"registry": source.url, "huggingface": source.url, "ca_file": str(ca)})
    for name in ("m", "hf.co/org/repo", source.url + "/plain.gguf"):
        error = pull(daemon, name)[-1]["error"]
        assert "TLS certificate" in error and says in error, error
    assert not source.asked and names(daemon) == []


def test_an_authority_that_nobody_named_is_not_trusted(store, secure):
    source = secure()
    source.files["/x.gguf"] = gguf()
    assert "TLS certificate" in pull(store(), source.url + "/x.gguf")[-1]["error"] and not source.asked


# ---- redirects


def test_what_began_with_tls_does_not_go_on_without(store, secure, sources, papers):
    source, plain = secure(), sources()
    source.hub("org/repo", {"r-Q4_0.gguf": gguf()}, plain)
    source.redirects["/x.gguf"] = plain.url + "/x.gguf"
    plain.files["/x.gguf"] = gguf()
    daemon = store(env={"HF_TOKEN": "hf_canary_token"},
                   store={"huggingface": source.url, "ca_file": str(papers["good"][0])})
    for name in ("hf.co/org/repo", source.url + "/x.gguf"):
        error = pull(daemon, name)[-1]["error"]
        assert "not followed: it has no TLS" in error, error
    assert not plain.asked


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_a_redirect_to_another_host_goes_without_the_token(store, secure, papers, host):
    source, cdn, data = secure(), secure(host=host), gguf()
    source.hub("org/repo", {"r-Q4_0.gguf": data}, cdn)
    daemon = store(env={"HF_TOKEN": "hf_canary_token"}, store={"huggingface": source.url, "ca_file": str(papers["good"][0])})
    pulled(daemon, "hf.co/org/repo")
    assert all(h["authorization"] == "Bearer hf_canary_token" for _, _, h in source.asked)
    assert cdn.asked and not any("authorization" in h for _, _, h in cdn.asked)


def test_relative_redirects(store, secure, papers):
    source, data = secure(), gguf()
    source.files["/a/cache/x.gguf"] = data
    source.redirects |= {"/a/b/x.gguf": "../c/x.gguf?first=%2F", "/a/c/x.gguf": "y.gguf", "/a/c/y.gguf": "//" + source.url[8:] + "/a/z.gguf",
                         "/a/z.gguf": "/a/cache/x.gguf"}
    daemon = store(store={"ca_file": str(papers["good"][0])})
    pulled(daemon, source.url + "/a/b/x.gguf")
    assert blobs(daemon) == ["sha256-" + sha256(data)]
    assert [p for _, p, _ in source.asked][1] == "/a/c/x.gguf?first=%2F"


def test_what_hugging_face_says_of_a_file_holds_for_its_url_too(store, sources):
    source, cdn, data = sources(), sources(), gguf(size=1_000_000)
    source.hub("org/repo", {"r-Q4_0.gguf": data}, cdn)
    path = f"/bucket/{sha256(data)}"
    cdn.etags[path], cdn.cuts[path] = '"weak and other each time"', [400_000]
    url, daemon = source.url + "/org/repo/resolve/main/r-Q4_0.gguf", store()
    pulled(daemon, url, **{"as": "first"})
    assert [h.get("range") for _, p, h in cdn.asked] [1].startswith("bytes=")
    cdn.files[path] = data[:-1] + b"?"
    assert "damaged or is something else" in pull(daemon, url, **{"as": "second"})[-1]["error"]
    assert names(daemon) == ["first:latest"]


# ---- logins


def test_a_registry_that_wants_a_token_gets_one(store, sources):
    source, data = sources(), gguf(size=1_000_000)
    source.registry("library/m", "latest", {"model": data, "system": b"Be brief."})
    source.login(source.url + "/token?account=none", "one-time")
    source.json["/token"] = {"access_token": "one-time", "expires_in": 60}
    blob = f"/v2/library/m/blobs/sha256:{sha256(data)}"
    source.cuts[blob] = [400_000]
    daemon = store(env={"HF_TOKEN": "hf_canary_token"}, store={"registry": source.url})
    pulled(daemon, "m")
    asked = [(p, h.get("authorization")) for _, p, h in source.asked]
    token = [p for p, a in asked if p.startswith("/token")]
    assert token == ["/token?account=none&service=files&scope=repository%3Ax%3Apull"]
    assert ("/v2/library/m/manifests/latest", None) in asked and (blob, "Bearer one-time") in asked
    assert not any("canary" in (a or "") for _, a in asked) and "one-time" not in daemon.stderr


def test_a_token_that_ran_out_is_fetched_anew(store, sources):
    source, data = sources(), gguf(size=1_000_000)
    source.registry("library/m", "latest", {"model": data})
    tokens = []

    def token(path):
        tokens.append(f"token-{len(tokens)}")
        source.login(source.url + "/token", tokens[-1])
        return {"token": tokens[-1]}, []
    source.json["/token"] = token
    source.login(source.url + "/token", "nobody has this")
    blob = f"/v2/library/m/blobs/sha256:{sha256(data)}"
    source.cuts[blob] = [400_000]
    serve = source.file

    def expire(*args):
        serve(*args)
        source.login(source.url + "/token", "it ran out")
    source.file = expire
    pulled(store(store={"registry": source.url}), "m")
    assert len(tokens) == 2


def test_a_realm_elsewhere_sees_nothing_of_ours(store, sources, secure, papers, tmp_path):
    """Over TLS anybody may be asked for a token, anonymously; without TLS only the registry itself."""
    source, plain, tls = sources(), sources(), secure()
    source.registry("library/m", "latest", {"model": gguf()})
    for other in (plain, tls):
        other.json["/token"] = {"token": "t"}
    daemon = store(env={"HF_TOKEN": "hf_canary_token"}, store={"registry": source.url, "ca_file": str(papers["good"][0])})
    source.login(plain.url + "/token", "t")
    assert "wants a login" in pull(daemon, "m")[-1]["error"] and not plain.asked
    source.login("file:///etc/passwd", "t")
    assert "wants a login" in pull(daemon, "m")[-1]["error"]
    source.login(tls.url + "/token", "t")
    pulled(daemon, "m")
    assert tls.asked and not any("authorization" in h for _, _, h in tls.asked)


def test_a_token_that_does_not_help_is_tried_once(store, sources):
    source = sources()
    source.registry("library/m", "latest", {"model": gguf()})
    source.login(source.url + "/token", "right")
    source.json["/token"] = {"token": "wrong"}
    error = pull(store(store={"registry": source.url}), "m")[-1]["error"]
    assert "the login that it asked for was not enough" in error
    assert source.count("/manifests/") == 2 and source.count("/token") == 1


def ollama_key(home):
    """As Ollama makes one at its first start; the seed is a test vector's (RFC 8032)."""
    seed = bytes.fromhex("9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60")
    public = bytes.fromhex("d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a")

    def string(s):
        return len(s).to_bytes(4, "big") + s
    blob = string(b"ssh-ed25519") + string(public)
    inner = b"12341234" + blob + string(seed + public) + string(b"") + bytes(range(1, 8))
    whole = b"openssh-key-v1\0" + string(b"none") + string(b"none") + string(b"") + b"\0\0\0\1" + string(blob) + string(inner)
    text = base64.b64encode(whole).decode()
    lines = [text[i:i + 70] for i in range(0, len(text), 70)]
    path = home / ".ollama/id_ed25519"
    path.parent.mkdir(parents=True)
    path.write_text("\n".join(["-----BEGIN OPENSSH PRIVATE KEY-----", *lines, "-----END OPENSSH PRIVATE KEY-----", ""]))
    return base64.b64encode(blob).decode()


@pytest.mark.parametrize("where", ["home", "elsewhere", "left alone"])
def test_ollamas_own_scheme(store, sources, secure, papers, tmp_path, where):
    """Its registry gives tokens to those who sign with their key; nobody else is shown that key's public half."""
    source, other = secure(), secure()
    realm = other if where == "elsewhere" else source
    source.registry("library/m", "latest", {"model": gguf()})
    source.login(realm.url + "/token", "signed-in", service="registry")
    public, guard = ollama_key(tmp_path / "home"), source.guard
    realm.json["/token"] = {"token": "signed-in"}

    def signed(path, headers):
        ok = path != "/token" or headers.get("Authorization", "").startswith(public + ":")
        return guard(path, headers) if ok and realm is source else None if ok else [("X-No", "1")]
    realm.guard = signed
    config = {"registry": source.url, "ca_file": str(papers["good"][0])}
    daemon = store(env={"HOME": str(tmp_path / "home")}, store=config | {"found": where != "left alone"})
    if where != "home":
        assert "error" in pull(daemon, "m")[-1]
        assert not any(public in h.get("authorization", "") for s in (source, other) for _, _, h in s.asked)
        return
    pulled(daemon, "m")
    address, header = next((p, h["authorization"]) for _, p, h in source.asked if public in h.get("authorization", ""))
    query = urllib.parse.parse_qs(urllib.parse.urlparse(address).query)
    assert query["service"] == ["registry"] and query["scope"] == ["repository:x:pull"] and query["ts"] and query["nonce"]
    check_signature(header.partition(":")[2], f"GET,{source.url}{address}," + base64.b64encode(sha256(b"").encode()).decode(),
                    base64.b64decode(public)[-32:], tmp_path)


def check_signature(signature, text, public, folder):
    import subprocess
    der = bytes.fromhex("302a300506032b6570032100") + public
    (folder / "public.der").write_bytes(der)
    (folder / "text").write_text(text)
    (folder / "signature").write_bytes(base64.b64decode(signature))
    subprocess.run(["openssl", "pkeyutl", "-verify", "-pubin", "-keyform", "DER", "-inkey", folder / "public.der", "-rawin", "-in",
                    folder / "text", "-sigfile", folder / "signature"], check=True, capture_output=True)


def test_a_gate_says_where_it_is_opened(store, sources):
    source = sources()
    source.hub("org/gated", {"g-Q4_0.gguf": gguf()})
    path = "/org/gated/resolve/main/g-Q4_0.gguf"
    source.status[path], source.extra[path] = 401, [("X-Error-Code", "GatedRepo")]
    without = pull(store(store={"huggingface": source.url}), "hf.co/org/gated")[-1]["error"]
    assert f"accept them at {source.url}/org/gated" in without and "set HF_TOKEN" in without
    source.status[path] = 403
    given = pull(store(env={"HF_TOKEN": "hf_canary_token"}, store={"huggingface": source.url}), "hf.co/org/gated")[-1]["error"]
    assert f"accept them at {source.url}/org/gated" in given and "same account" in given and "canary" not in given
    listed = "/api/models/org/none/tree/main"
    source.status[listed], source.extra[listed] = 401, [("X-Error-Code", "RepoNotFound")]
    error = pull(store(store={"huggingface": source.url}), "hf.co/org/none")[-1]["error"]
    assert "none of that name, or it is private" in error and "HF_TOKEN" in error


# ---- lists in pages


def test_a_list_in_pages_is_read_to_its_end(store, sources):
    source = sources()
    parts = {f"big-Q4_0-0000{i}-of-00003.gguf": gguf(seed=bytes([i])) for i in (1, 2, 3)}
    files = {"README.md": b"x", "big-F16.gguf": gguf(seed=b"f")} | parts | {"mmproj-f16.gguf": gguf("clip", 100)}
    source.hub("org/big", files, page=2)
    daemon = store(env={"HF_TOKEN": "hf_canary_token"}, store={"huggingface": source.url})
    pulled(daemon, "hf.co/org/big")
    about = show(daemon, "hf.co/org/big:Q4_0")
    assert about["gridtie"]["parts"] == 3 and "vision" in about["capabilities"]
    assert source.count("/tree/main") == 3
    assert all(h["authorization"] == "Bearer hf_canary_token" for _, _, h in source.asked)


def test_a_list_that_goes_on_elsewhere_or_for_ever(store, sources):
    source, other = sources(), sources()
    listed = "/api/models/org/odd/tree/main"
    source.json[listed] = lambda path: ([], [("Link", f'<{other.url}{listed}>; rel="next"')])
    daemon = store(env={"HF_TOKEN": "hf_canary_token"}, store={"huggingface": source.url})
    assert "elsewhere" in pull(daemon, "hf.co/org/odd")[-1]["error"] and not other.asked
    source.json[listed] = lambda path: ([], [("Link", f'<?cursor={len(source.asked)}>; rel="next"')])
    assert "has no end" in pull(daemon, "hf.co/org/odd")[-1]["error"]
    assert source.count("/tree/main") < 300
    assert names(daemon) == [] and not (models_dir(daemon) / "names").exists()


# ---- files that end too early


TENSORS = [("token_embd.weight", (64, 100)), ("blk.0.attn_q.weight", (64, 64)), ("output_norm.weight", (64,))]


def test_a_file_that_ends_before_its_tensors_is_no_model(store, sources, tmp_path):
    whole = gguf(tensors=TENSORS)
    cut, source, daemon = whole[:-1], sources(), store()
    source.files["/x.gguf"] = cut
    (tmp_path / "x.gguf").write_bytes(cut)
    for name in (source.url + "/x.gguf", str(tmp_path / "x.gguf")):
        error = pull(daemon, name)[-1]["error"]
        assert f"is cut: its tensors take {len(whole)} bytes, and the file has {len(cut)}" in error, error
    digest = "sha256:" + sha256(cut)
    assert daemon.post("/api/blobs/" + digest, cut).status == 201
    reply = daemon.post("/api/create", {"model": "m", "files": {"x.gguf": digest}, "stream": False})
    assert reply.status == 400 and "is cut" in reply.json["error"]
    parts = [gguf(tensors=TENSORS, seed=b"1"), cut]
    for i, data in enumerate(parts, 1):
        (tmp_path / f"s-0000{i}-of-00002.gguf").write_bytes(data)
    assert "is cut" in pull(daemon, str(tmp_path / "s-00001-of-00002.gguf"))[-1]["error"]
    assert names(daemon) == [] and blobs(daemon) == []
    source.files["/x.gguf"] = whole
    pulled(daemon, source.url + "/x.gguf")
    assert names(daemon) == ["x:latest"]


def test_a_file_put_there_by_hand_says_that_it_is_cut(store):
    daemon = store()
    models_dir(daemon).mkdir(parents=True, exist_ok=True)
    (models_dir(daemon) / "own.gguf").write_bytes(gguf(tensors=TENSORS)[:-100])
    daemon.reload({"engine": {"enabled": True, "binary": "/bin/false"}, "store": {"found": False}})
    reply = daemon.post("/api/chat", {"model": "own", "messages": [{"role": "user", "content": "hi"}]})
    assert reply.status >= 500 and "is cut" in reply.json["error"], reply.text
