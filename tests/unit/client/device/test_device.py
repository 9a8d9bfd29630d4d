"""Trust, grants and serials in a device's own data."""

from collections.abc import Callable

import pytest
from msgspec import structs

from muster_client.device.device import Device
from muster_client.device.statements import Topic
from muster_client.errors import BadNickname
from muster_client.views import GrantState
from muster_protocol.cards import Card, Mode
from muster_protocol.errors import Refused
from muster_protocol.governance import MAX_GRANT_MS, Grant, Revocation, Trust, Untrust
from muster_protocol.ids import ClientId, Serial
from muster_protocol.labels import Kind
from muster_protocol.reasons import Reason
from muster_protocol.serials import SerialVerdict
from muster_protocol.signed import Signed, read, sign, verify


def grant_state(device: Device, peer: ClientId) -> GrantState | None:
    (found,) = [one for one in device.peers.all() if one.client == peer]
    return found.grant.state if found.grant is not None else None


def test_trust_is_signed_once_and_renaming_says_nothing_new(laptop: Device, nas: Device) -> None:
    first = laptop.peers.trust(nas.client, nas.fingerprint, "nas")
    assert verify(first, laptop.key.public, Trust).peer_key == nas.fingerprint
    assert laptop.peers.trust(nas.client, nas.fingerprint, "box") == first
    assert laptop.peers.resolve("box").client == nas.client


def test_another_fingerprint_is_a_new_statement_and_the_old_grant_lapses(laptop: Device, nas: Device) -> None:
    first = laptop.peers.trust(nas.client, nas.fingerprint, "nas")
    laptop.peers.grant(nas.client)
    second = laptop.peers.trust(nas.client, laptop.fingerprint, "nas")
    assert read(second, Trust).serial > read(first, Trust).serial
    assert grant_state(laptop, nas.client) is GrantState.LAPSED


def test_a_device_does_not_trust_itself(laptop: Device) -> None:
    with pytest.raises(Refused) as caught:
        laptop.peers.trust(laptop.client, laptop.fingerprint, "me")
    assert caught.value.reason is Reason.SELF_TARGET
    assert laptop.peers.all() == []


def test_two_trusted_peers_never_share_a_nickname(make_device: Callable[[str], Device]) -> None:
    one, other, third = make_device("one"), make_device("other"), make_device("third")
    one.peers.trust(other.client, other.fingerprint, "nas")
    with pytest.raises(BadNickname):
        one.peers.trust(third.client, third.fingerprint, "NAS")
    one.peers.untrust(other.client)
    one.peers.trust(third.client, third.fingerprint, "NAS")
    assert one.peers.resolve("nas").client == third.client


def test_untrust_ends_the_grant_and_says_so_after_trust_comes_back(laptop: Device, nas: Device) -> None:
    laptop.peers.trust(nas.client, nas.fingerprint, "nas")
    laptop.peers.grant(nas.client)
    ended = laptop.peers.untrust(nas.client)
    laptop.peers.trust(nas.client, nas.fingerprint, "nas")
    waiting = laptop.unpublished()
    assert ended in [held.signed for held in waiting]
    assert waiting[0].kind is Kind.UNTRUST, "what takes something back goes first"
    assert grant_state(laptop, nas.client) is None


def test_a_grant_is_for_trusted_peers_and_within_its_limits(laptop: Device, nas: Device) -> None:
    with pytest.raises(Refused, match="not_trusted"):
        laptop.peers.grant(nas.client)
    laptop.peers.trust(nas.client, nas.fingerprint, "nas")
    for lasts_ms in (0, -1, MAX_GRANT_MS + 1):
        with pytest.raises(Refused, match="malformed"):
            laptop.peers.grant(nas.client, lasts_ms=lasts_ms)
    grant = read(laptop.peers.grant(nas.client, profiles=["b", "a", "b"]), Grant)
    assert grant.profiles == ("a", "b")
    with pytest.raises(Refused) as caught:
        laptop.peers.grant(nas.client, profiles=["B D"])
    assert caught.value.reason is Reason.MALFORMED
    assert [peer.client for peer in laptop.peers.all()] == [nas.client]


