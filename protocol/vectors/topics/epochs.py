"""epochs.json: which epoch may follow which, and whose keys a member accepts (SPEC.md section 8)."""

from msgspec.structs import replace

from muster_protocol.epochs import Epoch, EpochMember, epoch_hash, in_order
from muster_protocol.frames import MAX_MEMBERS
from muster_protocol.ids import ClientId, Fingerprint, Seed, TimeMs, client_id, session_id
from muster_protocol.keys import SigningKey
from muster_protocol.labels import Kind
from muster_protocol.reasons import Reason
from muster_protocol.signed import Signed, read, sign, statement_hash
from vectors.topics import story
from vectors.topics.cast import DESK, LAPTOP, LAPTOP_KEYS, NAS, NOW, STRANGER, CastDevice, random_bytes
from vectors.topics.forms import Json, Vector, accepted, public, refused, signed

LAPTOP_MEMBER, NAS_MEMBER, DESK_MEMBER = (story.MEMBERS[device.client] for device in (LAPTOP, NAS, DESK))


def epochs(told: story.Story) -> list[Vector]:
    """Return epochs that follow one another, epochs that do not, and epochs against pins."""
    return [*_good(told), *_bad(told), *_alone(told), *_pins(told)]


def _following(known: Signed, new: Signed) -> Json:
    return {
        "op": "follows",
        "creator_key": public(LAPTOP.key.public),
        "known": signed(known),
        "new": signed(new),
    }


def _good(told: story.Story) -> list[Vector]:
    second, third = told.epochs[1:3]
    nas_rotated = EpochMember(NAS.client, STRANGER.key.fingerprint)
    steps = {
        "the creator adds the nas": (told.epochs[0], second, 2),
        "the creator adds the desk": (second, third, 3),
        "the creator leaves out the nas": (third, told.epochs[3], 4),
        "a new key with the same members": (third, _after(third), 4),
        "a member with a new key": (second, _after(second, LAPTOP_MEMBER, nas_rotated), 3),
        "one leaves and another comes": (second, _after(second, LAPTOP_MEMBER, DESK_MEMBER), 3),
        "numbers may be left out only where the hash fits": (second, _after(second, number=9), 9),
        "one in the place of another, with a higher number": (second, _after(told.epochs[0], number=9), 9),
    }
    return [
        accepted(name, _following(known, new), {"hash": _hash(new), "number": number})
        for name, (known, new, number) in steps.items()
    ]


def _hash(epoch: Signed) -> str:
    return statement_hash(Kind.EPOCH, epoch.body).hex()


def _after(known: Signed, *members: EpochMember, number: int | None = None, by: SigningKey = LAPTOP.key) -> Signed:
    """Return an epoch behind ``known``, of these members or of the same."""
    before = read(known, Epoch)
    body = replace(
        before,
        number=number or before.number + 1,
        previous=epoch_hash(known),
        members=in_order(members) or before.members,
    )
    return sign(body, by)


def _bad(told: story.Story) -> list[Vector]:
    first, second, third, fourth = told.epochs
    forked = sign(replace(read(third, Epoch), at=TimeMs(NOW)), LAPTOP.key)
    other_session = session_id(LAPTOP.client, Seed(bytes(16)))
    elsewhere, same_number = (
        sign(replace(read(epoch, Epoch), session=other_session), LAPTOP.key) for epoch in (third, second)
    )
    cases: dict[str, tuple[Signed, Signed, Reason, str]] = {
        "the same epoch": (third, third, Reason.REPLAYED, "rule"),
        "an older epoch": (third, second, Reason.REPLAYED, "rule"),
        "another epoch of the same number": (third, forked, Reason.EPOCH_FORKED, "rule"),
        "an epoch that follows another": (first, third, Reason.MISMATCH, "rule"),
        "an epoch in the place of one before the newest": (
            third,
            _after(told.epochs[0], number=9),
            Reason.MISMATCH,
            "rule",
        ),
        "an epoch of another session": (second, elsewhere, Reason.MISMATCH, "rule"),
        "the epoch of the same number of another session": (second, same_number, Reason.MISMATCH, "rule"),
        "an older epoch of another session": (third, same_number, Reason.MISMATCH, "rule"),
        "made by a stranger": (second, _after(second, by=STRANGER.key), Reason.MISMATCH, "signature"),
        "made by a newcomer": (second, sign(read(third, Epoch), DESK.key), Reason.MISMATCH, "signature"),
        "made by a member": (second, sign(read(third, Epoch), NAS.key), Reason.MISMATCH, "signature"),
        "a member leaves out another that left": (
            third,
            sign(read(fourth, Epoch), DESK.key),
            Reason.MISMATCH,
            "signature",
        ),
        "a fork made by a member": (third, sign(read(forked, Epoch), NAS.key), Reason.MISMATCH, "signature"),
        "made by another key of the creator": (second, _after(second, by=LAPTOP_KEYS[1]), Reason.MISMATCH, "signature"),
    }
    return [refused(name, _following(known, new), reason, layer) for name, (known, new, reason, layer) in cases.items()]


