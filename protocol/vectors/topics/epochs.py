"""epochs.json: which epoch may follow which, and whose keys a member accepts (SPEC.md section 8)."""

from msgspec.structs import replace

from muster_protocol.epochs import Cause, CauseKind, Epoch, EpochMember, epoch_hash
from muster_protocol.exchange import hash_of
from muster_protocol.frames import MAX_MEMBERS
from muster_protocol.ids import ClientId, Fingerprint, client_id, session_id
from muster_protocol.keys import SigningKey
from muster_protocol.labels import Kind
from muster_protocol.reasons import Reason
from muster_protocol.signed import Signed, read, sign, statement_hash
from vectors.topics import story
from vectors.topics.cast import DESK, LAPTOP, LAPTOP_KEYS, NAS, STRANGER, CastDevice, random_bytes
from vectors.topics.forms import Json, Vector, accepted, public, refused, signed

LAPTOP_SEAT, NAS_SEAT, DESK_SEAT = (story.SEATS[device.client] for device in (LAPTOP, NAS, DESK))
LEFT = Cause(CauseKind.LEAVE, NAS.client, hash_of(Kind.LEAVE, story.leave(NAS)))


def epochs(told: story.Story) -> list[Vector]:
    """Return epochs that follow one another, epochs that do not, and epochs against pins."""
    return [*_good(told), *_bad(told), *_alone(told), *_pins(told)]


def _following(known: Signed, new: Signed, by: SigningKey, causes: tuple[Cause, ...] = ()) -> Json:
    return {
        "op": "follows",
        "creator": LAPTOP.client,
        "creator_key": public(LAPTOP.key.public),
        "known": signed(known),
        "new": signed(new),
        "new_key": public(by.public),
        "causes": [[cause.kind, cause.client, cause.statement.hex()] for cause in causes],
    }


def _good(told: story.Story) -> list[Vector]:
    steps = {
        "the creator adds the nas": _following(told.epochs[0], told.epochs[1], LAPTOP.key),
        "the creator adds the desk": _following(told.epochs[1], told.epochs[2], LAPTOP.key),
        "the nas left": _following(told.epochs[2], told.epochs[3], LAPTOP.key, (LEFT,)),
        "the desk takes out the nas, which left": _following(
            told.epochs[2], sign(read(told.epochs[3], Epoch), DESK.key), DESK.key, (LEFT,)
        ),
        "the creator takes out the nas by its own word": _following(told.epochs[2], told.epochs[3], LAPTOP.key),
        "a new key with the same members": _following(told.epochs[2], _after(told.epochs[2]), LAPTOP.key),
        "numbers may be left out only where the hash fits": _following(
            told.epochs[1], _after(told.epochs[1], number=9), LAPTOP.key
        ),
    }
    return [
        accepted(name, given, {"hash": _hash(given), "number": number})
        for (name, given), number in zip(steps.items(), (2, 3, 4, 4, 4, 4, 9), strict=True)
    ]


def _hash(given: Json) -> str:
    return statement_hash(Kind.EPOCH, bytes.fromhex(given["new"]["body"])).hex()


def _after(known: Signed, number: int | None = None, by: SigningKey = LAPTOP.key) -> Signed:
    before = read(known, Epoch)
    body = replace(before, number=number or before.number + 1, previous=epoch_hash(known), causes=())
    return sign(body, by)


def _changed(known: Signed, members: tuple[EpochMember, ...], by: SigningKey, *causes: Cause) -> Signed:
    before = read(known, Epoch)
    body = replace(before, number=before.number + 1, previous=epoch_hash(known), members=members, causes=causes)
    return sign(body, by)


def _bad(told: story.Story) -> list[Vector]:
    first, second, third, fourth = told.epochs
    misused = Cause(CauseKind.LEAVE, DESK.client, LEFT.statement)
    new_key = EpochMember(LAPTOP.client, LAPTOP_KEYS[1].fingerprint)
    nas_new_key = EpochMember(NAS.client, DESK.key.fingerprint)
    forked = sign(replace(read(third, Epoch), causes=()), LAPTOP.key)
    elsewhere = sign(replace(read(third, Epoch), session=session_id(DESK.client, story.SEED)), LAPTOP.key)
    cases: dict[str, tuple[Signed, Signed, SigningKey, tuple[Cause, ...], Reason]] = {
        "the same epoch": (third, third, LAPTOP.key, (), Reason.REPLAYED),
        "an older epoch": (third, second, LAPTOP.key, (), Reason.REPLAYED),
        "another epoch of the same number": (third, forked, LAPTOP.key, (), Reason.EPOCH_FORKED),
        "an epoch that follows another": (first, third, LAPTOP.key, (), Reason.MISMATCH),
        "an epoch of another session": (second, elsewhere, LAPTOP.key, (), Reason.MISMATCH),
        "made by a stranger": (second, _after(second, by=STRANGER.key), STRANGER.key, (), Reason.NOT_A_MEMBER),
        "made by a newcomer": (
            second,
            sign(read(third, Epoch), DESK.key),
            DESK.key,
            (),
            Reason.NOT_A_MEMBER,
        ),
        "a member that is not the creator adds": (
            second,
            sign(read(third, Epoch), NAS.key),
            NAS.key,
            (),
            Reason.NOT_A_MEMBER,
        ),
        "a member goes, and nothing was seen of why": (
            third,
            sign(read(fourth, Epoch), DESK.key),
            DESK.key,
            (),
            Reason.NOT_A_MEMBER,
        ),
        "a member goes for the cause of another": (
            third,
            _changed(third, (LAPTOP_SEAT, NAS_SEAT), NAS.key, LEFT),
            NAS.key,
            (LEFT,),
            Reason.NOT_A_MEMBER,
        ),
        "a leave that is cited for another member": (
            third,
            _changed(third, (LAPTOP_SEAT, NAS_SEAT), NAS.key, misused),
            NAS.key,
            (LEFT,),
            Reason.NOT_A_MEMBER,
        ),
        "seniority changed": (
            third,
            _changed(third, (LAPTOP_SEAT, DESK_SEAT, NAS_SEAT), LAPTOP.key),
            LAPTOP.key,
            (),
            Reason.MISMATCH,
        ),
        "a newcomer before the members": (
            second,
            _changed(second, (DESK_SEAT, NAS_SEAT, LAPTOP_SEAT), LAPTOP.key),
            LAPTOP.key,
            (),
            Reason.MISMATCH,
        ),
        "a member changes its own key": (
            second,
            _changed(second, (LAPTOP_SEAT, nas_new_key), NAS.key),
            NAS.key,
            (),
            Reason.NOT_A_MEMBER,
        ),
        "a member changes the creator's key": (
            second,
            _changed(second, (new_key, NAS_SEAT), NAS.key),
            NAS.key,
            (),
            Reason.NOT_A_MEMBER,
        ),
    }
    return [
        refused(name, _following(known, new, by, causes), reason, "rule")
        for name, (known, new, by, causes, reason) in cases.items()
    ]


def _reading(statement: Signed) -> Json:
    return {"op": "read", "epoch": signed(statement), "key": public(LAPTOP.key.public)}


def _alone(told: story.Story) -> list[Vector]:
    """Return epochs that are judged without another one."""
    first, second = (read(epoch, Epoch) for epoch in told.epochs[:2])
    crowd = tuple(_somebody(number) for number in range(MAX_MEMBERS + 1))
    bad = {
        "a member named twice": (replace(second, members=(LAPTOP_SEAT, NAS_SEAT, NAS_SEAT)), "rule"),
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
