"""The vectors once more, by SPEC.md alone: with hashes, MessagePack and Ed25519, and no line of the project's code.

What the code makes of its own vectors could be wrong in both; this reading is short enough to hold beside the text.
"""

import base64
import hmac
import json
from hashlib import sha3_256, sha256
from pathlib import Path
from typing import Any

import msgpack
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.mlkem import MLKEM768PrivateKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

FOLDER = Path(__file__).resolve().parents[2] / "protocol/vectors"
Vector = dict[str, Any]
SUITE = b"HPKE" + bytes.fromhex("647a00010003")
COMBINER = bytes.fromhex("5c2e2f2f5e5c")


def _label(name: str) -> bytes:
    return f"muster/v1 {name}\0".encode()


def _hex(text: str) -> bytes:
    return bytes.fromhex(text)


def _vectors(topic: str, op: str | None = None) -> list[Any]:
    found = json.loads((FOLDER / f"{topic}.json").read_text("utf-8"))["vectors"]
    chosen = [vector for vector in found if "expect" in vector and vector["input"].get("op") == op]
    assert chosen
    return [pytest.param(vector["input"], vector["expect"], id=vector["name"]) for vector in chosen]


def _spelled(data: bytes) -> str:
    return base64.b32encode(sha256(data).digest()[:20]).decode().lower()


def _bytes_in(form: Any) -> Any:
    if isinstance(form, dict):
        return _hex(form["hex"]) if set(form) == {"hex"} else {key: _bytes_in(item) for key, item in form.items()}
    return [_bytes_in(item) for item in form] if isinstance(form, list) else form


def _fingerprint(public: bytes) -> bytes:
    return sha256(_label("key") + b"ed25519\0" + public).digest()


def _public(secret: bytes) -> bytes:
    return Ed25519PrivateKey.from_private_bytes(secret).public_key().public_bytes_raw()


@pytest.mark.parametrize(("given", "expect"), _vectors("ids", "client_id"))
def test_client_ids(given: Vector, expect: Vector) -> None:
    key = given["alg"].encode() + b"\0" + _hex(given["genesis_public"])
    assert _spelled(_label("client-id") + key) == expect["client_id"]


@pytest.mark.parametrize(("given", "expect"), _vectors("ids", "session_id"))
def test_session_ids(given: Vector, expect: Vector) -> None:
    made = given["creator"].encode() + b"\0" + _hex(given["seed"])
    assert _spelled(_label("session-id") + made) == expect["session_id"]


@pytest.mark.parametrize(("given", "expect"), _vectors("fingerprints", "fingerprint"))
def test_fingerprints(given: Vector, expect: Vector) -> None:
    assert _fingerprint(_hex(given["public"])).hex() == expect["fingerprint"]


@pytest.mark.parametrize(("given", "expect"), _vectors("statements", "sign"))
def test_statements(given: Vector, expect: Vector) -> None:
    body = msgpack.packb(_bytes_in(given["fields"]))
    message = _label(given["kind"]) + body
    secret = _hex(given["secret"])
    assert body.hex() == expect["body"]
    assert message.hex() == expect["to_sign"]
    assert _fingerprint(_public(secret)).hex() == expect["signer"]
    assert Ed25519PrivateKey.from_private_bytes(secret).sign(message).hex() == expect["signature"]
    assert sha256(_label(f"hash {given['kind']}") + body).hexdigest() == expect["hash"]


@pytest.mark.parametrize(("given", "expect"), _vectors("connect", "transcript"))
def test_handshakes(given: Vector, expect: Vector) -> None:
    challenge = sha256(_label("hash challenge") + _hex(given["challenge"])).digest()
    message = msgpack.unpackb(_hex(expect["hello"]))
    hello = sha256(_label("hash hello") + message["hello"]).digest()
    assert (challenge.hex(), hello.hex()) == (expect["challenge_hash"], expect["hello_hash"])
    whole = sha256(_label("hash hello message") + _hex(expect["hello"])).digest()
    assert whole.hex() == expect["message_hash"]
    device, hub = given["device"], _fingerprint(_public(_hex(given["hub_secret"])))
    body, signer, signature = message["connect"]
    public = _public(_hex(device["secret"]))
    assert body == msgpack.packb([1, device["client"], challenge, hello, device["origin"], hub])
    assert signer == _fingerprint(public)
    Ed25519PublicKey.from_public_bytes(public).verify(signature, _label("connect") + body)
    for kind in ("welcome", "refused"):
        body, signer, signature = msgpack.unpackb(_hex(expect[kind]))[kind]
        assert signer == hub
        assert msgpack.unpackb(body)[:3] == [1, challenge, whole]
        hub_key = Ed25519PublicKey.from_public_bytes(_public(_hex(given["hub_secret"])))
        hub_key.verify(signature, _label(kind) + body)


