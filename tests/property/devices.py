"""Honest devices around the machines of the protocol, and beside each the plain truth of what it did."""

from dataclasses import dataclass, field
from hashlib import sha256

from tests.own_store import StoredData
from tests.property.cast import BY_CLIENT, PINS, RotatedDevice, epoch_key, receive_key

from muster_protocol.attended import Attended
from muster_protocol.calls import Admissions, Plan, TargetState
from muster_protocol.cards import Mode
from muster_protocol.epochs import Epoch, KnownEpoch
from muster_protocol.exchange import DEFAULT_INVITE_MS, Admission, Invite, Joined, hash_of
from muster_protocol.frames import Purpose, SessionKind
from muster_protocol.ids import ClientId, Hash, InviteId, Seed, TimeMs
from muster_protocol.inviting import Inviting
from muster_protocol.joining import Joining, Received, verify_invite
from muster_protocol.labels import Kind
from muster_protocol.reasons import Reason
from muster_protocol.sealing import EpochKey, ReceiveKey
from muster_protocol.signed import Signed, read


@dataclass(frozen=True, slots=True)
class Message:
    """What travels: a signed statement and, with the epoch that a member is sent, the key sealed to it."""

    kind: Kind
    signed: Signed
    sealed: bytes = b""


def store_of(actor: RotatedDevice) -> StoredData:
    """Return the data of a device that pinned A, B, C and M, and granted each of them everything."""
    return StoredData(actor.client, actor.fingerprint).agree(PINS)


@dataclass(slots=True)
class Fresh:
    """All that must never come twice, and whose each receive key is."""

    owners: list[RotatedDevice] = field(default_factory=list)
    epoch_keys: int = 0
    invites: int = 0

    def receive_key(self, owner: RotatedDevice) -> ReceiveKey:
        self.owners.append(owner)
        return receive_key(len(self.owners) - 1)

    def epoch_key(self) -> EpochKey:
        self.epoch_keys += 1
        return epoch_key(self.epoch_keys)

    def invite(self) -> InviteId:
        self.invites += 1
        return InviteId(sha256(b"invite %d" % self.invites).digest()[:16])


@dataclass(frozen=True, slots=True)
class Heard:
    """A creator took a member's ``joined``; ``version`` is what it thinks they speak (None: a member before)."""

    client: ClientId
    joined: Joined
    version: int | None


@dataclass(slots=True)
class Creator:
    """A session's creator."""

    actor: RotatedDevice
    fresh: Fresh
    kind: SessionKind
    seed: bytes = bytes(16)
    store: StoredData = field(init=False)
    machine: Inviting = field(init=False)
    now: TimeMs = field(init=False)
    invited: dict[InviteId, Invite] = field(default_factory=dict)
    accepted: list[tuple[InviteId, Hash]] = field(default_factory=list)
    admitted: dict[Hash, Admission] = field(default_factory=dict)
    counted: list[Hash] = field(default_factory=list)
    """The admissions in epochs that were committed, as far as the creator heard."""
    keys: dict[Hash, tuple[Epoch, EpochKey]] = field(default_factory=dict)
    heard: list[Heard] = field(default_factory=list)
    _sent: Admissions | None = None
    _said: dict[ClientId, Heard] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.store = store_of(self.actor)

    def begin(self, now: TimeMs) -> Message:
        plan = Plan(self.actor.client, Seed(self.seed), Mode.INVENTORY, "photos", self.kind, self.actor.protocol)
        self.now, self.machine = now, Inviting(self.actor.key, plan, self.store)
        epoch = self.machine.begin(self.fresh.epoch_key(), now)
        self.commit()
        return Message(Kind.EPOCH, epoch)

    def invite(self, target: RotatedDevice) -> Message:
        signed = self.machine.invite(
            target.client,
            target.key.public,
            invite=self.fresh.invite(),
            purpose=Purpose.AUTO,
            expires_at=TimeMs(self.now + DEFAULT_INVITE_MS),
            now=self.now,
        )
        invite = read(signed, Invite)
        self.invited[invite.invite] = invite
        return Message(Kind.INVITE, signed)

    def on_answer(self, signed: Signed, sender: ClientId) -> None:
        target = self.machine.on_answer(signed, sender, self.now)
        if target.state is TargetState.ACCEPTED:
            self.accepted.append((self.machine._calls.live[sender].invite.invite, hash_of(Kind.ANSWER, signed)))

    def admit(self) -> list[Message]:
        """Make the next epoch: an admission for each newcomer, the epoch with its sealed key for each member.

        One of which the hub's reply is not there yet is sent again, as if it were lost.
        """
        made = self.machine.admit(self.fresh.epoch_key(), self.now) or self.machine.again(self.now)
        if made is None:
            return []
        self._sent = made
        self.admitted |= {hash_of(Kind.ADMISSION, signed): read(signed, Admission) for _, signed in made.admissions}
        newcomers = [Message(Kind.ADMISSION, signed) for _, signed in made.admissions]
        return newcomers + [Message(Kind.EPOCH, made.epoch, sealed) for _, sealed in made.sealed]

    def commit(self) -> None:
        self.machine.committed(self.now)
        if self.machine.epoch.hash not in self.keys:
            self.keys[self.machine.epoch.hash] = (self.machine.epoch.epoch, self.machine.epoch_key)
            sent = () if self._sent is None else self._sent.admissions
            self.counted += [hash_of(Kind.ADMISSION, signed) for _, signed in sent]
        self._hear()

    def on_joined(self, signed: Signed, sender: ClientId) -> None:
        live, joined = self.machine._calls.live.get(sender), read(signed, Joined)
        self.machine.on_joined(signed, sender)
        version = None if joined.admission is None or live is None else live.version
        self._said[sender] = Heard(sender, joined, version)
        self._hear()

    def _hear(self) -> None:
        """Count what the machine took: at once, or once the epoch that it was said of is committed."""
        for sender, said in tuple(self._said.items()):
            known = self.machine._members
            member, number = known.members.get(sender), known.numbers.get(said.joined.epoch)
            if member is not None and number == member.joined:
                self.heard.append(self._said.pop(sender))


