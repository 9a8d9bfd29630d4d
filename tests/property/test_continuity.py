"""Continuity tokens: what the hub judges of an agent's token, over every schedule.

The connect and confirm steps of the hub's store are modelled here by the rules that they must keep. That the store's
scripts keep them is shown in tests/integration/hub.
"""

from dataclasses import dataclass, field, replace
from enum import Enum, auto

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.property.cast import A, B, nonce

from muster_protocol.continuity import (
    Continuity,
    Proof,
    genuine,
    hub_secret,
    issue,
    judge,
    judge_command_line,
    prove,
)

SECRET = hub_secret(bytes(32))
COMMAND_LINES = 3


@dataclass(frozen=True, slots=True)
class DeviceRecord:
    """What the hub's store has of one device."""

    confirmed: int = 0
    issued: int = 0
    seat: int = 0
    confirmed_ms: int = 0
    """When the last confirmed counter was confirmed."""

    def confirm(self, counter: int, now_ms: int) -> "DeviceRecord":
        """Return it with this counter confirmed, if it is a higher one."""
        return self if counter <= self.confirmed else replace(self, confirmed=counter, confirmed_ms=now_ms)


@dataclass(slots=True)
class RestorableHub:
    """A hub whose store can be put back to any earlier state."""

    ledger: DeviceRecord = field(default_factory=DeviceRecord)
    backups: list[DeviceRecord] = field(default_factory=list)
    connections: int = 0
    verdicts: list[Continuity] = field(default_factory=list)
    now_ms: int = 1

    def connect(self, proof: Proof | None, number: int) -> tuple[int, int]:
        """Judge the token shown; give the connection's number and the counter of the next token."""
        presented, held = self._counter(proof, number), self.ledger
        self.verdicts.append(judge(presented, held.confirmed, held.issued))
        self.connections += 1
        issued = max(held.issued, presented) + 1
        self._write(replace(held.confirm(presented, self.now_ms), issued=issued, seat=self.connections))
        return self.connections, issued

    def command(self, proof: Proof | None, number: int, challenged_ms: int) -> None:
        """Judge what a command line shows; nothing else changes."""
        held = self.ledger
        self.connections += 1
        self.verdicts.append(
            judge_command_line(
                self._counter(proof, number),
                held.confirmed,
                confirmed_ms=held.confirmed_ms,
                challenged_ms=challenged_ms,
            )
        )

    def _counter(self, proof: Proof | None, number: int) -> int:
        good = proof is not None and genuine(SECRET, A.client, proof, nonce(number), nonce(0))
        return proof.counter if good and proof is not None else 0

    def confirm(self, connection: int, counter: int) -> bool:
        """Take the word of the connection that has the seat, and of no other."""
        if connection != self.ledger.seat or counter > self.ledger.issued:
            return False
        self._write(self.ledger.confirm(counter, self.now_ms))
        return True

    def _write(self, ledger: DeviceRecord) -> None:
        self.backups.append(self.ledger)
        self.ledger = ledger

    def restore(self, choice: int) -> None:
        if self.backups:
            self.ledger = replace(self.backups[choice % len(self.backups)], seat=0)


@dataclass(slots=True)
class DataCopy:
    """One copy of the device's data and the agent that runs on it: a step is what a crash can fall behind."""

    hub: RestorableHub
    disk: int = 0
    connection: int = 0
    welcomed: int = 0
    completed: int = 0
    lines: dict[int, "SteppedCommand"] = field(default_factory=dict)

    def connect(self) -> None:
        number = self.hub.connections + 1
        self.connection, self.welcomed = self.hub.connect(_proof(self.disk, number), number)

    def write(self) -> None:
        self.disk = self.welcomed or self.disk

    def confirm(self) -> None:
        # Only what is on the disk is ever confirmed.
        if self.connection and self.welcomed == self.disk and self.hub.confirm(self.connection, self.disk):
            self.completed += 1

    def crash(self) -> None:
        self.connection, self.welcomed = 0, 0

    def command(self, do: "ContinuityStep", which: int) -> None:
        """Let one of the command lines beside it do a step, if that one is due."""
        line = self.lines.get(which)
        match do:
            case ContinuityStep.CHALLENGE:
                self.lines[which] = SteppedCommand(self.hub.now_ms)
            case ContinuityStep.READ if line is not None and line.token is None:
                line.token = self.disk
            case ContinuityStep.HELLO if line is not None and line.token is not None:
                number = self.hub.connections + 1
                self.hub.command(_proof(line.token, number), number, line.challenged_ms)
                del self.lines[which]
            case _:
                pass


