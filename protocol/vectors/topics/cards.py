"""cards.json: chains of keys, good and forged (SPEC.md sections 1.4 and 2.5)."""

from msgspec.structs import replace

from muster_protocol.cards import MAX_ROTATIONS, Card, Mode, ProtocolRange, SignedRotation, sign_rotation, verify_card
from muster_protocol.ids import Serial, Signature, client_id
from muster_protocol.keys import SigningKey
from muster_protocol.reasons import Reason
from muster_protocol.signed import Signed, sign
from vectors.topics.cast import DESK, LAPTOP_KEYS, NAS, NO_POINT, STRANGER, UNSAFE, card_body, rotation, rotation_body
from vectors.topics.forms import Vector, accepted, refused, signed

GENESIS, FIRST, SECOND = LAPTOP_KEYS[:3]


def _chain(length: int) -> tuple[SignedRotation, ...]:
    return tuple(rotation(number) for number in range(1, length + 1))


def _card(length: int) -> Card:
    return card_body(GENESIS, LAPTOP_KEYS[length], _chain(length))


def rotated(length: int) -> Signed:
    """Return the laptop's card after so many rotations."""
    return sign(_card(length), LAPTOP_KEYS[length])


def badly_rotated() -> Signed:
    """Return the laptop's card after a rotation whose new key did not sign it well."""
    link = rotation(1)
    return _with_links(replace(link, new_signature=_turned(link.new_signature)), current=FIRST)


def _with_links(*links: SignedRotation, current: SigningKey) -> Signed:
    return sign(card_body(GENESIS, current, links), current)


def _turned(signature: Signature) -> Signature:
    return Signature(bytes([signature[0] ^ 1]) + signature[1:])


def cards() -> list[Vector]:
    """Return cards that verify, then one forgery for each thing that is checked."""
    good = {f"{length} rotations": rotated(length) for length in (0, 1, 2, MAX_ROTATIONS)}
    good["one mode only"] = sign(replace(_card(0), modes=(Mode.INVENTORY,)), GENESIS)
    good["a wide protocol range"] = sign(replace(_card(0), protocol=ProtocolRange(1, 65_535)), GENESIS)
    found = [_accepted(name, card) for name, card in good.items()]
    for name, (card, reason, layer) in (_bad_signatures() | _bad_chains() | _bad_contents()).items():
        found.append(refused(name, {"card": signed(card)}, reason, layer))
    return found


def _accepted(name: str, card: Signed) -> Vector:
    found = verify_card(card)
    expect = {
        "client": found.card.client,
        "fingerprints": [fingerprint.hex() for fingerprint in found.fingerprints],
        "serial": found.card.serial,
    }
    return accepted(name, {"card": signed(card)}, expect)


_Bad = dict[str, tuple[Signed, Reason, str]]


def _bad_signatures() -> _Bad:
    card = rotated(0)
    link = rotation(1)
    old = replace(link, old_signature=_turned(link.old_signature))
    new = replace(link, new_signature=_turned(link.new_signature))
    by_other = sign_rotation(rotation_body(1), STRANGER.key, FIRST)
    posed = replace(by_other, old_signer=GENESIS.fingerprint)
    return {
        "a signature with one bit turned": (
            replace(card, signature=_turned(card.signature)),
            Reason.BAD_SIGNATURE,
            "signature",
        ),
        "signed by another key": (sign(_card(0), STRANGER.key), Reason.MISMATCH, "signature"),
        "signed by the retired key": (sign(_card(1), GENESIS), Reason.MISMATCH, "signature"),
        "a rotation without a good signature of the old key": (
            _with_links(old, current=FIRST),
            Reason.BAD_SIGNATURE,
            "signature",
        ),
        "a rotation without a good signature of the new key": (
            _with_links(new, current=FIRST),
            Reason.BAD_SIGNATURE,
            "signature",
        ),
        "a rotation that a stranger signed in the old key's name": (
            _with_links(posed, current=FIRST),
            Reason.BAD_SIGNATURE,
            "signature",
        ),
        "a rotation that a stranger signed": (_with_links(by_other, current=FIRST), Reason.MISMATCH, "rule"),
        "signed for another kind": (
            Signed(card.body, card.signer, GENESIS.sign(b"muster/v1 trust\0" + card.body)),
            Reason.BAD_SIGNATURE,
            "signature",
        ),
    }


