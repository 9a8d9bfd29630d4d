"""What is checked of every statement."""

import pytest
from typing_extensions import override

from muster_hub.governance.checks import check_serial, check_verdict
from muster_hub.store.adapter import Store
from muster_hub.store.urls import Address
from muster_protocol.errors import Refused
from muster_protocol.ids import MAX_TIME_MS, Serial
from muster_protocol.reasons import Reason

NOW = 1_800_000_000_000
DAY_MS = 24 * 3600 * 1000


class SetClockStore(Store):
    """A store that has a clock and nothing else."""

    def __init__(self) -> None:
        super().__init__(Address("unix", "", 0, "unused", 0, None, None))

    @override
    async def now_ms(self) -> int:
        return NOW


async def test_a_serial_may_be_a_day_ahead_of_the_stores_clock_and_no_more() -> None:
    await check_serial(SetClockStore(), Serial(NOW + DAY_MS))
    with pytest.raises(Refused) as refused:
        await check_serial(SetClockStore(), Serial(NOW + DAY_MS + 1))
    assert refused.value.reason is Reason.CLOCK_AHEAD
    assert refused.value.detail == "dated 2027-01-16T08:00:00+00:00, and the hub's clock says 2027-01-15T08:00:00+00:00"


async def test_a_serial_without_a_date_is_refused_by_its_number() -> None:
    with pytest.raises(Refused) as refused:
        await check_serial(SetClockStore(), Serial(MAX_TIME_MS))
    assert f"dated {MAX_TIME_MS} ms" in refused.value.detail


@pytest.mark.parametrize(("verdict", "reason"), [("older", Reason.REPLAYED), ("mismatch", Reason.MISMATCH)])
def test_a_statement_that_does_not_count_is_refused(verdict: str, reason: Reason) -> None:
    with pytest.raises(Refused) as refused:
        check_verdict(verdict)
    assert refused.value.reason is reason


def test_a_statement_that_the_store_took_or_has_already_passes() -> None:
    for verdict in ("new", "same"):
        check_verdict(verdict)
