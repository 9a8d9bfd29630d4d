"""How the doctor judges what it sees of the hub, at the limits of each judgement."""

import pytest
from tests.unit.client.conftest import START

from muster_client.connection.transport import PeerCertificate
from muster_client.device.device import Device
from muster_client.doctor import Health, hub
from muster_client.errors import HubUnreachable, Trouble
from muster_protocol.cards import ProtocolRange
from muster_protocol.connect import PROTOCOL
from muster_protocol.frames import Challenge
from muster_protocol.ids import Nonce
from muster_protocol.keys import SigningKey
from muster_protocol.words import words

DAY_S = 24 * 3600
HUB = SigningKey.from_secret(bytes(range(32)))


def challenge(low: int = PROTOCOL.low, high: int = PROTOCOL.high) -> Challenge:
    return Challenge(
        nonce=Nonce(bytes(32)), hub_key=HUB.public, hub_rotations=(), protocol=ProtocolRange(low, high), at=START
    )


def certificate(left_s: float) -> PeerCertificate:
    return PeerCertificate(issuer="Example CA", expires_s=START / 1000 + left_s, version="TLSv1.3")


@pytest.mark.parametrize("sign", [1, -1])
@pytest.mark.parametrize(
    ("off_ms", "state"),
    [(0, Health.OK), (9_999, Health.OK), (10_000, Health.WARN), (299_999, Health.WARN), (300_000, Health.FAIL)],
)
def test_the_clock(off_ms: int, state: Health, sign: int) -> None:
    finding = hub._clock(sign * off_ms)
    assert finding.state is state
    if state is not Health.OK:
        assert ("ahead of" if sign > 0 else "behind") in finding.sentence


@pytest.mark.parametrize(
    ("off_ms", "amount"),
    [(1, "within 1 s"), (1_001, "within 2 s"), (2 * DAY_S * 1000 - 1, "172799 s"), (2 * DAY_S * 1000, "2 days")],
)
def test_how_far_the_clock_is_off_is_shown_in_seconds_or_days(off_ms: int, amount: str) -> None:
    assert amount in hub._clock(off_ms).sentence


@pytest.mark.parametrize(("left_s", "state", "days"), [(14 * DAY_S, Health.OK, 14), (14 * DAY_S - 1, Health.WARN, 13)])
def test_a_certificate_that_has_less_than_two_weeks(laptop: Device, left_s: int, state: Health, days: int) -> None:
    found = certificate(left_s)
    finding = hub._certificate(laptop, found)
    assert finding.state is state
    assert f"{days} days" in finding.sentence


def test_a_certificate_says_by_which_authority_it_is_trusted(laptop: Device) -> None:
    found = certificate(90 * DAY_S)
    assert "an authority that the system knows" in hub._certificate(laptop, found).sentence


@pytest.mark.parametrize(
    ("low", "high", "update"),
    [
        (PROTOCOL.low, PROTOCOL.low, None),
        (PROTOCOL.high, PROTOCOL.high + 1, None),
        (PROTOCOL.high + 1, PROTOCOL.high + 2, "this machine"),
    ],
)
def test_versions_without_a_common_one(low: int, high: int, update: str | None) -> None:
    finding = hub._versions(challenge(low, high))
    assert finding.check == "hub"
    assert (finding.state is Health.FAIL) == (update is not None)
    assert finding.next_step == (None if update is None else f"Update Muster on {update}.")


def test_the_hubs_key_is_pinned_or_the_pinned_one_or_another(laptop: Device) -> None:
    said = " ".join(words(HUB.fingerprint))
    assert hub._key(laptop, challenge()).sentence == f"pinned now, at the first meeting: {said}"
    laptop.pin_hub(HUB.fingerprint)
    assert hub._key(laptop, challenge()).sentence == f"the pinned one: {said}"
    other = SigningKey.from_secret(bytes(32))
    laptop.pin_hub(other.fingerprint)
    finding = hub._key(laptop, challenge())
    assert (finding.check, finding.state) == ("hub_key", Health.FAIL)


@pytest.mark.parametrize(("took_s", "state"), [(0.999, Health.OK), (1.0, Health.WARN)])
def test_a_round_trip_that_people_notice(took_s: float, state: Health) -> None:
    assert hub._round_trip(took_s).state is state


@pytest.mark.parametrize("trouble", list(Trouble))
def test_each_trouble_is_reported_by_the_check_that_it_belongs_to(trouble: Trouble) -> None:
    finding = hub._unreachable(HubUnreachable("no answer from there.", trouble))
    expected = {
        Trouble.HUB_NAME_UNKNOWN: "dns",
        Trouble.PROXY_FAILED: "proxy",
        Trouble.HUB_REDIRECTS: "hub",
        Trouble.NOT_A_HUB: "hub",
        Trouble.HUB_UNREACHABLE: "hub",
        Trouble.REPLY_UNREADABLE: "hub",
    }
    assert finding.check == expected.get(trouble, "tls")
    assert finding.sentence == "No answer from there."
    assert finding.next_step
