"""The hub as the attacker.

It sees every message and delivers what it likes, to whom it likes and as often as it likes. It says that an epoch was
committed or rejected, and ends invites by its own word. It forges with every key that it holds, and offers each forgery
at once to every honest device by every way in. Some keys are always its own: the insider M, whom all trust; the
stranger E; and the retired keys of everybody.
"""

from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from enum import Enum, auto
from functools import partial
from itertools import product
from types import MappingProxyType
from typing import Any

import msgspec
from hypothesis import strategies as st
from tests.property.cast import EVERYBODY, NOON, A, B, C, E, M, RotatedDevice
from tests.property.devices import Callee, Creator, Fresh, Message

from muster_protocol.cards import Mode
from muster_protocol.codec import encode
from muster_protocol.epochs import Epoch, epoch_hash
from muster_protocol.errors import Refused
from muster_protocol.exchange import Admission, Answer, Invite, Joined, hash_of
from muster_protocol.frames import Purpose, SessionKind
from muster_protocol.ids import ClientId, Fingerprint, Hash, Signature, TimeMs
from muster_protocol.keys import SigningKey
from muster_protocol.labels import SIGN, Kind
from muster_protocol.reasons import Reason, Sayer
from muster_protocol.signed import Body, Signed, read

INSIDER_AND_RETIRED = (M.key, E.key, A.retired, B.retired, C.retired)

BODIES: dict[Kind, type[Body]] = {
    Kind.INVITE: Invite,
    Kind.ANSWER: Answer,
    Kind.ADMISSION: Admission,
    Kind.JOINED: Joined,
    Kind.EPOCH: Epoch,
}


class Act(Enum):
    """What the hub does next. Where honest and dishonest acts mix, the honest ones bring the joins forward."""

    HONEST = auto()
    REPEAT = auto()
    REORDER = auto()
    DROP = auto()
    TAMPER = auto()
    FORGE = auto()
    LAUNDER = auto()
    POSE = auto()
    SKIP = auto()
    COMMIT = auto()
    REJECT = auto()
    END = auto()
    WAIT = auto()
    CALL = auto()
    RESTART = auto()
    DECLINE = auto()
    INSIDER = auto()


Step = tuple[Act, int, int, int]

_ATTACKS = [act for act in Act if act is not Act.HONEST]
_STEP_BYTES = 4


def schedules_of(acts: Sequence[Act]) -> st.SearchStrategy[list[Step]]:
    """Return schedules of 20 to 60 steps, two honest ones to each attack, so that attacks meet sessions in every state.

    A schedule is drawn as one string of bytes: to draw each number by itself takes longer than to play the schedule.
    """
    ways = (*[Act.HONEST] * 2 * len(acts), *acts)

    def step(act: int, *numbers: int) -> Step:
        way, (one, two, three) = ways[act % len(ways)], numbers
        return (way, 0, 0, 0) if way is Act.HONEST else (way, one, two, three)

    def steps(drawn: bytes) -> list[Step]:
        return [step(*drawn[at : at + _STEP_BYTES]) for at in range(0, len(drawn) - _STEP_BYTES + 1, _STEP_BYTES)]

    return st.binary(min_size=20 * _STEP_BYTES, max_size=60 * _STEP_BYTES).map(steps)


schedules = schedules_of(_ATTACKS)
hub_words = [act for act in _ATTACKS if act not in {Act.CALL, Act.RESTART, Act.DECLINE}]
"""The attacks in which no device and no person does anything by itself."""