def test_a_grant_runs_out_by_this_devices_clock_and_is_renewed(laptop: Device, nas: Device, clock) -> None:
    laptop.peers.trust(nas.client, nas.fingerprint, "nas")
    first = read(laptop.peers.grant(nas.client, mode=Mode.INVENTORY, profiles=["a"], lasts_ms=1000), Grant)
    assert grant_state(laptop, nas.client) is GrantState.LIVE
    clock.go_on(1000)
    assert grant_state(laptop, nas.client) is GrantState.EXPIRED
    renewed = read(laptop.peers.renew(nas.client, lasts_ms=1000), Grant)
    assert (renewed.mode, renewed.profiles) == (first.mode, first.profiles)
    assert renewed.grant != first.grant
    assert grant_state(laptop, nas.client) is GrantState.LIVE


def test_revoking_twice_is_reported(laptop: Device, nas: Device) -> None:
    laptop.peers.trust(nas.client, nas.fingerprint, "nas")
    with pytest.raises(Refused, match="grant_missing"):
        laptop.peers.revoke(nas.client)
    grant = read(laptop.peers.grant(nas.client), Grant)
    assert read(laptop.peers.revoke(nas.client), Revocation).grant == grant.grant
    with pytest.raises(Refused, match="grant_revoked"):
        laptop.peers.revoke(nas.client)


def test_serials_rise_whatever_the_clock_does(laptop: Device, nas: Device, clock) -> None:
    laptop.peers.trust(nas.client, nas.fingerprint, "nas")
    first = read(laptop.peers.grant(nas.client), Grant).serial
    clock.go_on(-86_400_000)
    second = read(laptop.peers.grant(nas.client), Grant).serial
    assert second > first
    clock.go_on(2 * 86_400_000)
    assert read(laptop.peers.grant(nas.client), Grant).serial == clock.now


def test_the_card_changes_only_when_something_in_it_does(laptop: Device) -> None:
    first = laptop.card()
    assert laptop.card() == first
    with Device.open(laptop.path) as again:
        assert again.card() == first
    laptop.configure(_changed(laptop, app="other"))
    assert laptop.card() != first
    assert read(laptop.card(), Card).app == "other"


def _changed(device: Device, **changes: object):
    return structs.replace(device.settings, **changes)


def test_what_the_hub_acknowledged_is_sent_again_only_after_its_restore(laptop: Device, nas: Device) -> None:
    laptop.peers.trust(nas.client, nas.fingerprint, "nas")
    newest = max(held.serial for held in laptop.unpublished())
    for held in laptop.unpublished():
        laptop.acknowledged(held.version)
    laptop.hub_holds(newest)
    assert laptop.unpublished() == []
    laptop.hub_holds(newest - 1)
    assert [held.serial for held in laptop.unpublished()] == [newest]
    laptop.hub_holds(0)
    assert len(laptop.unpublished()) == 2


def test_another_hub_has_nothing_yet(laptop: Device, nas: Device) -> None:
    laptop.peers.trust(nas.client, nas.fingerprint, "nas")
    laptop.pin_hub(nas.fingerprint)
    laptop.mark_synced(7)
    for held in laptop.unpublished():
        laptop.acknowledged(held.version)
    laptop.configure(_changed(laptop, hub_urls=("wss://hub.example.org",)))
    assert laptop.pinned_hub is None
    assert laptop.synced() == 0
    assert len(laptop.unpublished()) == 2


def own(device: Device, body: Trust | Untrust | Grant | Revocation) -> Signed:
    """Sign a statement as a newer copy of the device's data would have."""
    return sign(body, device.key)


def test_13_authority_a_restored_device_learns_what_it_took_back(laptop: Device, nas: Device) -> None:
    laptop.peers.trust(nas.client, nas.fingerprint, "nas")
    laptop.peers.grant(nas.client)
    later = Serial(laptop.unpublished()[-1].serial + 1000)
    untrust = own(laptop, Untrust(client=laptop.client, serial=later, peer=nas.client))
    assert laptop.apply_own(Kind.UNTRUST, untrust) is SerialVerdict.TAKEN
    assert laptop.peers.pins() == {}
    assert grant_state(laptop, nas.client) is None
    assert read(laptop.peers.trust(nas.client, nas.fingerprint, "nas"), Trust).serial > later


def test_13_authority_an_old_statement_brings_nothing_back(laptop: Device, nas: Device) -> None:
    trust = laptop.peers.trust(nas.client, nas.fingerprint, "nas")
    grant = laptop.peers.grant(nas.client)
    laptop.peers.untrust(nas.client)
    assert laptop.apply_own(Kind.TRUST, trust) is SerialVerdict.OLDER
    assert laptop.apply_own(Kind.GRANT, grant) is SerialVerdict.OLDER
    assert laptop.peers.pins() == {}
    assert grant_state(laptop, nas.client) is None


