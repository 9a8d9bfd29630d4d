"""ids.json, fingerprints.json: what devices, sessions and keys are called (SPEC.md section 1)."""

from hashlib import sha256

from muster_protocol.ids import client_id, session_id
from muster_protocol.keys import PublicKey
from muster_protocol.reasons import Reason
from muster_protocol.words import word_list, words
from vectors.topics.cast import DESK, HUB, LAPTOP, LAPTOP_KEYS, NAS, NO_POINT, STRANGER, random_bytes, seed
from vectors.topics.forms import Vector, accepted, refused

P = 2**255 - 19
ORDER_8_Y = int.from_bytes(bytes.fromhex("26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05"), "little")


def ids() -> list[Vector]:
    """Return names made from keys and seeds, then the spellings that people may use."""
    found = [_client(device.name, device.key.public) for device in (LAPTOP, NAS, DESK, STRANGER)]
    found += [_session(device.client, number) for device in (LAPTOP, NAS) for number in (1, 2)]
    return found + _spellings()


def _client(name: str, key: PublicKey) -> Vector:
    given = {"op": "client_id", "alg": key.alg, "genesis_public": key.public.hex()}
    return accepted(f"the ClientId of the {name}", given, {"client_id": client_id(key.alg, key.public)})


def _session(creator: str, number: int) -> Vector:
    chosen = seed(f"session {number}")
    made = session_id(LAPTOP.client if creator == LAPTOP.client else NAS.client, chosen)
    given = {"op": "session_id", "creator": creator, "seed": chosen.hex()}
    return accepted(f"session {number} of {creator[:4]}", given, {"session_id": made})


def _spellings() -> list[Vector]:
    plain = NAS.client
    groups = [plain[start : start + 4] for start in range(0, len(plain), 4)]
    good = {
        "as it is": plain,
        "upper case": plain.upper(),
        "groups with spaces": " ".join(groups),
        "groups with dashes": "-".join(groups),
        "a line end behind it": plain + "\n",
    }
    bad = {
        "one character short": plain[:-1],
        "one character long": plain + "a",
        "a digit that base32 lacks": "1" + plain[1:],
        "padding": plain[:-1] + "=",
        "empty": "",
        "groups with no-break spaces": "\u00a0".join(groups),
    }
    found = [
        accepted(f"spelled: {name}", {"op": "spelled", "text": text}, {"client_id": plain})
        for name, text in good.items()
    ]
    every = "abcdefghijklmnopqrstuvwxyz234567"
    found.append(accepted("spelled: each character once", {"op": "spelled", "text": every}, {"client_id": every}))
    return found + [
        refused(f"spelled: {name}", {"op": "spelled", "text": text}, Reason.MALFORMED, "shape")
        for name, text in bad.items()
    ]


def fingerprints() -> list[Vector]:
    """Return fingerprints with their words, the list of words, and the keys that are no keys."""
    keys = {device.name: device.key.public for device in (LAPTOP, NAS, DESK, STRANGER)}
    keys |= {"laptop after one rotation": LAPTOP_KEYS[1].public, "hub": HUB.public}
    listed = "".join(f"{word}\n" for word in word_list()).encode()
    found = [accepted("the list of words", {"op": "words"}, {"count": 2048, "sha256": sha256(listed).hexdigest()})]
    found += [_fingerprint(name, key) for name, key in keys.items()]
    found.append(_fingerprint("y = 2, which no point has", NO_POINT))
    found += [_spelled(name, value) for name, value in _extremes().items()]
    return found + _unsafe()


def _fingerprint(name: str, key: PublicKey) -> Vector:
    given = {"op": "fingerprint", "alg": key.alg, "public": key.public.hex()}
    expect = {"fingerprint": key.fingerprint.hex(), "words": list(words(key.fingerprint))}
    return accepted(f"the key of the {name}", given, expect)


def _extremes() -> dict[str, list[str]]:
    first, last = word_list()[0], word_list()[-1]
    return {"00" * 32: [first] * 8, "ff" * 32: [last] * 8, "00" * 11 + "ff" * 21: [first] * 8}


def _spelled(fingerprint: str, expect: list[str]) -> Vector:
    given = {"op": "spell", "fingerprint": fingerprint}
    return accepted(f"the words of {fingerprint[:4]}...{fingerprint[-4:]}", given, {"words": expect})


def _unsafe() -> list[Vector]:
    small = {"y = 0": 0, "y = 1": 1, "y = p - 1": P - 1, "order 8": ORDER_8_Y, "order 8, negative": P - ORDER_8_Y}
    large = {"y = p": P, "y = p + 1": P + 1, "y = 2^255 - 1": 2**255 - 1}
    found = []
    for name, y in (small | large).items():
        for sign in (0, 1):
            encoded = (y | sign << 255).to_bytes(32, "little")
            given = {"op": "fingerprint", "alg": "ed25519", "public": encoded.hex()}
            found.append(refused(f"unsafe key: {name}, sign {sign}", given, Reason.MALFORMED, "key"))
    other = {"op": "fingerprint", "alg": "ed448", "public": random_bytes("ed448", 32).hex()}
    short = {"op": "fingerprint", "alg": "ed25519", "public": random_bytes("short", 31).hex()}
    found.append(refused("another algorithm", other, Reason.MALFORMED, "shape"))
    found.append(refused("31 bytes", short, Reason.MALFORMED, "shape"))
    return found