class AttackedWorld:
    """A calls B, C and M, or some of them; the hub between them does what ``play`` is told, and M is the hub's."""

    def __init__(
        self,
        kind: SessionKind,
        keys: tuple[SigningKey, ...] = INSIDER_AND_RETIRED,
        skews: Mapping[ClientId, int] = MappingProxyType({}),
        called: tuple[RotatedDevice, ...] = (B, C, M),
    ) -> None:
        self.now = NOON
        self.skews = skews
        self.keys = keys
        self.fresh = Fresh()
        self.wire: list[Message] = []
        self.creator = Creator(A, self.fresh, kind)
        self.insider = Creator(M, self.fresh, kind, seed=b"M" * 16)
        self.devices = {actor.client: Callee(actor, self.fresh) for actor in (B, C, M)}
        self._queue: deque[Callable[[], None]] = deque()
        for creator in (self.creator, self.insider):
            self.wire.append(creator.begin(self.at(creator.actor)))
        for target in called:
            self._send(self.creator.invite(target))

    def call(self, actor: RotatedDevice) -> "AttackedWorld":
        """Let A call a device, unless it may not now."""
        with suppress(Refused):
            self._send(self.creator.invite(actor))
        return self

    def play(self, steps: Iterable[Step]) -> "AttackedWorld":
        for act, one, two, three in steps:
            self.creator.now, self.insider.now = self.at(A), self.at(M)
            with suppress(Refused):
                self._act(act, one, two, three)
        return self

    def at(self, actor: RotatedDevice) -> TimeMs:
        """Return the time by a device's own clock."""
        return TimeMs(self.now + self.skews.get(actor.client, 0))

    # -- the honest way --

    def _send(self, message: Message) -> None:
        self.wire.append(message)
        self._queue.append(partial(self._deliver, message))

    def _deliver(self, message: Message) -> None:
        """Bring a message where its sender meant it to go."""
        signed = message.signed
        match message.kind:
            case Kind.ANSWER:
                answer = read(signed, Answer)
                self._creator_of(answer).on_answer(signed, answer.sender)
                self._queue.append(partial(self._admit, self._creator_of(answer)))
            case Kind.JOINED:
                joined = read(signed, Joined)
                self._creator_of(joined).on_joined(signed, joined.member)
            case _:
                for device in self.devices.values():
                    self._to_device(device, message)

    def _creator_of(self, body: Answer | Joined) -> Creator:
        return self.creator if body.session == self.creator.machine.plan.session else self.insider

    def _to_device(self, device: Callee, message: Message) -> None:
        if message.kind is Kind.INVITE:
            with suppress(Refused):
                answer = device.on_invite(message.signed, self.at(device.actor))
                if answer is not None:
                    self._send(answer)
        for machine in list(device.machines):
            with suppress(Refused):
                if message.kind is Kind.ADMISSION:
                    self._send(device.on_admission(machine, message.signed, self.at(device.actor)))
                elif message.kind is Kind.EPOCH:
                    self._send(device.on_epoch(machine, message.signed, message.sealed, self.at(device.actor)))

    def _admit(self, creator: Creator) -> None:
        made = creator.admit()
        if made:
            self.wire += made
            self._queue.append(partial(self._commit, creator, made))

    def _commit(self, creator: Creator, made: list[Message]) -> None:
        creator.commit()
        for message in made:
            self._queue.append(partial(self._deliver, message))
        self._queue.append(partial(self._admit, creator))

    # -- the attacks --

    def _act(self, act: Act, one: int, two: int, three: int) -> None:
        message = self.wire[-1 - one % len(self.wire)]
        donor = self.wire[two % len(self.wire)]
        callee = list(self.devices.values())[one % len(self.devices)]
        match act:
            case Act.HONEST if self._queue:
                self._queue.popleft()()
            case Act.DROP if self._queue:
                self._queue.popleft()
            case Act.REORDER:
                self._queue.rotate(one % 4)
            case Act.HONEST | Act.DROP | Act.REPEAT:
                self._offer(message)
            case Act.TAMPER:
                self._offer(_tampered(message, two, three))
            case Act.FORGE:
                self._offer(*self._forged(message, donor, three))
            case Act.LAUNDER:
                self._offer(*self._laundered(message))
            case Act.POSE:
                self._offer(*self._posed(self.keys[three % len(self.keys)], decline=bool(two % 2)))
            case Act.SKIP:
                self._skip()
            case _:
                self._lie(act, callee, two)

    def _lie(self, act: Act, callee: Callee, two: int) -> None:
        """Steer the devices by what only the hub says, or by what happens to them."""
        client = callee.actor.client
        match act:
            case Act.COMMIT:
                self.creator.commit()
            case Act.REJECT:
                self.creator.machine.rejected({client: Reason.OFFLINE} if two % 2 else {}, self.at(A))
                self._queue.append(partial(self._admit, self.creator))
            case Act.END:
                self.creator.machine.refuse(client, Reason.OFFLINE, Sayer.HUB)
            case Act.WAIT:
                self.now = TimeMs(self.now + two * 1000)
                self.creator.machine.on_time(self.at(A))
            case Act.CALL:
                self._send(self.creator.invite(callee.actor))
            case Act.RESTART:
                for message in callee.restart(self.at(callee.actor)):
                    self._send(message)
            case Act.DECLINE:
                waiting = [machine for machine in callee.machines if not machine.joined]
                self._send(
                    callee.refuse(waiting[two % len(waiting)], Reason.DECLINED, self.at(callee.actor))
                ) if waiting else None
            case Act.INSIDER:
                self._send(self.insider.invite(callee.actor))
            case _:
                raise AssertionError(act)

    def _offer(self, *messages: Message) -> None:
        """Try messages on every honest device and on every machine in it, by every sender's name."""
        for message, actor in product(messages, EVERYBODY):
            with suppress(Refused):
                if message.kind is Kind.ANSWER:
                    self.creator.on_answer(message.signed, actor.client)
                    self._queue.append(partial(self._admit, self.creator))
                elif message.kind is Kind.JOINED:
                    self.creator.on_joined(message.signed, actor.client)
                elif actor.client in self.devices:
                    self._to_device(self.devices[actor.client], message)

    def _forged(self, message: Message, donor: Message, choice: int) -> list[Message]:
        """Return a message with one field of another in its place, for each field, signed by a key of the attacker.

        Half of them name the signer whose place they take; that signature cannot be good.
        """
        key = self.keys[choice % len(self.keys)]
        signer = key.fingerprint if choice // len(self.keys) % 2 else message.signed.signer
        body, other = _body(message), msgspec.structs.asdict(_body(donor))
        values = {**other, **_own_values(self.fresh)} if choice >= 128 else other
        changes = [{name: values[name]} for name in body.__struct_fields__ if name in values and name != "v"]
        forged = [_signed(msgspec.structs.replace(body, **change), key, signer) for change in [{}, *changes]]
        sealed = donor.sealed or message.sealed
        return [Message(message.kind, signed, sealed) for signed in forged]

    def _laundered(self, message: Message) -> list[Message]:
        """Return M's re-signed copy, in which M stands wherever the signer stood, as it is and in M's session."""
        body = _body(message)
        own = {
            "sender": M.client,
            "sender_key": M.fingerprint,
            "member": M.client,
            "member_key": M.fingerprint,
        }
        session = {"session": self.insider.machine.plan.session, "seed": self.insider.machine.plan.seed}
        bodies = [msgspec.structs.replace(body, **_fitting(values, body)) for values in (own, {**own, **session})]
        return [Message(message.kind, _signed(each, M.key, M.fingerprint), message.sealed) for each in bodies]

    def _posed(self, key: SigningKey, *, decline: bool) -> list[Message]:
        """Return, in the honest devices' names, what fits best the newest message to each of them."""
        bodies: list[tuple[Body, Fingerprint]] = []
        newest = {(message.kind, _recipient(message)): message for message in self.wire if message.kind in _ADDRESSED}
        for message in newest.values():
            body = _body(message)
            if isinstance(body, Invite):
                yes, no = _answers(body, hash_of(Kind.INVITE, message.signed), self.fresh)
                bodies.append((no if decline else yes, body.recipient_key))
            elif isinstance(body, Admission):
                joined = _joined(body, hash_of(Kind.ADMISSION, message.signed), self.fresh)
                bodies.append((joined, body.recipient_key))
        return [
            Message(body.KIND, _signed(body, key, signer))
            for body, name in bodies
            for signer in (key.fingerprint, name)
        ]

    def _skip(self) -> None:
        """Show every member the epochs, and keep the keys from them."""
        epochs = [message.signed for message in self.wire if message.kind is Kind.EPOCH]
        for callee in self.devices.values():
            for machine, epoch in product(callee.machines, epochs):
                with suppress(Refused):
                    self._send(callee.on_skipped(machine, epoch, self.at(callee.actor)))