@dataclass(frozen=True, slots=True)
class Opened:
    """A device opened an epoch's key: by an admission, or as a member before (then ``admission`` is None)."""

    client: ClientId
    machine: Joining
    invite: Invite
    answer: Hash
    epoch: KnownEpoch
    key: EpochKey
    admission: Admission | None


@dataclass(slots=True)
class Callee:
    """A called device. It answers yes to every invite that verifies, unless its machine refuses over its own store."""

    actor: RotatedDevice
    fresh: Fresh
    store: StoredData = field(init=False)
    machines: list[Joining] = field(default_factory=list)
    answered: set[Hash] = field(default_factory=set)
    """On disk, and so kept when its process ends: what it answered once it answers never again."""
    opened: list[Opened] = field(default_factory=list)
    refused: set[tuple[InviteId, Reason]] = field(default_factory=set)
    """Its own decision, independent of what the hub makes of it."""

    def __post_init__(self) -> None:
        self.store = store_of(self.actor)

    def on_invite(self, signed: Signed, now: TimeMs) -> Message | None:
        sender = BY_CLIENT.get(read(signed, Invite).sender)
        if sender is None or sender.client not in self.store.pins:
            return None
        received = verify_invite(signed, sender.key.public, self.actor.client)
        if received.hash in self.answered:
            return None
        machine = self._machine(received)
        answer = machine.accept(self.fresh.receive_key(self.actor), now)
        self.answered.add(received.hash)
        self.machines.append(machine)
        return Message(Kind.ANSWER, answer)

    def on_admission(self, machine: Joining, signed: Signed, now: TimeMs) -> Message:
        machine.on_admission(signed, now)
        self._note(machine, read(signed, Admission))
        return self._joined(machine, now)

    def on_epoch(self, machine: Joining, signed: Signed, sealed: bytes, now: TimeMs) -> Message:
        machine.on_epoch(signed, sealed)
        self._note(machine, None)
        return self._joined(machine, now)

    def on_skipped(self, machine: Joining, signed: Signed, now: TimeMs) -> Message:
        """Follow without a key, and then, against all rules, try to say that it has one."""
        machine.on_skipped(signed)
        return self._joined(machine, now)

    def refuse(self, machine: Joining, reason: Reason, now: TimeMs) -> Message:
        self.refused.add((machine.received.invite.invite, reason))
        return Message(Kind.ANSWER, machine.refuse(reason, now))

    def restart(self, now: TimeMs) -> list[Message]:
        """Lose all that lives in memory; the new process cannot open what the old one asked for, and says so."""
        old, self.machines = self.machines, []
        again = [self._machine(machine.received) for machine in old]
        return [self.refuse(machine, Reason.CANNOT_OPEN, now) for machine in again]

    def _machine(self, received: Received) -> Joining:
        return Joining(self.actor.key, received, self.actor.protocol, self.store)

    def _joined(self, machine: Joining, now: TimeMs) -> Message:
        return Message(Kind.JOINED, machine.joined_statement(self.fresh.receive_key(self.actor), now))

    def _note(self, machine: Joining, admission: Admission | None) -> None:
        if machine.answer is None:
            raise AssertionError("opened without an answer")
        invite = machine.received.invite
        self.store.sessions[invite.session] = Attended.at(invite, machine.epoch)
        self.opened.append(
            Opened(
                self.actor.client,
                machine,
                invite,
                hash_of(Kind.ANSWER, machine.answer),
                machine.epoch,
                machine.epoch_key,
                admission,
            )
        )
