"""How the stories of a session at its creator are written: step by step, each with its outcome."""

from dataclasses import dataclass, field

from msgspec.structs import replace

from muster_protocol.epochs import EpochMember, epoch_hash
from muster_protocol.exchange import hash_of
from muster_protocol.frames import SessionKind
from muster_protocol.ids import TimeMs
from muster_protocol.labels import Kind
from muster_protocol.reasons import Reason, Sayer
from muster_protocol.signed import Signed, sign
from vectors.topics import story
from vectors.topics.cast import DESK, LAPTOP, NAS, NOW, SECOND_MS, STRANGER, VERSIONS, CastDevice, invite_id
from vectors.topics.forms import Json, Vector, accepted, public, signed

NO_EPOCH: Json = {"epoch": None}
AT = NOW + 3 * SECOND_MS
"""When the creator makes all its epochs, so that they are those of the story."""
BY_NAME = {device.name: device for device in (LAPTOP, NAS, DESK, STRANGER)}
TRUSTED = {device.client: device.key.fingerprint.hex() for device in (NAS, DESK)}

State = tuple[str, str | None, str | None]
"""How far a called device is, and why and by whose word it was refused."""
CALLED, ACCEPTED, ADMITTED, JOINED = ((state, None, None) for state in ("called", "accepted", "admitted", "joined"))


def refusal(reason: Reason, layer: str = "rule") -> Json:
    """Return the outcome of a step that is refused."""
    return {"refused": {"reason": reason.value, "layer": layer}}


@dataclass(slots=True)
class CreatorScript:
    """The steps of a creator, each with its outcome."""

    steps: list[Json] = field(default_factory=list)
    outcomes: list[Json] = field(default_factory=list)

    def add(self, do: str, outcome: Json, **given: object) -> None:
        """Add a step."""
        self.steps.append({"do": do, **given})
        self.outcomes.append(outcome)

    def begin(self) -> None:
        """Make the session, and let the hub have it."""
        self.add("begin", {"epoch": signed(story.epochs()[0])}, key=story.KEYS[1].hex(), now=AT)
        self.committed(look(1))

    def invite(self, call: story.AnsweredInvite, target: CastDevice) -> None:
        """Call a device."""
        self.add("invite", {"same_bytes": True}, invite=signed(call.invite), target_key=public(target.key.public))

    def answer(self, answer: Signed, sender: CastDevice, outcome: Json, now: int = AT) -> None:
        """Take an answer."""
        self.add("answer", outcome, answer=signed(answer), sender=sender.client, now=now)

    def call(self, call: story.AnsweredInvite, target: CastDevice) -> None:
        """Call a device that says yes."""
        self.invite(call, target)
        self.answer(call.answer, target, {"state": "accepted"})

    def admit(self, number: int, outcome: Json, *admissions: Signed, now: int = AT) -> None:
        """Make the next epoch; ``admissions`` are taken for those that the creator seals."""
        shown = [signed(admission) for admission in admissions]
        self.add("admit", outcome, key=story.KEYS[number].hex(), now=now, admissions=shown)

    def committed(self, outcome: Json) -> None:
        """Let the hub have the epoch."""
        self.add("committed", outcome, now=AT)

    def rejected(self, outcome: Json, *, now: int = AT, **reasons: Reason) -> None:
        """Let the hub refuse the epoch for these devices."""
        named = {BY_NAME[name].client: reason.value for name, reason in reasons.items()}
        self.add("rejected", outcome, reasons=named, now=now)

    def joined(self, joined: Signed, sender: CastDevice, outcome: Json) -> None:
        """Take what a member says."""
        self.add("joined", outcome, joined=signed(joined), sender=sender.client)

    def departure(self, kind: Kind, statement: Signed, sender: CastDevice, outcome: Json) -> None:
        """Take a statement by which a member goes."""
        self.add("departure", outcome, kind=kind.value, statement=signed(statement), sender=sender.client)

    def leave(self, leave: Signed, sender: CastDevice, outcome: Json) -> None:
        """Take a member's ``leave``."""
        self.departure(Kind.LEAVE, leave, sender, outcome)

    def ended(self, target: CastDevice, reason: Reason, outcome: Json, sayer: Sayer = Sayer.HUB) -> None:
        """End the call of a device by the word of the hub, or of the creator itself."""
        self.add("ended", outcome, client=target.client, reason=reason.value, sayer=sayer.value)

    def vector(self, name: str, kind: SessionKind = SessionKind.MESH) -> Vector:
        """Return the whole as a vector."""
        given = {
            "op": "creator",
            "secret": LAPTOP.secret.hex(),
            "client": LAPTOP.client,
            "seed": story.SEED.hex(),
            "mode": "synchronize",
            "profile": story.PROFILE,
            "kind": kind.value,
            "protocol": [VERSIONS.low, VERSIONS.high],
            "trusts": TRUSTED,
            "steps": self.steps,
        }
        return accepted(f"creator: {name}", given, {"outcomes": self.outcomes})