@pytest.mark.parametrize(("given", "expect"), _vectors("continuity", "prove"))
def test_continuity(given: Vector, expect: Vector) -> None:
    key = hmac.digest(_hex(given["hub_key_secret"]), _label("continuity key"), "sha256")
    number = given["counter"].to_bytes(8, "big")
    token = hmac.digest(key, _label("continuity token") + given["client"].encode() + number, "sha256")
    nonces = _hex(given["challenge"]) + _hex(given["hello"])
    proof = hmac.digest(token, _label("continuity proof") + nonces, "sha256")
    assert {"mac_key": key.hex(), "token": token.hex(), "proof": proof.hex()} == expect


@pytest.mark.parametrize(("given", "expect"), _vectors("enrolment", "write"))
def test_invitations(given: Vector, expect: Vector) -> None:
    said = _hex(given["hub"]) + _hex(given["code"])
    check = sha256(_label("invitation") + given["url"].encode() + b"\0" + said).digest()[:3]
    assert given["url"] + "#" + base64.b32encode(said + check).decode().lower() == expect["text"]


@pytest.mark.parametrize(("given", "expect"), _vectors("sealed", "commitment"))
def test_commitments(given: Vector, expect: Vector) -> None:
    said = given["session"].encode() + given["number"].to_bytes(8, "big") + _hex(given["key"])
    assert sha256(_label("epoch-key commitment") + said).hexdigest() == expect["commitment"]


@pytest.mark.parametrize(("given", "expect"), _vectors("export"))
def test_keys_for_applications(given: Vector, expect: Vector) -> None:
    info = _label("export") + _hex(given["epoch_hash"]) + given["label"].encode()
    extracted = hmac.digest(bytes(32), _hex(given["epoch_key"]), "sha256")
    block, output = b"", b""
    for number in range(1, 3):
        block = hmac.digest(extracted, block + info + bytes([number]), "sha256")
        output += block
    assert output[: given["length"]].hex() == expect["key"]


@pytest.mark.parametrize(("given", "expect"), _vectors("sealed", "admission_info"))
def test_the_info_of_an_admission(given: Vector, expect: Vector) -> None:
    hashes = b"".join(_hex(given[name]) for name in ("invite_hash", "answer_hash", "epoch_hash"))
    assert (_label("seal admission") + hashes).hex() == expect["info"]


@pytest.mark.parametrize(("given", "expect"), _vectors("sealed", "epoch_info"))
def test_the_info_of_an_epoch(given: Vector, expect: Vector) -> None:
    said = _hex(given["epoch_hash"]) + given["member"].encode()
    assert (_label("seal epoch") + said).hex() == expect["info"]


def _extract(salt: bytes, label: bytes, secret: bytes) -> bytes:
    return hmac.digest(salt or bytes(32), b"HPKE-v1" + SUITE + label + secret, "sha256")


def _expand(secret: bytes, label: bytes, context: bytes, size: int) -> bytes:
    """Expand to one block of HKDF at most."""
    info = size.to_bytes(2, "big") + b"HPKE-v1" + SUITE + label + context
    return hmac.digest(secret, info + b"\x01", "sha256")[:size]


def _shared(seed: bytes, enclosed: bytes, share: bytes) -> bytes:
    curve = X25519PrivateKey.from_private_bytes(seed[64:])
    lattice = MLKEM768PrivateKey.from_seed_bytes(seed[:64]).decapsulate(enclosed)
    both = lattice + curve.exchange(X25519PublicKey.from_public_bytes(share))
    return sha3_256(both + share + curve.public_key().public_bytes_raw() + COMBINER).digest()


@pytest.mark.parametrize(("given", "expect"), _vectors("sealed", "open"))
def test_sealed_keys(given: Vector, expect: Vector) -> None:
    sealed = _hex(given["sealed"])
    shared = _shared(_hex(given["seed"]), sealed[:1088], sealed[1088:1120])
    context = b"\0" + _extract(b"", b"psk_id_hash", b"") + _extract(b"", b"info_hash", _hex(given["info"]))
    secret = _extract(shared, b"secret", b"")
    key, nonce = _expand(secret, b"key", context, 32), _expand(secret, b"base_nonce", context, 12)
    assert ChaCha20Poly1305(key).decrypt(nonce, sealed[1120:], b"").hex() == expect["key"]


@pytest.mark.parametrize(("given", "expect"), _vectors("sealed", "derive"))
def test_receive_keys(given: Vector, expect: Vector) -> None:
    seed = _hex(given["seed"])
    lattice = MLKEM768PrivateKey.from_seed_bytes(seed[:64]).public_key().public_bytes_raw()
    curve = X25519PrivateKey.from_private_bytes(seed[64:]).public_key().public_bytes_raw()
    assert (lattice + curve).hex() == expect["public"]