@dataclass(slots=True)
class SteppedCommand:
    """A command line: it gets the challenge, then reads the token, then says hello, each step at any later time."""

    challenged_ms: int
    token: int | None = None


def _proof(counter: int, number: int) -> Proof | None:
    return prove(issue(SECRET, A.client, counter), nonce(number), nonce(0)) if counter else None


class ContinuityStep(Enum):
    CONNECT = auto()
    WRITE = auto()
    CONFIRM = auto()
    CRASH = auto()
    CHALLENGE = auto()
    READ = auto()
    HELLO = auto()
    RESTORE = auto()
    LOST = auto()


_steps = st.lists(st.tuples(st.sampled_from(ContinuityStep), st.integers(0, 30)), max_size=40)
_no_restore = st.lists(
    st.tuples(
        st.sampled_from([each for each in ContinuityStep if each is not ContinuityStep.RESTORE]), st.integers(0, 30)
    ),
    max_size=24,
)


_COMMAND = (ContinuityStep.CHALLENGE, ContinuityStep.READ, ContinuityStep.HELLO)


def _step(agent: DataCopy, do: ContinuityStep, choice: int) -> None:
    agent.hub.now_ms += 1
    match do:
        case ContinuityStep.CONNECT:
            agent.connect()
        case ContinuityStep.WRITE:
            agent.write()
        case ContinuityStep.CONFIRM:
            agent.confirm()
        case ContinuityStep.CRASH:
            agent.crash()
        case ContinuityStep.CHALLENGE | ContinuityStep.READ | ContinuityStep.HELLO:
            agent.command(do, choice % COMMAND_LINES)
        case ContinuityStep.RESTORE:
            agent.hub.restore(choice)
        case ContinuityStep.LOST:
            agent.connect()
            agent.crash()


@pytest.mark.slow
@given(_steps)
@settings(max_examples=300)
def test_p18_continuity_raises_no_false_alarm(steps: list[tuple[ContinuityStep, int]]) -> None:
    """No attacker: an agent, command lines, crashes behind each step of either side, and hubs put back at will."""
    agent = DataCopy(RestorableHub())
    for do, choice in steps:
        _step(agent, do, choice)
    assert Continuity.CLONE_SUSPECTED not in agent.hub.verdicts


_WHOLE = (ContinuityStep.CONNECT, ContinuityStep.WRITE, ContinuityStep.CONFIRM)
_visits = st.lists(
    st.sampled_from(
        [_WHOLE, (*_WHOLE[:2], ContinuityStep.CRASH), (ContinuityStep.CONNECT, ContinuityStep.CRASH), (*_WHOLE[:2],)]
    ),
    min_size=3,
    max_size=3,
)
_turns = st.permutations([each for which in range(COMMAND_LINES + 1) for each in [which] * 6])


@pytest.mark.slow
@given(_visits, _turns)
@settings(max_examples=300)
def test_p18_continuity_takes_any_order_of_an_agent_and_command_lines(
    visits: list[tuple[ContinuityStep, ...]], turns: list[int]
) -> None:
    """No attacker: an agent connects again and again, and each command line twice; their steps come in any order."""
    agent = DataCopy(RestorableHub())
    for do in _WHOLE:
        _step(agent, do, 0)
    todo = [iter([step for visit in visits for step in visit]), *(iter(_COMMAND * 2) for _ in range(COMMAND_LINES))]
    for which in turns:
        step = next(todo[which], None)
        if step is not None:
            _step(agent, step, which - 1 if which else 0)
    assert Continuity.CLONE_SUSPECTED not in agent.hub.verdicts


_copies = st.lists(
    st.tuples(
        st.booleans(),
        st.sampled_from(
            [
                ContinuityStep.CONNECT,
                ContinuityStep.WRITE,
                ContinuityStep.CONFIRM,
                ContinuityStep.CRASH,
                ContinuityStep.LOST,
            ]
        ),
    ),
    max_size=24,
)


