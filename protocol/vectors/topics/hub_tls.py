"""hub_tls.json: a hub's key that vouches for a TLS key, and what a device makes of it (SPEC.md section 4.7)."""

import msgspec
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from muster_protocol.codec import encode
from muster_protocol.hub_keys import HubRotation, SignedHubRotation, sign_hub_rotation
from muster_protocol.hub_tls import HubVoucher, certify, shown_voucher
from muster_protocol.ids import Fingerprint, Signature
from muster_protocol.keys import PublicKey, SigningKey
from muster_protocol.reasons import Reason
from vectors.topics.cast import HUB, HUB_NEXT, HUB_SECRET, HUB_THIRD, OTHER_HUB, UNSAFE, secret
from vectors.topics.forms import Vector, accepted, refused

LINKS = (sign_hub_rotation(1, HUB, HUB_NEXT.public), sign_hub_rotation(2, HUB_NEXT, HUB_THIRD.public))


def _spki(number: int) -> bytes:
    key = ec.derive_private_key(number, ec.SECP256R1()).public_key()
    return key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


SPKI, OTHER_SPKI = _spki(7), _spki(8)
PLAIN, ROTATED = certify(HUB, (), SPKI), certify(HUB_THIRD, LINKS, SPKI)


def hub_tls() -> list[Vector]:
    """Return extensions as they are made, then those that a device accepts, and those that it refuses."""
    return [*_made(), *_accepted(), *_not_read(), *_not_followed()]


def _made() -> list[Vector]:
    given = {"op": "certify", "hub_secret": HUB_SECRET.hex(), "rotations": [], "spki": SPKI.hex()}
    third = {"hub_secret": secret(0xA2).hex(), "rotations": [_link(link) for link in LINKS]}
    return [
        accepted("certify: a hub's first key", given, {"extension": PLAIN.hex()}),
        accepted("certify: a hub's third key", given | third, {"extension": ROTATED.hex()}),
    ]


def _accepted() -> list[Vector]:
    many = LINKS + tuple(sign_hub_rotation(3 + place, OTHER_HUB, HUB.public) for place in range(30))
    cases = {
        "the pinned key": (PLAIN, HUB, HUB),
        "the pinned key, with rotations": (ROTATED, HUB_THIRD, HUB_THIRD),
        "rotated once since": (ROTATED, HUB_NEXT, HUB_THIRD),
        "rotated twice since": (ROTATED, HUB, HUB_THIRD),
        "32 rotations": (certify(HUB_THIRD, many, SPKI), HUB, HUB_THIRD),
    }
    return [
        accepted(f"check: {name}", _check(extension, pinned), _found(shown, followed=shown != pinned))
        for name, (extension, pinned, shown) in cases.items()
    ]


def _not_read() -> list[Vector]:
    voucher = shown_voucher(PLAIN, SPKI)
    turned = Signature(bytes([voucher.signature[0] ^ 1]) + voucher.signature[1:])
    many = tuple(sign_hub_rotation(1, HUB, HUB_NEXT.public) for _ in range(33))
    unsafe = encode(HubVoucher(hub_key=UNSAFE, hub_rotations=(), signature=voucher.signature))
    cases = {
        "empty": (b"", Reason.MALFORMED, "encoding"),
        "no array": (b"\xc0", Reason.MALFORMED, "encoding"),
        "another version": (b"\x94\x02" + PLAIN[2:], Reason.UNSUPPORTED, "encoding"),
        "a field too many": (b"\x95" + PLAIN[1:] + b"\xc0", Reason.MALFORMED, "shape"),
        "bytes behind it": (PLAIN + b"\xc0", Reason.MALFORMED, "encoding"),
        "a longer form": (b"\xdc\x00\x04" + PLAIN[1:], Reason.MALFORMED, "encoding"),
        "a short signature": (_with(voucher, Signature(voucher.signature[:63])), Reason.MALFORMED, "shape"),
        "a long signature": (_with(voucher, Signature(voucher.signature + b"\0")), Reason.MALFORMED, "shape"),
        "33 rotations": (certify(HUB_NEXT, many, SPKI), Reason.MALFORMED, "shape"),
        "an unsafe key": (unsafe, Reason.MALFORMED, "key"),
        "a forged signature": (_with(voucher, turned), Reason.BAD_SIGNATURE, "signature"),
        "made for another TLS key": (certify(HUB, (), OTHER_SPKI), Reason.BAD_SIGNATURE, "signature"),
        "signed without the label": (_with(voucher, HUB.sign(SPKI)), Reason.BAD_SIGNATURE, "signature"),
        "signed by another hub": (_with(voucher, _signature(OTHER_HUB)), Reason.BAD_SIGNATURE, "signature"),
    }
    return [
        refused(f"check: {name}", _check(extension, HUB), reason, layer)
        for name, (extension, reason, layer) in cases.items()
    ]


def _not_followed() -> list[Vector]:
    body = encode(HubRotation(number=1, old_key=HUB.public, new_key=HUB_NEXT.public))
    forged = SignedHubRotation(body, OTHER_HUB.sign(b"muster/v1 hub_rotation\0" + body))
    changed, rule = Reason.HUB_KEY_CHANGED, "rule"
    cases = {
        "another hub": (certify(OTHER_HUB, (), SPKI), HUB, changed, rule),
        "another hub, with this hub's rotations": (certify(OTHER_HUB, LINKS, SPKI), HUB, changed, rule),
        "rotations left out": (certify(HUB_THIRD, (), SPKI), HUB, changed, rule),
        "the last rotation left out": (certify(HUB_THIRD, LINKS[:1], SPKI), HUB, changed, rule),
        "rotations in another order": (certify(HUB_THIRD, LINKS[::-1], SPKI), HUB, changed, rule),
        "an older key than the pinned one": (PLAIN, HUB_THIRD, changed, rule),
        "a forged rotation": (certify(HUB_NEXT, (forged,), SPKI), HUB, Reason.BAD_SIGNATURE, "signature"),
    }
    return [
        refused(f"check: {name}", _check(extension, pinned), reason, layer)
        for name, (extension, pinned, reason, layer) in cases.items()
    ]


def _signature(key: SigningKey) -> Signature:
    return shown_voucher(certify(key, (), SPKI), SPKI).signature


def _with(voucher: HubVoucher, signature: Signature) -> bytes:
    return encode(msgspec.structs.replace(voucher, signature=signature))


def _check(extension: bytes, pinned: SigningKey) -> dict[str, object]:
    return {"op": "check", "extension": extension.hex(), "spki": SPKI.hex(), "pinned": pinned.fingerprint.hex()}


def _found(key: SigningKey, *, followed: bool) -> dict[str, object]:
    return {"hub_key": _key(key.public), "fingerprint": Fingerprint(key.fingerprint).hex(), "followed": followed}


def _key(key: PublicKey) -> dict[str, str]:
    return {"alg": key.alg, "public": key.public.hex()}


def _link(link: SignedHubRotation) -> dict[str, str]:
    return {"body": link.body.hex(), "signature": link.signature.hex()}
