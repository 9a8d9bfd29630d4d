"""Revoking while a join is under way, and grants for one use, over every interleaving.

The hub here is honest as far as it is modelled: it decides over what was acknowledged when it commits. That the store's
steps amount to this is shown in tests/integration/hub/sessions (4); that a use is on disk before the answer leaves, in
tests/unit/client (26). What the devices themselves decide, their machines decide over their own stores.
"""

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from enum import Enum, auto

from hypothesis import example, given
from hypothesis import strategies as st
from tests.own_store import StoredData, full_grant
from tests.property.cast import NOON, A, B, C, RotatedDevice
from tests.property.devices import Callee, Creator, Fresh, Message, store_of
from tests.property.facts import call_of

from muster_protocol.calls import TargetState
from muster_protocol.decision import Party, decide
from muster_protocol.errors import Refused
from muster_protocol.frames import SessionKind
from muster_protocol.joining import Joining, read_invite
from muster_protocol.labels import Kind
from muster_protocol.own_decision import decide_incoming
from muster_protocol.reasons import Reason

PAIRS = {A: B, B: A}


class RestrictionStep(Enum):
    STEP = auto()
    REPEAT = auto()
    REVOKE_A = auto()
    REVOKE_B = auto()
    UNTRUST_A = auto()
    UNTRUST_B = auto()


_schedules = st.lists(
    st.one_of(st.just(RestrictionStep.STEP), st.just(RestrictionStep.STEP), st.sampled_from(RestrictionStep)),
    min_size=4,
    max_size=16,
)


@dataclass(slots=True)
class Joins:
    """A calls B once, and again whenever that failed; each restricts as the schedule says."""

    honest: bool
    fresh: Fresh = field(default_factory=Fresh)
    waiting: list[Message] = field(default_factory=list)
    uncommitted: list[Message] = field(default_factory=list)
    restricted: set[RotatedDevice] = field(default_factory=set)
    creator: Creator = field(init=False)
    device: Callee = field(init=False)

    def __post_init__(self) -> None:
        self.creator = Creator(A, self.fresh, SessionKind.MESH)
        self.creator.begin(NOON)
        self.device = Callee(B, self.fresh)

    def restrict(self, actor: RotatedDevice, *, trust: bool) -> None:
        peer, store = PAIRS[actor], self.stores()[actor]
        if trust:
            store.pins.pop(peer.client, None)
        else:
            store.grants[peer.client] = full_grant(peer.fingerprint, revoked=True)
        self.restricted.add(actor)

    def stores(self) -> dict[RotatedDevice, StoredData]:
        return {A: self.creator.store, B: self.device.store}

    def hub_permits(self) -> bool:
        """Decide as the honest hub does, over what both said."""
        said = {
            actor.client: Party(actor.client, actor.fingerprint, None, store.pins, store.grants)
            for actor, store in self.stores().items()
        }
        return decide(call_of(A, B), said, NOON).reason is None

    def step(self) -> None:
        """Go on where the join is: commit, deliver, admit or call."""
        if self.uncommitted:
            self._commit()
        elif self.waiting:
            self._deliver(self.waiting.pop(0))
        else:
            self._next()

    def _commit(self) -> None:
        made, self.uncommitted = self.uncommitted, []
        if self.honest and not self.hub_permits():
            self.creator.machine.rejected({B.client: Reason.GRANT_REVOKED}, NOON)
            return
        self.creator.commit()
        self.waiting += made

    def _deliver(self, message: Message) -> None:
        match message.kind:
            case Kind.INVITE:
                answer = self.device.on_invite(message.signed, NOON)
                self.waiting += [answer] if answer else []
            case Kind.ANSWER:
                self.creator.on_answer(message.signed, B.client)
            case Kind.ADMISSION:
                for machine in self.device.machines:
                    with suppress(Refused):
                        self.waiting.append(self.device.on_admission(machine, message.signed, NOON))
            case Kind.JOINED:
                self.creator.on_joined(message.signed, B.client)

    def _next(self) -> None:
        target = self.creator.machine.targets.get(B.client)
        if target is not None and target.state is TargetState.ACCEPTED:
            self.uncommitted = self.creator.admit()
        elif target is None or target.state is TargetState.REFUSED:
            self.waiting.append(self.creator.invite(B))


def _play(joins: Joins, schedule: list[RestrictionStep]) -> Iterator[RestrictionStep]:
    last: Message | None = None
    for do in schedule:
        last = joins.waiting[0] if joins.waiting else last
        match do:
            case RestrictionStep.STEP:
                with suppress(Refused):
                    joins.step()
            case RestrictionStep.REPEAT if last is not None:
                joins.waiting.insert(0, last)
            case RestrictionStep.REVOKE_A | RestrictionStep.UNTRUST_A:
                joins.restrict(A, trust=do is RestrictionStep.UNTRUST_A)
            case RestrictionStep.REVOKE_B | RestrictionStep.UNTRUST_B:
                joins.restrict(B, trust=do is RestrictionStep.UNTRUST_B)
        yield do


