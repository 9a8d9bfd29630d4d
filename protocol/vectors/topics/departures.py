"""departures.json: which statement of a member ends its membership (SPEC.md section 8.5)."""

from msgspec.structs import replace

from muster_protocol.exchange import Leave
from muster_protocol.governance import Untrust
from muster_protocol.ids import Serial, TimeMs, session_id
from muster_protocol.keys import SigningKey
from muster_protocol.labels import Kind
from muster_protocol.reasons import Reason
from muster_protocol.signed import Body, Signed, sign
from vectors.topics.cast import DESK, LAPTOP, LAPTOP_KEYS, NAS, NOW, STRANGER, card_body, rotation, seed
from vectors.topics.forms import Json, Vector, accepted, public, refused, signed

SINCE = TimeMs(NOW + 1000)
"""The time in the answer by which the laptop became a member."""

SESSION = session_id(NAS.client, seed("left"))
OTHER_SESSION = session_id(NAS.client, seed("another that goes on"))
OLD = LAPTOP_KEYS[0]
NEW = LAPTOP_KEYS[1]


def departures() -> list[Vector]:
    """Return statements that end a membership, and those that do not."""
    return [*_leaves(), *_untrusts(), *_cards(), *_others()]


def _leaves() -> list[Vector]:
    leave = Leave(session=SESSION, member=LAPTOP.client, member_key=OLD.fingerprint, at=SINCE)
    return [
        _ends("leave, at the time of the answer", Kind.LEAVE, leave),
        _stays("leave, from before the answer", Kind.LEAVE, replace(leave, at=TimeMs(SINCE - 1)), Reason.REPLAYED),
        _stays("leave, of another session", Kind.LEAVE, replace(leave, session=OTHER_SESSION), Reason.MISMATCH),
        _stays("leave, of another member", Kind.LEAVE, replace(leave, member=DESK.client), Reason.MISMATCH),
        _stays("leave, naming another key", Kind.LEAVE, replace(leave, member_key=NEW.fingerprint), Reason.MISMATCH),
        _unsigned("leave, signed by another key", Kind.LEAVE, leave),
    ]


def _untrusts() -> list[Vector]:
    untrust = Untrust(client=LAPTOP.client, serial=Serial(SINCE), peer=NAS.client)
    return [
        _ends("untrust of the creator", Kind.UNTRUST, untrust),
        _ends("untrust of another member of the mesh", Kind.UNTRUST, replace(untrust, peer=DESK.client)),
        _stays(
            "untrust, from before the answer", Kind.UNTRUST, replace(untrust, serial=Serial(SINCE - 1)), Reason.REPLAYED
        ),
        _stays(
            "untrust of a device that is no member",
            Kind.UNTRUST,
            replace(untrust, peer=STRANGER.client),
            Reason.MISMATCH,
        ),
        _stays("untrust by another device", Kind.UNTRUST, replace(untrust, client=DESK.client), Reason.MISMATCH),
        _unsigned("untrust, signed by another key", Kind.UNTRUST, untrust),
    ]


def _cards() -> list[Vector]:
    rotated = sign(card_body(OLD, NEW, (rotation(1),)), NEW)
    twice = sign(card_body(OLD, LAPTOP_KEYS[2], (rotation(1), rotation(2))), LAPTOP_KEYS[2])
    other = refused("card of another device", _given(Kind.CARD, NAS.card()), Reason.MISMATCH, "rule")
    same = refused("card with the same key", _given(Kind.CARD, LAPTOP.card()), Reason.MISMATCH, "rule")
    elsewhere = _given(Kind.CARD, rotated) | {"client": DESK.client}
    return [
        accepted("card after a rotation", _given(Kind.CARD, rotated), {"ends": True}),
        accepted("card after two rotations", _given(Kind.CARD, twice), {"ends": True}),
        same,
        other,
        refused("card after a rotation, of a device that is not the member", elsewhere, Reason.MISMATCH, "rule"),
    ]


def _others() -> list[Vector]:
    card = _given(Kind.TRUST, LAPTOP.card())
    return [refused("a statement of another kind", card, Reason.MISMATCH, "rule")]


def _ends(name: str, kind: Kind, body: Body) -> Vector:
    return accepted(name, _given(kind, sign(body, OLD)), {"ends": True})


def _stays(name: str, kind: Kind, body: Body, reason: Reason) -> Vector:
    return refused(name, _given(kind, sign(body, OLD)), reason, "rule")


def _unsigned(name: str, kind: Kind, body: Body) -> Vector:
    forged = sign(body, SigningKey.from_secret(STRANGER.secret))
    statement = Signed(body=forged.body, signer=OLD.fingerprint, signature=forged.signature)
    return refused(name, _given(kind, statement), Reason.BAD_SIGNATURE, "signature")


def _given(kind: Kind, statement: Signed) -> Json:
    return {
        "kind": kind.value,
        "statement": signed(statement),
        "session": SESSION,
        "client": LAPTOP.client,
        "key": public(OLD.public),
        "since": SINCE,
        "trusts": [NAS.client, DESK.client],
    }
