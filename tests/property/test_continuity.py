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

from muster_protocol.continuity import Continuity, Proof, genuine, hub_secret, issue, judge, prove

SECRET = hub_secret(bytes(32))


@dataclass(frozen=True, slots=True)
class DeviceRecord:
    """What the hub's store has of one device."""

    confirmed: int = 0
    issued: int = 0
    seat: int = 0


@dataclass(slots=True)
class RestorableHub:
    """A hub whose store can be put back to any earlier state."""

    ledger: DeviceRecord = field(default_factory=DeviceRecord)
    backups: list[DeviceRecord] = field(default_factory=list)
    connections: int = 0
    verdicts: list[Continuity] = field(default_factory=list)

    def connect(self, proof: Proof | None, number: int) -> tuple[int, int]:
        """Judge the token shown; give the connection's number and the counter of the next token."""
        good = proof is not None and genuine(SECRET, A.client, proof, nonce(number), nonce(0))
        presented = proof.counter if good and proof is not None else 0
        held = self.ledger
        self.verdicts.append(judge(presented, held.confirmed, held.issued))
        self.connections += 1
        issued = max(held.issued, presented) + 1
        self._write(DeviceRecord(max(held.confirmed, presented), issued, self.connections))
        return self.connections, issued

    def confirm(self, connection: int, counter: int) -> bool:
        """Take the word of the connection that has the seat, and of no other."""
        if connection != self.ledger.seat or counter > self.ledger.issued:
            return False
        self._write(replace(self.ledger, confirmed=max(self.ledger.confirmed, counter)))
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

    def connect(self) -> None:
        number = self.hub.connections + 1
        proof = prove(issue(SECRET, A.client, self.disk), nonce(number), nonce(0)) if self.disk else None
        self.connection, self.welcomed = self.hub.connect(proof, number)

    def write(self) -> None:
        self.disk = self.welcomed or self.disk

    def confirm(self) -> None:
        # Only what is on the disk is ever confirmed.
        if self.connection and self.welcomed == self.disk and self.hub.confirm(self.connection, self.disk):
            self.completed += 1

    def crash(self) -> None:
        self.connection, self.welcomed = 0, 0


class ContinuityStep(Enum):
    CONNECT = auto()
    WRITE = auto()
    CONFIRM = auto()
    CRASH = auto()
    COMMAND = auto()
    RESTORE = auto()
    LOST = auto()


_steps = st.lists(st.tuples(st.sampled_from(ContinuityStep), st.integers(0, 30)), max_size=40)


def _step(agent: DataCopy, do: ContinuityStep, choice: int) -> None:
    match do:
        case ContinuityStep.CONNECT:
            agent.connect()
        case ContinuityStep.WRITE:
            agent.write()
        case ContinuityStep.CONFIRM:
            agent.confirm()
        case ContinuityStep.CRASH:
            agent.crash()
        case ContinuityStep.COMMAND:
            # A command line shows no token and gets none: the hub's ledger does not change, only connections count.
            agent.hub.connections += 1
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
_WHOLE = (ContinuityStep.CONNECT, ContinuityStep.WRITE, ContinuityStep.CONFIRM)


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