def look(
    number: int,
    deadline: int | None = None,
    *,
    joined: tuple[CastDevice, ...] | None = None,
    blocked: dict[CastDevice, Reason] | None = None,
    **targets: State,
) -> Json:
    """Return what a creator knows: how far each called device is, and the epoch that counts.

    ``joined``: the members of that epoch who said that they joined it, if not those in state joined.
    """
    states = {BY_NAME[name].client: state for name, state in targets.items()}
    shown = [client for client, state in states.items() if state == JOINED]
    return {
        "targets": {client: list(state) for client, state in states.items()},
        "joined": shown if joined is None else [member.client for member in joined],
        "blocked": {member.client: reason.value for member, reason in (blocked or {}).items()},
        "next_deadline": deadline,
        "epoch": number,
    }


def made(epoch: Signed, admitted: list[CastDevice], sealed_to: list[CastDevice]) -> Json:
    """Return the outcome of an epoch that was made."""
    return {
        "epoch": signed(epoch),
        "sealed_to": [member.client for member in sealed_to],
        "admitted": [target.client for target in admitted],
    }


def again(target: CastDevice, name: str, kind: SessionKind = SessionKind.MESH) -> story.AnsweredInvite:
    """Return another invite to a device, and its yes."""
    body = replace(story.invite_body(target, kind=kind), invite=invite_id(name))
    invite = sign(body, LAPTOP.key)
    invite_hash = hash_of(Kind.INVITE, invite)
    answer = sign(story.answer_body(body, invite_hash, target), target.key)
    return story.AnsweredInvite(body, invite, invite_hash, answer, hash_of(Kind.ANSWER, answer))


def no(call: story.AnsweredInvite, target: CastDevice, reason: Reason) -> Signed:
    """Return a device's refusal of an invite."""
    yes = story.answer_body(call.invite_body, call.invite_hash, target)
    return sign(replace(yes, receive_key=None, reason=reason), target.key)


def was_refused(reason: Reason, sayer: Sayer) -> State:
    """Return the state of a device that was refused."""
    return ("refused", reason.value, sayer.value)


def epoch(
    number: int, *others: CastDevice, previous: Signed | None = None, after: int | None = None, at: int = AT
) -> Signed:
    """Return an epoch that follows another, or else the one of the story of the number ``after``, the one before it."""
    previous = previous or story.epochs()[(after or number - 1) - 1]
    members = tuple(EpochMember(device.client, device.key.fingerprint) for device in (LAPTOP, *others))
    body = story.epoch_body(number, epoch_hash(previous), members)
    return sign(replace(body, at=TimeMs(at)), LAPTOP.key)


def in_order(*devices: CastDevice) -> list[CastDevice]:
    """Return devices in the order in which an epoch names them."""
    return sorted(devices, key=lambda each: each.client)
