"""What a watcher is sent about a device, and which connection watches which devices."""

import pytest

from muster_hub.presence import watch_table
from muster_hub.presence.lookup import Asker, Observation, unknown
from muster_hub.presence.watch_table import SETTLE_S, DeviceWatch, WatchedDevice, WatchTable
from muster_protocol.frames import DropCause, Presence, PresenceState
from muster_protocol.ids import ClientId, Fingerprint, TimeMs

ANN, BOB, CAT, DAN = (ClientId(letter * 32) for letter in "abcd")
NODE = ("one", "incarnation")


def online(client: ClientId = BOB, since: int = 1) -> Observation:
    return Observation(Presence(client, PresenceState.ONLINE, TimeMs(since), None), frozenset({NODE}))


def offline(cause: DropCause = DropCause.CLOSED, *, expected: bool = False) -> Observation:
    return Observation(Presence(BOB, PresenceState.OFFLINE, TimeMs(2), cause), expected=expected)


def hidden() -> Observation:
    return Observation(Presence(BOB, PresenceState.HIDDEN, None, None))


def lost_sight() -> Observation:
    return Observation(unknown(BOB, None))


def watch(asker: ClientId, number: int, *devices: ClientId, near: str | None = None) -> DeviceWatch:
    return DeviceWatch(Asker(asker, Fingerprint(bytes(32))), number, map(online, devices), near)


def test_the_same_again_is_not_sent() -> None:
    device = WatchedDevice(online(since=1))
    assert device.update(online(since=9), 0.0) == (None, False)
    assert device.observed == online(since=9)


def test_a_connect_is_sent_at_once() -> None:
    device = WatchedDevice(offline())
    assert device.update(online(), 0.0) == (online().presence, False)


def test_a_disconnect_is_sent_once_it_has_settled() -> None:
    device = WatchedDevice(online())
    assert device.update(offline(), 10.0) == (None, True)
    assert device.update(offline(), 10.0 + SETTLE_S / 2) == (None, True)
    assert device.update(offline(), 10.0 + SETTLE_S) == (offline().presence, False)
    assert device.update(offline(), 10.0 + 2 * SETTLE_S) == (None, False)


def test_a_device_that_is_back_before_that_was_never_gone() -> None:
    device = WatchedDevice(online())
    device.update(offline(), 10.0)
    assert device.update(online(since=3), 10.0 + SETTLE_S / 2) == (None, False)
    # The next disconnect has its own time to settle.
    assert device.update(offline(), 10.0 + SETTLE_S) == (None, True)


def test_a_device_that_is_expected_back_is_not_reported_until_it_is_late() -> None:
    device = WatchedDevice(online())
    assert device.update(offline(expected=True), 0.0) == (None, True)
    assert device.update(offline(expected=True), 100.0) == (None, True)
    assert device.update(offline(), 101.0) == (offline().presence, False)


def test_what_a_device_hides_is_sent_at_once() -> None:
    device = WatchedDevice(online())
    assert device.update(hidden(), 0.0) == (hidden().presence, False)
    assert device.update(offline(), 0.0) == (offline().presence, False)


def test_another_cause_of_being_offline_is_news() -> None:
    device = WatchedDevice(offline())
    lost = offline(DropCause.NODE_LOST)
    assert device.update(lost, 0.0) == (lost.presence, False)


def test_what_cannot_be_known_is_sent_once_and_looked_at_until_it_is() -> None:
    device = WatchedDevice(online(since=7))
    last = unknown(BOB, TimeMs(7))
    assert device.update(lost_sight(), 0.0) == (last, True)
    assert device.update(lost_sight(), 1.0) == (None, True)
    assert device.observed.holders == {NODE}
    assert device.update(online(since=7), 2.0) == (online(since=7).presence, False)


def test_an_unknown_device_that_is_offline_needs_no_time_to_settle() -> None:
    device = WatchedDevice(online())
    device.update(lost_sight(), 0.0)
    assert device.update(offline(), 0.0) == (offline().presence, False)


def test_a_hidden_device_is_kept_as_nothing_and_announced_as_any_other() -> None:
    watching = DeviceWatch(Asker(ANN, Fingerprint(bytes(32))), 1, [hidden(), online(CAT)])
    assert watching.devices[BOB] is None
    assert watching.update(BOB, hidden(), 0.0) == (None, False)
    assert watching.devices[BOB] is None
    assert watching.update(BOB, online(), 0.0) == (online().presence, False)
    assert watching.update(BOB, hidden(), 0.0) == (hidden().presence, False)
    assert watching.devices[BOB] is None
    assert watching.update(BOB, lost_sight(), 0.0) == (lost_sight().presence, True)


def test_an_address_watches_no_more_than_it_may_until_a_watch_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watch_table, "MAX_WATCHED_PER_ADDRESS", 3)
    table = WatchTable()
    assert table.has_room(watch(ANN, 1, BOB, CAT, DAN, near="one"))
    table.add(watch(ANN, 1, BOB, CAT, near="one"))
    table.add(watch(CAT, 2, BOB, DAN))
    assert table.has_room(watch(BOB, 3, CAT, near="one"))
    assert not table.has_room(watch(BOB, 3, CAT, DAN, near="one"))
    assert table.has_room(watch(BOB, 3, CAT, DAN, near="two"))
    assert table.has_room(watch(BOB, 3, CAT, DAN))
    table.remove((ANN, 1))
    assert table.has_room(watch(BOB, 3, CAT, DAN, near="one"))
    assert table._watched_near == {None: 2}


def test_a_device_is_watched_until_its_last_watcher_leaves() -> None:
    table = WatchTable()
    of_ann, of_cat = watch(ANN, 1, BOB, DAN), watch(CAT, 2, BOB)
    table.add(of_ann)
    table.add(of_cat)
    assert table.watchers(BOB) == {(ANN, 1), (CAT, 2)}
    assert table.watchers(DAN) == {(ANN, 1)}
    table.remove((ANN, 1))
    assert list(table) == [of_cat]
    assert table.watchers(BOB) == {(CAT, 2)}
    assert table.watchers(DAN) == set()
    table.remove((CAT, 2))
    assert table.watchers(BOB) == set()
    assert list(table) == []


def test_one_device_watches_over_each_of_its_connections_by_itself() -> None:
    table = WatchTable()
    table.add(watch(ANN, 1, BOB))
    table.add(watch(ANN, 2, CAT))
    table.remove((ANN, 1))
    table.remove((ANN, 1))
    assert table.get((ANN, 1)) is None
    assert table.watchers(BOB) == set()
    assert table.watchers(CAT) == {(ANN, 2)}


def test_the_devices_of_a_lost_node_are_found_by_its_incarnation() -> None:
    table = WatchTable()
    seen = watch(ANN, 1, BOB, CAT)
    seen.devices[CAT] = WatchedDevice(Observation(Presence(CAT, PresenceState.OFFLINE, None, None)))
    table.add(seen)
    assert table.held_by(*NODE) == {BOB}
    assert table.held_by("one", "another") == set()