def test_26_one_use_of_restored_data_counts_as_spent(laptop: Device, nas: Device) -> None:
    laptop.peers.trust(nas.client, nas.fingerprint, "nas")
    laptop.peers.grant(nas.client, once=True)
    assert grant_state(laptop, nas.client) is GrantState.LIVE
    later = Serial(laptop.unpublished()[-1].serial + 1000)
    again = own(laptop, Trust(client=laptop.client, serial=later, peer=nas.client, peer_key=nas.fingerprint))
    assert laptop.apply_own(Kind.TRUST, again) is SerialVerdict.TAKEN
    assert grant_state(laptop, nas.client) is GrantState.USED


def test_what_this_device_knows_already_spends_nothing(laptop: Device, nas: Device) -> None:
    trust = laptop.peers.trust(nas.client, nas.fingerprint, "nas")
    laptop.peers.grant(nas.client, once=True)
    assert laptop.apply_own(Kind.TRUST, trust) is SerialVerdict.KNOWN
    assert grant_state(laptop, nas.client) is GrantState.LIVE


def test_15_chains_nothing_that_another_key_signed_is_taken(laptop: Device, nas: Device) -> None:
    forged = sign(Trust(client=laptop.client, serial=Serial(2**52), peer=nas.client, peer_key=nas.fingerprint), nas.key)
    of_another = sign(
        Trust(client=nas.client, serial=Serial(2**52), peer=nas.client, peer_key=nas.fingerprint), laptop.key
    )
    retired = laptop.peers.trust(nas.client, nas.fingerprint, "nas")
    laptop.rotate()
    for statement in (forged, of_another, retired):
        with pytest.raises(Refused):
            laptop.apply_own(Kind.TRUST, statement)
    with pytest.raises(Refused, match="unsupported"):
        laptop.apply_own(Kind.EPOCH, forged)


def test_a_newer_card_of_ones_own_is_never_published_again_under_an_older_serial(laptop: Device) -> None:
    mine = read(laptop.card(), Card)
    newer = sign(structs.replace(mine, serial=Serial(mine.serial + 1000), app="other"), laptop.key)
    laptop.apply_own(Kind.CARD, newer)
    assert read(laptop.card(), Card).serial > mine.serial + 1000
    assert read(laptop.card(), Card).app == mine.app


def test_a_peers_card_must_be_its_own_and_under_the_pinned_key(laptop: Device, nas: Device) -> None:
    with pytest.raises(Refused, match="not_trusted"):
        laptop.peers.learn_card(nas.card(), nas.client)
    laptop.peers.trust(nas.client, nas.fingerprint, "nas")
    with pytest.raises(Refused, match="mismatch"):
        laptop.peers.learn_card(laptop.card(), nas.client)
    laptop.peers.learn_card(nas.card(), nas.client)
    assert laptop.peers.peer_key(nas.client) == nas.key.public
    nas.rotate()
    with pytest.raises(Refused, match="key_mismatch"):
        laptop.peers.learn_card(nas.card(), nas.client)
    assert laptop.peers.peer_key(nas.client) is not None


def test_a_peer_that_changed_its_key_has_no_key_here_until_it_is_trusted_again(laptop: Device, nas: Device) -> None:
    laptop.peers.trust(nas.client, nas.fingerprint, "nas")
    laptop.peers.learn_card(nas.card(), nas.client)
    nas.rotate()
    laptop.peers.trust(nas.client, nas.fingerprint, "nas")
    assert laptop.peers.peer_key(nas.client) is None
    laptop.peers.learn_card(nas.card(), nas.client)
    assert laptop.peers.peer_key(nas.client) == nas.key.public


def test_each_statement_is_offered_once(laptop: Device, nas: Device) -> None:
    laptop.peers.trust(nas.client, nas.fingerprint, "nas")
    laptop.peers.untrust(nas.client)
    kinds = [(held.topic, held.kind) for held in laptop.unpublished()]
    assert len(kinds) == 2
    assert {kind for _, kind in kinds} == {Kind.UNTRUST, Kind.CARD}
    assert Topic.CARD in {topic for topic, _ in kinds}