@pytest.mark.parametrize(("given", "expect"), _vectors("exchange", "admission"))
def test_an_admission_cites_what_came_before(given: Vector, expect: Vector) -> None:
    invite, answer, admission = (_hex(form["body"]) for form in (given["invite"], expect["answer"], given["admission"]))
    invite_hash = sha256(_label("hash invite") + invite).digest()
    answer_hash = sha256(_label("hash answer") + answer).digest()
    fields = msgpack.unpackb(admission)
    assert msgpack.unpackb(answer)[12] == invite_hash
    assert fields[12:14] == [invite_hash, answer_hash]
    assert sha256(_label("hash epoch") + fields[14][0]).hexdigest() == expect["epoch_hash"]


@pytest.mark.parametrize(("given", "expect"), _vectors("frames"))
def test_messages(given: Vector, expect: Vector) -> None:
    plain = msgpack.unpackb(_hex(given["message"]), ext_hook=lambda *_: None)
    fields = _bytes_in(expect["fields"])
    assert {name: plain[name] for name in fields} == fields
    assert not expect["same_bytes"] or plain == fields


def test_a_message_that_is_the_same_again_has_the_shortest_form() -> None:
    """No other encoder than one that writes the shortest form could give the same bytes."""
    for vector in json.loads((FOLDER / "frames.json").read_text("utf-8"))["vectors"]:
        if vector.get("expect", {}).get("same_bytes"):
            data = bytes.fromhex(vector["input"]["message"])
            assert msgpack.packb(msgpack.unpackb(data)) == data, vector["name"]


@pytest.mark.parametrize(("given", "expect"), _vectors("closes"))
def test_what_follows_a_close(given: Vector, expect: Vector) -> None:
    code = given["code"]
    stop = 4500 <= code <= 4999
    after = "new_instance" if code == 4505 else "rare" if stop and code != 4501 else "usual"
    assert expect["stop"] == stop
    assert expect["after_close"] == after
    assert expect["after_refusal"] == ("never" if code == 4501 else after)
    assert expect["after_refusal_of_another_hub"] == "usual"


@pytest.mark.parametrize(("given", "expect"), [*_vectors("shapes", "body"), *_vectors("shapes", "message")])
def test_good_shapes(given: Vector, expect: Vector) -> None:
    good = msgpack.unpackb(_hex(given["good"]))
    assert msgpack.packb(good).hex() == given["good"]
    assert (good[0] == 1) if given["op"] == "body" else (good["t"] == given["kind"])
    assert expect == {"taken": True}


@pytest.mark.parametrize("vector", json.loads((FOLDER / "shapes.json").read_text("utf-8"))["vectors"])
def test_a_bad_value_has_its_place_and_is_not_the_good_one(vector: Vector) -> None:
    for form in vector["input"].get("bad", {}).values():
        *places, last = form["path"]
        box = msgpack.unpackb(_hex(vector["input"]["good"]))
        for place in places:
            box = box[place]
        there = (dict(enumerate(box)) if isinstance(box, list) else box).get(last)
        values = [msgpack.unpackb(_hex(value)) for value in form["values"].values() if isinstance(value, str)]
        # 1 and True are equal in Python, and differ on the wire.
        assert values
        assert not [value for value in values if (type(value), value) == (type(there), there) and value is not None]


@pytest.mark.parametrize(("given", "expect"), _vectors("stories", "creator"))
def test_the_epochs_of_a_creator(given: Vector, expect: Vector) -> None:
    creator = Ed25519PublicKey.from_public_bytes(_public(_hex(given["secret"])))
    for step, outcome in zip(given["steps"], expect["outcomes"], strict=True):
        epoch = outcome.get("epoch")
        if step["do"] not in {"begin", "admit"} or epoch is None:
            continue
        creator.verify(_hex(epoch["signature"]), _label("epoch") + _hex(epoch["body"]))
        _, session, number, _, members, commitment, at = msgpack.unpackb(_hex(epoch["body"]))
        said = session.encode() + number.to_bytes(8, "big") + _hex(step["key"])
        assert commitment == sha256(_label("epoch-key commitment") + said).digest()
        assert members == sorted(members)
        assert {given["client"], *outcome.get("admitted", ())} <= {client for client, _ in members}
        assert at == step["now"]


@pytest.mark.parametrize(("given", "expect"), _vectors("stories", "member"))
def test_the_answers_of_a_called_device(given: Vector, expect: Vector) -> None:
    device = Ed25519PublicKey.from_public_bytes(_public(_hex(given["secret"])))
    invite = sha256(_label("hash invite") + _hex(given["invite"]["body"])).digest()
    for kind, outcome in ((kind, outcome) for outcome in expect["outcomes"] for kind in ("answer", "joined")):
        said = outcome.get(kind)
        if isinstance(said, dict):
            device.verify(_hex(said["signature"]), _label(kind) + _hex(said["body"]))
            assert kind == "joined" or msgpack.unpackb(_hex(said["body"]))[12] == invite
