"""The table of a node's connections, and what goes to which of them."""

import os
from typing import cast

import pytest

from muster_hub.routing.bus_messages import (
    CloseConnection,
    NotifyInbox,
    NotifyPresence,
    PushToConnection,
    decode_bus_message,
)
from muster_hub.routing.caller import Caller
from muster_hub.routing.router import MAX_CLOSED_EARLY, Router
from muster_hub.store.rows import Location
from muster_protocol.cards import VerifiedCard
from muster_protocol.closes import CloseCode
from muster_protocol.connect import Role
from muster_protocol.frames import PresencePush, encode_frame
from muster_protocol.ids import ClientId, Fingerprint, InstanceId

ANN = ClientId("a" * 32)
PUSH = PresencePush(devices=())


class RecordedConnection:
    """A connection that writes down what is done with it."""

    busy = False

    def __init__(self, number: int, role: Role = Role.AGENT, client: ClientId = ANN) -> None:
        self.client, self.number, self.role = client, number, role
        self.done: list[object] = []

    @property
    def caller(self) -> Caller:
        key = Fingerprint(bytes(32))
        card = cast("VerifiedCard", None)  # nothing here looks at a card
        return Caller(self.client, key, (key,), self.number, self.role, InstanceId(os.urandom(16)), card, 0)

    def finish(self) -> None:
        raise AssertionError("the node does not end here")

    def send(self, frame: bytes) -> None:
        self.done.append(frame)

    def close(self, code: CloseCode) -> None:
        self.done.append(code)

    def hand_over(self, frame: bytes) -> None:
        self.done.append(frame)

    def deliver_inbox(self) -> None:
        self.done.append("inbox")


@pytest.fixture
def said() -> list[tuple[str, object]]:
    return []


@pytest.fixture
def watched() -> list[ClientId]:
    return []


class Sent:
    """A bus that writes down what is sent."""

    def __init__(self, said: list[tuple[str, object]]) -> None:
        self._said = said

    def publish(self, node: str, payload: bytes) -> None:
        self._said.append((node, decode_bus_message(payload)))


class OnAnotherNode:
    """Every agent is connected to the same other node."""

    async def find_agent(self, client: ClientId) -> Location | None:
        return Location("other", "i", 7)


class WatchedDevices:
    """Writes down the devices that are to be looked at again."""

    def __init__(self, watched: list[ClientId]) -> None:
        self._watched = watched

    def changed(self, client: ClientId) -> None:
        self._watched.append(client)


@pytest.fixture
def router(said: list[tuple[str, object]], watched: list[ClientId]) -> Router:
    return Router("here", Sent(said), OnAnotherNode(), WatchedDevices(watched))


def here(number: int) -> Location:
    return Location("here", "i", number)


def test_the_newer_agent_takes_the_place_of_the_older(router: Router) -> None:
    older, newer = RecordedConnection(1), RecordedConnection(2)
    assert router.add(older) is None
    assert router.add(newer) is older
    assert router.local_agent(ANN) is newer
    router.remove(older)
    assert router.local_agent(ANN) is newer


def test_an_older_agent_that_comes_late_is_the_one_to_close(router: Router) -> None:
    newer, older = RecordedConnection(2), RecordedConnection(1)
    router.add(newer)
    assert router.add(older) is older
    assert router.local_agent(ANN) is newer


def test_command_lines_take_no_agents_place(router: Router) -> None:
    agent = RecordedConnection(1)
    router.add(agent)
    assert router.add(RecordedConnection(2, Role.CLI)) is None
    assert router.local_agent(ANN) is agent
    assert len(router) == 2


def test_a_close_that_comes_before_its_connection_is_not_lost(router: Router) -> None:
    """The store told another node of this connection before it told this one."""
    router.receive(CloseConnection(ANN, 5, CloseCode.SUPERSEDED))
    late = RecordedConnection(5)
    assert router.add(late) is late


def test_closes_that_came_early_are_bounded(router: Router) -> None:
    for number in range(MAX_CLOSED_EARLY + 1):
        router.receive(CloseConnection(ANN, number, CloseCode.SUPERSEDED))
    assert router.add(RecordedConnection(0)) is None
    last = RecordedConnection(MAX_CLOSED_EARLY)
    assert router.add(last) is last


def test_a_push_goes_to_the_seat_wherever_it_is(router: Router, said: list[tuple[str, object]]) -> None:
    link = RecordedConnection(1)
    router.add(link)
    router.push(ANN, [here(1), here(9), Location("other", "i", 3)], encode_frame(PUSH))
    assert link.done == [encode_frame(PUSH)]
    assert said == [("other", PushToConnection(ANN, 3, encode_frame(PUSH)))]


async def test_a_live_push_asks_the_store_only_for_an_agent_elsewhere(
    router: Router, said: list[tuple[str, object]]
) -> None:
    await router.push_live(ANN, encode_frame(PUSH))
    assert said == [("other", PushToConnection(ANN, 7, encode_frame(PUSH)))]
    link = RecordedConnection(1)
    router.add(link)
    await router.push_live(ANN, encode_frame(PUSH))
    assert link.done == [encode_frame(PUSH)]
    assert len(said) == 1


def test_what_just_came_to_wait_is_handed_over_here_and_notified_elsewhere(
    router: Router, said: list[tuple[str, object]]
) -> None:
    link = RecordedConnection(1)
    router.add(link)
    router.notify_inbox(ANN, [here(1), Location("other", "i", 3)], b"push")
    assert link.done == [b"push"]
    assert said == [("other", NotifyInbox(ANN, 3))]


def test_notifications_and_closes(router: Router, said: list[tuple[str, object]], watched: list[ClientId]) -> None:
    link = RecordedConnection(1)
    router.add(link)
    there = Location("other", "i", 3)
    router.notify_inbox(ANN, [here(1), there])
    router.close(ANN, here(1), CloseCode.REVOKED)
    router.close(ANN, there, CloseCode.REVOKED)
    router.notify_presence(ANN, ["here", "other"])
    assert link.done == ["inbox", CloseCode.REVOKED]
    assert watched == [ANN]
    assert said == [
        ("other", NotifyInbox(ANN, 3)),
        ("other", CloseConnection(ANN, 3, CloseCode.REVOKED)),
        ("other", NotifyPresence(ANN)),
    ]


def test_what_others_say_is_done_once_the_connection_is_here(router: Router, watched: list[ClientId]) -> None:
    link = RecordedConnection(1)
    router.add(link)
    for message in (PushToConnection(ANN, 1, b"frame"), NotifyInbox(ANN, 1), PushToConnection(ANN, 2, b"unread")):
        router.receive(message)
    router.receive(NotifyPresence(ANN))
    assert link.done == [b"frame", "inbox"]
    assert watched == [ANN]