def test_p04_commit_before_key_without_a_restriction() -> None:
    """Nothing is restricted: B opens the key that was committed."""
    joins = Joins(honest=True)
    assert list(_play(joins, [RestrictionStep.STEP] * 8))
    assert joins.creator.machine.targets[B.client].state is TargetState.JOINED


@given(_schedules)
def test_p04_commit_before_key(schedule: list[RestrictionStep]) -> None:
    """The hub is honest and there is no attacker: revocations and untrusts of both sides fall between any two steps."""
    joins = Joins(honest=True)
    committed_before_restriction: set[bytes] = set()
    for _ in _play(joins, schedule):
        if not joins.restricted:
            committed_before_restriction = set(joins.creator.keys)
    assert {opened.epoch.hash for opened in joins.device.opened} <= committed_before_restriction


@given(_schedules)
def test_p04_commit_before_key_under_a_dishonest_hub(schedule: list[RestrictionStep]) -> None:
    """The hub commits and relays anything it likes; it holds neither A's key nor B's.

    What A revoked before it sealed, or B before it opened, stays shut: each asks its own store.
    """
    joins = Joins(honest=False)
    sealed_before: set[bytes] = set()
    opened_before = 0
    for _ in _play(joins, schedule):
        if A not in joins.restricted:
            sealed_before = {admission.answer_hash for admission in joins.creator.admitted.values()}
        if B not in joins.restricted:
            opened_before = len(joins.device.opened)
    assert len(joins.device.opened) == opened_before or B not in joins.restricted
    assert {opened.answer for opened in joins.device.opened} <= sealed_before or A not in joins.restricted


def test_p04_commit_before_key_of_later_epochs() -> None:
    """The hub is dishonest; A itself ended its trust in B, who is a member: no later key is sealed to B."""
    joins = Joins(honest=False)
    assert list(_play(joins, [RestrictionStep.STEP] * 8))
    joins.restrict(A, trust=True)
    other = Callee(C, joins.fresh)
    answer = other.on_invite(joins.creator.invite(C).signed, NOON)
    assert answer is not None
    joins.creator.on_answer(answer.signed, C.client)
    machine, (_, *pushes) = joins.device.machines[0], joins.creator.admit()
    assert not [push for push in pushes if _opens(joins.device, machine, push)]


def _opens(device: Callee, machine: Joining, push: Message) -> bool:
    with suppress(Refused):
        device.on_epoch(machine, push.signed, push.sealed, NOON)
        return True
    return False


@dataclass(slots=True)
class OneShot:
    """B gave A one grant for one use. ``store`` is on disk; a task that answers lives in memory."""

    invites: list[Message]
    store: StoredData = field(default_factory=lambda: store_of(B))
    tasks: list[Iterator[None]] = field(default_factory=list)
    answers: list[Message] = field(default_factory=list)
    machines: dict[bytes, Joining] = field(default_factory=dict)

    def take(self, message: Message) -> Iterator[None]:
        """Answer an invite: in one step ask the store and spend the use, in the next send."""
        received = read_invite(message.signed, A.key.public, B.client, B.fingerprint)
        machine = self.machines.setdefault(received.hash, Joining(B.key, received, B.protocol, self.store))
        yield
        permitted = decide_incoming(self.store.facts(), received.invite, NOON).reason is None
        if permitted and self.store.spend(A.client, received.invite.invite):
            yield
            self.answers.append(Message(Kind.ANSWER, machine.accept(Fresh().receive_key(B), NOON)))

    def advance(self, choice: int) -> None:
        if self.tasks:
            task = self.tasks[choice % len(self.tasks)]
            try:
                next(task)
            except (StopIteration, Refused):
                self.tasks.remove(task)

    def kill(self) -> None:
        self.tasks, self.machines = [], {}


_one_by_one = [step for number in range(3) for step in [("invite", number), *[("advance", 0)] * 4]]
_steps = st.tuples(st.sampled_from(["invite", "advance", "advance", "advance", "kill"]), st.integers(0, 9))


@given(st.lists(_steps, min_size=8, max_size=40))
@example(_one_by_one)
def test_p26_one_use(steps: list[tuple[str, int]]) -> None:
    """The hub does not count: it delivers each of A's invites as often as it likes; B's process is killed anywhere."""
    creator = Creator(A, Fresh(), SessionKind.MESH)
    creator.begin(NOON)
    one = OneShot([creator.invite(B) for _ in range(3)])
    for what, choice in steps:
        match what:
            case "invite":
                one.tasks.append(one.take(one.invites[choice % len(one.invites)]))
            case "advance":
                one.advance(choice)
            case _:
                one.kill()
    assert len(one.answers) <= 1


def test_p26_one_use_is_a_use() -> None:
    """No attack: the first invite is answered."""
    creator = Creator(A, Fresh(), SessionKind.MESH)
    creator.begin(NOON)
    one = OneShot([creator.invite(B)])
    one.tasks.append(one.take(one.invites[0]))
    for _ in range(3):
        one.advance(0)
    assert len(one.answers) == 1