@pytest.mark.slow
@given(_steps, _copies, st.permutations([False, False, True, True]), _copies)
@settings(max_examples=300)
def test_p18_continuity_finds_two_copies(
    before: list[tuple[ContinuityStep, int]],
    first: list[tuple[bool, ContinuityStep]],
    order: list[bool],
    between: list[tuple[bool, ContinuityStep]],
) -> None:
    """The attacker copied the device's disk, with all keys, and runs it beside the device; the hub is honest.

    Each of the two connects twice, among other steps of both that get in the way.
    """
    agent = DataCopy(RestorableHub())
    for do, choice in before:
        _step(agent, do, choice)
    for do in _WHOLE:
        _step(agent, do, 0)
    copies = {False: agent, True: DataCopy(agent.hub, disk=agent.disk)}
    for which, do in first:
        _step(copies[which], do, 0)
    for which in order:
        for do in _WHOLE:
            _step(copies[which], do, 0)
    for which, do in between:
        _step(copies[which], do, 0)
    assert Continuity.CLONE_SUSPECTED in agent.hub.verdicts


@pytest.mark.slow
@given(_steps, _no_restore, _no_restore, st.booleans())
@settings(max_examples=300)
def test_p18_continuity_finds_a_copy_that_uses_command_lines_only(
    before: list[tuple[ContinuityStep, int]],
    first: list[tuple[ContinuityStep, int]],
    between: list[tuple[ContinuityStep, int]],
    at_once: bool,
) -> None:
    """The attacker copied the disk, with all keys, and never runs an agent; the hub is honest.

    The device's agent connects once more, among other steps, and then the copy's command line does.
    """
    agent = DataCopy(RestorableHub())
    for do, choice in before:
        _step(agent, do, choice)
    for do in _WHOLE:
        _step(agent, do, 0)
    copy = DataCopy(agent.hub, disk=agent.disk)
    for do in _COMMAND:
        _step(copy, do, 0)
    assert Continuity.CLONE_SUSPECTED not in agent.hub.verdicts
    for do, choice in [*first, *((do, 0) for do in _WHOLE), *([] if at_once else between)]:
        _step(agent, do, choice)
    for do in _COMMAND:
        _step(copy, do, 0)
    assert agent.hub.verdicts[-1] is Continuity.CLONE_SUSPECTED


@given(_no_restore, _no_restore)
def test_p18_continuity_lets_no_older_copy_in_by_a_late_hello(
    before: list[tuple[ContinuityStep, int]], meanwhile: list[tuple[ContinuityStep, int]]
) -> None:
    """The attacker's command line gets its challenge, and holds its hello back while the device's agent goes on."""
    agent = DataCopy(RestorableHub())
    for do in _WHOLE:
        _step(agent, do, 0)
    copy = DataCopy(agent.hub, disk=agent.disk)
    for do, choice in before:
        _step(agent, do, choice)
    _step(copy, ContinuityStep.CHALLENGE, 0)
    for do, choice in meanwhile:
        _step(agent, do, choice)
    for do in _COMMAND[1:]:
        _step(copy, do, 0)
    assert (agent.hub.verdicts[-1] is Continuity.KEPT) == (agent.hub.ledger.confirmed <= copy.disk)


@given(st.integers(1, 2**53 - 1), st.integers(0, 9), st.integers(0, 9), st.booleans())
def test_p18_continuity_proof_is_of_this_device_and_connection(
    counter: int, challenge: int, hello: int, other_device: bool
) -> None:
    """The attacker saw a proof on the wire, or holds another device's token; it does not hold this one."""
    device = B if other_device else A
    proof = prove(issue(SECRET, device.client, counter), nonce(challenge), nonce(hello))
    good = (challenge, hello, other_device) == (0, 1, False)
    assert genuine(SECRET, A.client, proof, nonce(0), nonce(1)) == good
    assert not genuine(SECRET, A.client, Proof(counter + 1, proof.mac), nonce(challenge), nonce(hello))
    assert not genuine(hub_secret(b"another" * 4), device.client, proof, nonce(challenge), nonce(hello))