def _reading(statement: Signed) -> Json:
    return {"op": "read", "epoch": signed(statement), "key": public(LAPTOP.key.public)}


def _alone(told: story.Story) -> list[Vector]:
    """Return epochs that are judged without another one."""
    first, second = (read(epoch, Epoch) for epoch in told.epochs[:2])
    crowd = in_order(_somebody(number) for number in range(MAX_MEMBERS + 1))
    bad = {
        "a member named twice": (replace(second, members=in_order((LAPTOP_MEMBER, NAS_MEMBER, NAS_MEMBER))), "rule"),
        "members in descending order": (replace(second, members=second.members[::-1]), "rule"),
        "a first epoch that follows another": (replace(first, previous=second.previous), "rule"),
        "a second epoch that follows none": (replace(second, previous=None), "rule"),
        "no members": (replace(second, members=()), "shape"),
        "17 members": (replace(second, members=crowd), "shape"),
        "number 0": (replace(second, number=0), "shape"),
        "number 65536": (replace(second, number=65_536), "shape"),
    }
    found = [
        refused(f"read: {name}", _reading(sign(body, LAPTOP.key)), Reason.MALFORMED, layer)
        for name, (body, layer) in bad.items()
    ]
    full = sign(replace(second, members=crowd[:MAX_MEMBERS]), LAPTOP.key)
    good = {"16 members": full, "the first of a session": told.epochs[0]}
    return [
        *(
            accepted(f"read: {name}", _reading(epoch), {"hash": epoch_hash(epoch).hex()})
            for name, epoch in good.items()
        ),
        *found,
    ]


def _somebody(number: int) -> EpochMember:
    return EpochMember(
        client_id("ed25519", random_bytes(f"member {number}", 32)), Fingerprint(random_bytes(f"{number}", 32))
    )


def _pins(told: story.Story) -> list[Vector]:
    """Hold the epoch of laptop, nas and desk against the pins of the nas."""
    laptop, desk = LAPTOP.key.fingerprint, DESK.key.fingerprint
    both = {LAPTOP.client: laptop, DESK.client: desk}
    good = {
        "mesh, all pinned": ("mesh", both),
        "star, the creator pinned": ("star", {LAPTOP.client: laptop}),
        "star, another member pinned with another key": ("star", both | {DESK.client: laptop}),
    }
    found = [
        accepted(f"pins: {name}", _pinned(told, kind, pins), {"good": True}) for name, (kind, pins) in good.items()
    ]
    bad = {
        "mesh, a member not pinned": ("mesh", {LAPTOP.client: laptop}, Reason.NOT_TRUSTED),
        "mesh, a member pinned with another key": ("mesh", both | {DESK.client: laptop}, Reason.KEY_MISMATCH),
        "mesh, the creator not pinned": ("mesh", {DESK.client: desk}, Reason.NOT_TRUSTED),
        "star, the creator pinned with another key": ("star", {LAPTOP.client: desk}, Reason.KEY_MISMATCH),
        "star, the creator not pinned": ("star", {DESK.client: desk}, Reason.NOT_TRUSTED),
    }
    return found + [
        refused(f"pins: {name}", _pinned(told, kind, pins), reason, "rule")
        for name, (kind, pins, reason) in bad.items()
    ]


def _pinned(told: story.Story, kind: str, pins: dict[ClientId, Fingerprint], me: CastDevice = NAS) -> Json:
    return {
        "op": "pins",
        "epoch": signed(told.epochs[2]),
        "kind": kind,
        "creator": LAPTOP.client,
        "me": me.client,
        "pins": {client: pin.hex() for client, pin in pins.items()},
    }