_ADDRESSED = {Kind.INVITE, Kind.ADMISSION}


def _recipient(message: Message) -> ClientId | None:
    body = _body(message)
    return body.recipient if isinstance(body, Invite | Admission) else None


def _answers(invite: Invite, invite_hash: Hash, fresh: Fresh) -> tuple[Answer, Answer]:
    yes = Answer(
        session=invite.session,
        invite=invite.invite,
        sender=invite.recipient,
        recipient=invite.sender,
        sender_key=invite.recipient_key,
        recipient_key=invite.sender_key,
        purpose=invite.purpose,
        mode=invite.mode,
        profile=invite.profile,
        protocol=invite.protocol,
        at=invite.at,
        invite_hash=invite_hash,
        receive_key=fresh.receive_key(E).public,
        reason=None,
    )
    return yes, msgspec.structs.replace(yes, receive_key=None, reason=Reason.DECLINED)


def _joined(admission: Admission, admission_hash: Hash, fresh: Fresh) -> Joined:
    return Joined(
        session=admission.session,
        member=admission.recipient,
        member_key=admission.recipient_key,
        epoch=epoch_hash(admission.epoch),
        admission=admission_hash,
        receive_key=fresh.receive_key(E).public,
        at=admission.at,
    )


def _fitting(values: dict[str, Any], body: Body) -> dict[str, Any]:
    return {name: value for name, value in values.items() if name in body.__struct_fields__}


def _body(message: Message) -> Body:
    return read(message.signed, BODIES[message.kind])


def _signed(body: Body, key: SigningKey, signer: Fingerprint) -> Signed:
    data = encode(body)
    return Signed(data, signer, key.sign(SIGN[body.KIND] + data))


def _own_values(fresh: Fresh) -> dict[str, Any]:
    """Return what the attacker would put in a field if it could choose."""
    return {
        "receive_key": fresh.receive_key(E).public,
        "reason": Reason.DECLINED,
        "mode": Mode.SYNCHRONIZE,
        "purpose": Purpose.ASK,
        "kind": SessionKind.STAR,
        "profile": None,
    }


def _tampered(message: Message, place: int, bit: int) -> Message:
    signed = message.signed
    parts = [signed.body, signed.signer, signed.signature]
    which = place % 3
    changed = bytearray(parts[which])
    changed[(place // 3 * 89 + bit) % len(changed)] ^= 1 << bit % 8
    parts[which] = bytes(changed)
    return Message(message.kind, Signed(parts[0], Fingerprint(parts[1]), Signature(parts[2])), message.sealed)
