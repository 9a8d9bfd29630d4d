"""The pure parts beside the sockets: whom the gate counts together, and how the wheel turns."""

from dataclasses import replace

import pytest
from tests.unit.hub.silent_socket import SilentSocket

from muster_hub.listener import ListenerSettings
from muster_hub.listener.gate import AddressCount, Gate, neighbourhood
from muster_hub.listener.wheel import Wheel
from muster_hub.rate_limits.token_bucket import Rate


@pytest.mark.parametrize(
    ("address", "counted_as"),
    [
        ("203.0.113.7", "203.0.113.7"),
        ("::ffff:203.0.113.7", "203.0.113.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:2::ffff", "2001:db8:1:2::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("unix", None),
        ("gone", None),
    ],
)
def test_addresses_of_one_subscriber_are_counted_together(address, counted_as):
    assert neighbourhood(address) == counted_as


def test_the_gate_counts_each_neighbourhood_by_itself():
    gate = Gate(ListenerSettings(max_unauthenticated_per_address=1, max_refusals_at_once=1))
    assert gate.enter("a", SilentSocket()) is AddressCount.ADMITTED
    assert gate.enter("b", SilentSocket()) is AddressCount.ADMITTED
    assert gate.enter("a", SilentSocket()) is AddressCount.REFUSED
    assert gate.enter("a", SilentSocket()) is AddressCount.DROPPED
    gate.leave_refused()
    assert gate.enter("a", SilentSocket()) is AddressCount.REFUSED
    assert gate.take_refused() == 3
    assert gate.take_refused() == 0


def test_who_is_nowhere_is_counted_only_in_all():
    gate = Gate(ListenerSettings(max_unauthenticated_per_address=1, max_unauthenticated=3))
    assert [gate.enter(None, SilentSocket()) for _ in range(4)] == [AddressCount.ADMITTED] * 3 + [AddressCount.REFUSED]


def test_the_gate_forgets_who_has_left():
    gate = Gate(ListenerSettings())
    sockets = [SilentSocket() for _ in range(3)]
    for socket in sockets:
        gate.enter("a", socket)
    gate.authenticated("a", sockets[1])
    gate.leave()
    gate.leave_unauthenticated("a", sockets[0])
    gate.leave_unauthenticated("a", sockets[2])
    assert gate.inside == 0
    assert gate._nearby == {}


def full_gate(**sockets: int) -> tuple[Gate, dict[str, list[SilentSocket]]]:
    """Return a gate whose places are taken, and the sockets of each address that hold them."""
    gate = Gate(ListenerSettings(max_unauthenticated=sum(sockets.values())))
    held = {near: [SilentSocket() for _ in range(number)] for near, number in sockets.items()}
    for near, each in held.items():
        for socket in each:
            assert gate.enter(near, socket) is AddressCount.ADMITTED
    return gate, held


def reset(held: dict[str, list[SilentSocket]]) -> dict[str, list[bool]]:
    return {near: [socket.was_reset for socket in each] for near, each in held.items()}


def test_the_address_that_holds_most_makes_room_by_its_oldest_socket():
    gate, held = full_gate(a=2, b=3)
    assert gate.enter("c", SilentSocket()) is AddressCount.ADMITTED
    assert reset(held) == {"a": [False, False], "b": [True, False, False]}
    gate.leave_unauthenticated("b", held["b"][0])  # its end comes later, and is not counted again
    assert gate.inside == 5
    assert gate.take_refused() == 1


def test_no_address_makes_room_for_one_that_then_holds_more():
    gate, held = full_gate(a=2, b=2)
    assert gate.enter("c", SilentSocket()) is AddressCount.ADMITTED
    assert [gate.enter(near, SilentSocket()) for near in ("b", "c", None)] == [AddressCount.REFUSED] * 3
    assert reset(held) == {"a": [True, False], "b": [False, False]}


def test_where_no_limit_counts_many_get_in_and_make_room_for_others():
    gate, held = full_gate(a=3)
    assert gate.enter("proxy", SilentSocket(), limited=False) is AddressCount.ADMITTED
    assert reset(held) == {"a": [True, False, False]}
    assert gate.enter("proxy", SilentSocket(), limited=False) is AddressCount.REFUSED
    gate = Gate(ListenerSettings(max_unauthenticated_per_address=1, max_unauthenticated=3))
    unnamed = [SilentSocket() for _ in range(3)]
    assert [gate.enter("proxy", one, limited=False) for one in unnamed] == [AddressCount.ADMITTED] * 3
    assert gate.enter("a", SilentSocket()) is AddressCount.ADMITTED
    assert [one.was_reset for one in unnamed] == [True, False, False]


def test_a_socket_that_waits_for_the_hub_makes_no_room():
    gate, held = full_gate(a=3)
    held["a"][0].waits_for_peer = False
    assert gate.enter("b", SilentSocket()) is AddressCount.ADMITTED
    assert reset(held) == {"a": [False, True, False]}
    held["a"][2].waits_for_peer = False
    assert gate.enter("c", SilentSocket()) is AddressCount.REFUSED


def test_a_connection_takes_the_place_of_its_socket_and_is_newer_than_others():
    gate, held = full_gate(a=2)
    connection = SilentSocket()
    gate.hand_on("a", held["a"][0], connection)
    assert gate.enter("b", SilentSocket()) is AddressCount.ADMITTED
    assert reset(held) == {"a": [False, True]}
    gate.hand_on("a", held["a"][1], SilentSocket())  # it made room before it was handed on
    gate.authenticated("a", connection)
    assert list(gate._nearby) == ["b"]


def test_places_of_one_address_are_limited_and_given_back():
    gate = Gate(ListenerSettings(max_per_address=2))
    assert [gate.take_place("a") for _ in range(3)] == [True, True, False]
    assert gate.take_place("b")
    assert gate.take_place(None)
    gate.give_back_place("a")
    assert gate.take_place("a")
    for near in ("a", "a", "b", None):
        gate.give_back_place(near)
    assert gate._placed == {}


def test_the_work_of_one_address_is_limited_also_after_it_has_gone():
    gate = Gate(ListenerSettings(stranger_work=Rate(per_s=10, burst=4)))
    socket = SilentSocket()
    gate.enter("a", socket)
    assert gate.charge("a", 3, 0.0) == 0
    gate.leave_unauthenticated("a", socket)
    gate.enter("a", SilentSocket())
    assert gate.charge("a", 3, 0.0) == 200
    assert gate.charge("a", 1, 0.0) == 0
    assert gate.charge("b", 4, 0.0) == 0
    assert gate.charge(None, 1_000, 0.0) == 0
    assert gate.charge("a", 2, 0.2) == 0


def test_without_limits_by_address_only_the_total_counts():
    limits = ListenerSettings().per_address(0)
    gate = Gate(replace(limits, max_unauthenticated=500))
    assert {gate.enter("a", SilentSocket()) for _ in range(500)} == {AddressCount.ADMITTED}
    assert gate.enter("b", SilentSocket()) is AddressCount.REFUSED
    assert all(gate.take_place("a") for _ in range(3_000))
    assert gate.charge("a", 1_000_000, 0.0) == 0


class Item:
    def __init__(self, log, name, then=None):
        self.due_tick = None
        self._log, self._name, self._then = log, name, then

    def on_time(self):
        self._log.append(self._name)
        if self._then is not None:
            self._then(self)


def test_the_wheel_calls_each_once_on_its_tick():
    wheel = Wheel(0.5)
    log: list[str] = []
    for name, tick in (("two", 2), ("one", 1), ("also two", 2), ("past", -5)):
        wheel.set(Item(log, name), tick)
    seen = []
    for _ in range(3):
        wheel.turn()
        seen.append(sorted(log))
        log.clear()
    assert seen == [["one", "past"], ["also two", "two"], []]
    assert wheel._slots == {}


def test_a_deadline_can_be_moved_and_dropped():
    wheel = Wheel(1)
    log: list[str] = []
    moved, dropped = Item(log, "moved"), Item(log, "dropped")
    wheel.set(moved, 1)
    wheel.set(dropped, 1)
    wheel.set(moved, 2)
    wheel.drop(dropped)
    wheel.drop(dropped)
    wheel.turn()
    assert log == []
    wheel.turn()
    assert log == ["moved"]


def test_a_deadline_set_by_a_call_waits_for_a_later_turn():
    wheel = Wheel(1)
    log: list[str] = []
    wheel.set(Item(log, "again", lambda item: wheel.set(item, 0)), 1)
    wheel.turn()
    assert log == ["again"]
    wheel.turn()
    assert log == ["again", "again"]


def test_one_may_drop_another_that_is_due_in_the_same_turn():
    wheel = Wheel(1)
    log: list[str] = []
    items: list[Item] = []

    def drop_all(item):
        for other in items:
            wheel.drop(other)

    items += [Item(log, "a", drop_all), Item(log, "b", drop_all)]
    for item in items:
        wheel.set(item, 1)
    wheel.turn()
    assert len(log) == 1
    assert wheel._slots == {}


@pytest.mark.parametrize(("delay_s", "ticks"), [(0, 1), (0.1, 1), (1, 2), (1.1, 3)])
def test_a_delay_is_never_shortened_to_whole_ticks(delay_s, ticks):
    assert Wheel(0.5).ticks(delay_s) == ticks