def _bad_chains() -> _Bad:
    misnumbered = sign_rotation(replace(rotation_body(1), number=2), GENESIS, FIRST)
    borrowed = sign_rotation(rotation_body(1, client=NAS.client), GENESIS, FIRST)
    back = sign_rotation(
        replace(rotation_body(2), predecessor=FIRST.fingerprint, new_key=GENESIS.public), FIRST, GENESIS
    )
    elsewhere = sign_rotation(replace(rotation_body(1), predecessor=NAS.key.fingerprint), GENESIS, FIRST)
    other = replace(rotation(1), new_signer=STRANGER.key.fingerprint)
    weak = replace(
        sign_rotation(replace(rotation_body(1), new_key=UNSAFE), GENESIS, FIRST), new_signer=UNSAFE.fingerprint
    )
    misplaced = _with_links(rotation(2), current=SECOND)
    unsigned = replace(rotation(1), new_signature=_turned(rotation(1).new_signature))
    too_many = (*_chain(MAX_ROTATIONS), rotation(MAX_ROTATIONS))
    return {
        "a link left out": (_with_links(rotation(2), current=SECOND), Reason.MISMATCH, "rule"),
        "links in another order": (_with_links(rotation(2), rotation(1), current=FIRST), Reason.MISMATCH, "rule"),
        "a link with another's number": (_with_links(misnumbered, current=FIRST), Reason.MISMATCH, "rule"),
        "a link of another device": (_with_links(borrowed, current=FIRST), Reason.MISMATCH, "rule"),
        "a retired key that comes back": (
            _with_links(rotation(1), back, current=GENESIS),
            Reason.MISMATCH,
            "rule",
        ),
        "a current key that is not the last": (_with_links(rotation(1), current=SECOND), Reason.MISMATCH, "rule"),
        "a chain that is not shown": (_with_links(current=FIRST), Reason.MISMATCH, "rule"),
        "a link that names another key before it": (_with_links(elsewhere, current=FIRST), Reason.MISMATCH, "rule"),
        "a link that names another new signer": (
            _with_links(other, current=FIRST),
            Reason.MISMATCH,
            "rule",
        ),
        "a link to an unsafe key": (_with_links(weak, current=FIRST), Reason.MALFORMED, "key"),
        "a link out of place in a card without a good signature": (
            replace(misplaced, signature=_turned(misplaced.signature)),
            Reason.BAD_SIGNATURE,
            "signature",
        ),
        "a link out of place behind one without a good signature": (
            _with_links(unsigned, rotation(3), current=LAPTOP_KEYS[3]),
            Reason.MISMATCH,
            "rule",
        ),
        "33 rotations": (_with_links(*too_many, current=LAPTOP_KEYS[-1]), Reason.MALFORMED, "shape"),
    }


def _bad_contents() -> _Bad:
    body = _card(0)
    bodies = {
        "the ClientId of another device": (replace(body, client=DESK.client), Reason.MISMATCH, "rule"),
        "modes in another order": (
            replace(body, modes=(Mode.SYNCHRONIZE, Mode.JOIN)),
            Reason.MALFORMED,
            "rule",
        ),
        "a mode named twice": (replace(body, modes=(Mode.JOIN, Mode.JOIN)), Reason.MALFORMED, "rule"),
        "no mode": (replace(body, modes=()), Reason.MALFORMED, "shape"),
        "an empty protocol range": (replace(body, protocol=ProtocolRange(2, 1)), Reason.MALFORMED, "rule"),
        "no application": (replace(body, app=""), Reason.MALFORMED, "shape"),
        "an application of 65 characters": (replace(body, app="a" * 65), Reason.MALFORMED, "shape"),
        "serial 0": (replace(body, serial=Serial(0)), Reason.MALFORMED, "shape"),
    }
    found = {name: (sign(bad, GENESIS), reason, layer) for name, (bad, reason, layer) in bodies.items()}
    weak = card_body(GENESIS, GENESIS, ())
    weak = replace(weak, client=client_id(UNSAFE.alg, UNSAFE.public), genesis=UNSAFE, current=UNSAFE)
    off = replace(weak, client=client_id(NO_POINT.alg, NO_POINT.public), genesis=NO_POINT, current=NO_POINT)
    posed = replace(sign(off, GENESIS), signer=NO_POINT.fingerprint)
    found["a genesis key that is no point"] = (posed, Reason.BAD_SIGNATURE, "signature")
    found["an unsafe key, first and current"] = (sign(weak, GENESIS), Reason.MALFORMED, "key")
    found["an unsafe first key"] = (sign(replace(weak, current=GENESIS.public), GENESIS), Reason.MALFORMED, "key")
    found["an unsafe current key"] = (sign(replace(body, current=UNSAFE), GENESIS), Reason.MALFORMED, "key")
    return found
