"""How often a request is sent, and what its last refusal means."""

from collections.abc import Sequence

import pytest

from muster_client.connection.tries import MAX_TRIES, MAX_WAIT_S, MIN_PAUSE_S, Tries
from muster_client.errors import HubBusy, HubError, HubRefused
from muster_protocol.reasons import Reason

BUSY = HubRefused(Reason.RATE_LIMITED, retry_after_ms=1_000)
UNTIMED = HubRefused(Reason.OVERLOADED)
AWAY = HubRefused(Reason.STORE_UNAVAILABLE, retry_after_ms=1_000)
FULL = HubRefused(Reason.STORE_FULL)
DENIED = HubRefused(Reason.NOT_A_MEMBER)


def end(tries: Tries, refusals: Sequence[HubRefused]) -> HubError | None:
    """Return how a request ends that is refused like this, or None where it is sent again each time."""
    for refused in refusals:
        try:
            tries.pause_s(refused)
        except HubError as error:
            return error
    return None


@pytest.mark.parametrize("reason", [Reason.RATE_LIMITED, Reason.OVERLOADED])
def test_a_hub_that_names_a_time_is_asked_again_at_that_time_for_as_long_as_a_request_waits(reason: Reason) -> None:
    tries, refused = Tries(), HubRefused(reason, retry_after_ms=2_000)
    assert [tries.pause_s(refused) for _ in range(int(MAX_WAIT_S / 2))] == [2.0] * int(MAX_WAIT_S / 2)
    with pytest.raises(HubBusy) as caught:
        tries.pause_s(refused)
    assert (caught.value.reason, tries.in_vain) == (reason, True)


def test_no_pause_is_shorter_than_the_shortest() -> None:
    assert Tries().pause_s(HubRefused(Reason.RATE_LIMITED, retry_after_ms=0)) == MIN_PAUSE_S


def test_a_time_beyond_the_longest_wait_is_not_waited_for() -> None:
    tries = Tries()
    with pytest.raises(HubBusy):
        tries.pause_s(HubRefused(Reason.RATE_LIMITED, retry_after_ms=int(MAX_WAIT_S * 1000) + 1))
    assert not tries.in_vain


@pytest.mark.parametrize(
    ("refused", "kind"), [(UNTIMED, HubRefused), (AWAY, HubBusy), (HubRefused(Reason.STORE_UNAVAILABLE), HubBusy)]
)
def test_without_a_time_or_a_store_a_hub_is_asked_a_few_times(refused: HubRefused, kind: type[HubError]) -> None:
    tries = Tries()
    assert end(tries, [refused] * (MAX_TRIES - 1)) is None
    assert isinstance(end(tries, [refused]), kind)
    assert not tries.in_vain


@pytest.mark.parametrize("last", [UNTIMED, FULL])
def test_what_an_earlier_try_may_have_done_is_no_refusal(last: HubRefused) -> None:
    assert isinstance(end(Tries(), [AWAY] + [last] * MAX_TRIES), HubBusy)
    assert end(Tries(), [last] * MAX_TRIES) is last


@pytest.mark.parametrize("before", [(), (BUSY,), (AWAY, BUSY)])
def test_what_the_hub_decided_is_final(before: Sequence[HubRefused]) -> None:
    assert end(Tries(), [*before, DENIED]) is DENIED
