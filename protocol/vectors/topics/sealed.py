"""sealed.json: receive keys, sealed epoch keys, commitments (SPEC.md section 7.5).

Sealing takes randomness, so the same bytes cannot be made twice: what the file holds is kept while it still opens.
"""

import json
from pathlib import Path

from muster_protocol.errors import Refused
from muster_protocol.exchange import admission_info, epoch_info
from muster_protocol.ids import Hash, session_id
from muster_protocol.reasons import Reason
from muster_protocol.sealing import MLKEM_BYTES, SEALED_BYTES, EpochKey, PublicReceiveKey, commitment, seal
from vectors.topics.cast import LAPTOP, NAS, epoch_key, random_bytes, receive_key, receive_seed, seed
from vectors.topics.forms import Json, Vector, accepted, refused


class Sealer:
    """Seals a key, or returns what was sealed before under the same name, and remembers each as a vector."""

    def __init__(self, kept: Path) -> None:
        found = json.loads(kept.read_text("utf-8"))["vectors"] if kept.is_file() else []
        self._kept = {vector["name"]: vector["input"].get("sealed") for vector in found}
        self.vectors: list[Vector] = []

    def seal(self, name: str, key: EpochKey, receiver: str, info: bytes) -> bytes:
        """Return ``key`` sealed to the receive key called ``receiver``."""
        found = self._from_file(name, key, receiver, info) or seal(key, receive_key(receiver).public, info)
        self.vectors.append(accepted(name, opening(receive_seed(receiver), info, found), {"key": key.hex()}))
        return found

    def _from_file(self, name: str, key: EpochKey, receiver: str, info: bytes) -> bytes | None:
        kept = bytes.fromhex(self._kept.get(name) or "")
        try:
            return kept if receive_key(receiver).open(kept, info) == key else None
        except Refused:
            return None


def opening(behind: bytes, info: bytes, sealed_key: bytes) -> Json:
    """Return the input of a vector that opens something."""
    return {"op": "open", "seed": behind.hex(), "info": info.hex(), "sealed": sealed_key.hex()}


def sealed(sealer: Sealer) -> list[Vector]:
    """Return what was sealed for the other files, what does not open, and what stands around it."""
    hashes = [Hash(bytes([number]) * 32) for number in (1, 2, 3)]
    info = admission_info(*hashes)
    plain = sealer.seal("a key sealed by itself", epoch_key("alone"), "alone", info)
    return [*sealer.vectors, *_unopened(plain, info), *_receive_keys(), *_infos(hashes), *_commitments()]


def _unopened(plain: bytes, info: bytes) -> list[Vector]:
    own = receive_seed("alone")
    other_mlkem = receive_seed("other")[:64] + own[64:]
    other_x25519 = own[:64] + receive_seed("other")[64:]
    bad = {
        "under another info": opening(own, info[:-1] + b"\x04", plain),
        "with the ML-KEM half of another key": opening(other_mlkem, info, plain),
        "with the X25519 half of another key": opening(other_x25519, info, plain),
        "the first byte turned": opening(own, info, bytes([plain[0] ^ 1]) + plain[1:]),
        "the X25519 share turned": opening(own, info, _turned(plain, 1088)),
        "the ciphertext turned": opening(own, info, _turned(plain, 1120)),
        "the tag turned": opening(own, info, _turned(plain, SEALED_BYTES - 1)),
        "one byte short": opening(own, info, plain[:-1]),
        "one byte long": opening(own, info, plain + b"\0"),
        "an X25519 share of zeros": opening(own, info, plain[:1088] + bytes(32) + plain[1120:]),
        "nothing": opening(own, info, b""),
    }
    return [refused(f"not opened: {name}", given, Reason.CANNOT_OPEN, "sealing") for name, given in bad.items()]


def _turned(sealed_key: bytes, place: int) -> bytes:
    return sealed_key[:place] + bytes([sealed_key[place] ^ 1]) + sealed_key[place + 1 :]


def _receive_keys() -> list[Vector]:
    found = [
        accepted(f"the receive key {name}", {"op": "derive", "seed": receive_seed(name).hex()}, {"public": _hex(name)})
        for name in ("nas 1", "nas 2", "desk 1", "alone")
    ]
    good = receive_key("alone").public
    low = {
        "zero": bytes(32),
        "one": b"\x01" + bytes(31),
        "p - 1": (2**255 - 20).to_bytes(32, "little"),
        "p": (2**255 - 19).to_bytes(32, "little"),
        "p + 1": (2**255 - 18).to_bytes(32, "little"),
        "order 8": bytes.fromhex("e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800"),
        "order 8, the other": bytes.fromhex("5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157"),
        "zero with the top bit": bytes(31) + b"\x80",
    }
    halves = {f"an X25519 half of low order: {name}": good[:MLKEM_BYTES] + half for name, half in low.items()}
    halves["an ML-KEM half out of its range"] = b"\xff" * MLKEM_BYTES + good[MLKEM_BYTES:]
    bad = [
        refused(name, {"op": "seal_to", "public": public.hex()}, Reason.MALFORMED, "key")
        for name, public in halves.items()
    ]
    return [*found, accepted("a good receive key", {"op": "seal_to", "public": good.hex()}, {"good": True}), *bad]


def _hex(name: str) -> str:
    public: PublicReceiveKey = receive_key(name).public
    return public.hex()


def _infos(hashes: list[Hash]) -> list[Vector]:
    shown = [item.hex() for item in hashes]
    given = {"op": "admission_info", "invite_hash": shown[0], "answer_hash": shown[1], "epoch_hash": shown[2]}
    found = [accepted("the info of an admission", given, {"info": admission_info(*hashes).hex()})]
    given = {"op": "epoch_info", "epoch_hash": shown[2], "member": NAS.client}
    return [*found, accepted("the info of an epoch", given, {"info": epoch_info(hashes[2], NAS.client).hex()})]


def _commitments() -> list[Vector]:
    session = session_id(LAPTOP.client, seed("story"))
    key = EpochKey(random_bytes("committed", 32))
    return [
        accepted(
            f"the commitment of epoch {number}",
            {"op": "commitment", "session": session, "number": number, "key": key.hex()},
            {"commitment": commitment(session, number, key).hex()},
        )
        for number in (1, 256, 65_535)
    ]
