"""What an error on the way to the hub means for the next try."""

import pytest

from muster_client.connection.backoff import CAP_S
from muster_client.connection.connection import ConnectionLost
from muster_client.connection.loss import Loss, loss_from
from muster_client.errors import DataNotWritten, HubBusy, HubKeyChanged, HubRefused, HubUnreachable, Trouble
from muster_protocol.closes import CloseCode, NextTry
from muster_protocol.ids import Fingerprint
from muster_protocol.reasons import Reason


def test_a_hub_that_refuses_names_the_reason_and_the_shortest_wait() -> None:
    refused = HubRefused(Reason.OVERLOADED, retry_after_ms=2_500)
    assert loss_from(refused) == loss_from(HubBusy(refused)) == Loss("refused", 2.5, Reason.OVERLOADED)


def test_only_a_proven_revocation_ends_the_retries() -> None:
    proven = HubRefused(Reason.DEVICE_REVOKED, next_try=NextTry.NEVER)
    assert loss_from(proven).next_try is NextTry.NEVER
    assert loss_from(HubRefused(Reason.DEVICE_REVOKED)).next_try is NextTry.USUAL
    assert loss_from(ConnectionLost(CloseCode.REVOKED.value, None)).next_try is NextTry.USUAL


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        (CloseCode.KEY_MISMATCH.value, Reason.KEY_MISMATCH),
        (CloseCode.INCOMPATIBLE.value, Reason.INCOMPATIBLE_PROTOCOL),
        (CloseCode.PROTOCOL_VIOLATION.value, Reason.MALFORMED),
        (4777, None),
    ],
)
def test_a_close_whose_cause_lasts_is_tried_every_ten_minutes_with_its_reason(code: int, reason: Reason | None) -> None:
    loss = loss_from(ConnectionLost(code, None))
    assert (loss.next_try, loss.reason, loss.at_least_s, loss.slow) == (NextTry.RARE, reason, 600.0, True)
    assert str(code) in loss.sentence
    assert "every 10 minutes" in loss.sentence


def test_a_proven_refusal_whose_cause_lasts_is_tried_every_ten_minutes_with_its_reason() -> None:
    loss = loss_from(HubRefused(Reason.INCOMPATIBLE_PROTOCOL, next_try=NextTry.RARE))
    assert (loss.cause, loss.reason, loss.at_least_s) == ("refused", Reason.INCOMPATIBLE_PROTOCOL, 600.0)
    assert "incompatible_protocol" in loss.sentence
    assert "every 10 minutes" in loss.sentence


def test_a_superseded_process_comes_back_late_and_as_a_new_instance() -> None:
    loss = loss_from(ConnectionLost(CloseCode.SUPERSEDED.value, None))
    assert loss == Loss("superseded", CAP_S, Reason.SUPERSEDED, slow=True, next_try=NextTry.NEW_INSTANCE)


def test_a_changed_hub_key_is_not_tried_again_soon() -> None:
    loss = loss_from(HubKeyChanged(Fingerprint(bytes(32))))
    assert (loss.cause, loss.reason, loss.slow) == ("hub_key_changed", Reason.HUB_KEY_CHANGED, True)


def test_a_connection_that_broke_says_after_how_much_silence() -> None:
    loss = loss_from(ConnectionLost(1006, None, died_idle_s=20.2))
    assert loss == Loss("closed_1006", sentence="the connection to the hub broke after 20 s of silence")


def test_a_hub_that_ends_says_when_to_come_back() -> None:
    assert loss_from(ConnectionLost(1001, 1_500)).at_least_s == 1.5


@pytest.mark.parametrize(
    ("error", "cause"),
    [
        (HubUnreachable("no connection"), "unreachable"),
        (HubUnreachable("cut", Trouble.TLS_CUT), "tls_cut"),
        (DataNotWritten("the disk is full"), "data_unwritable"),
    ],
)
def test_every_other_error_has_a_cause_of_its_own(error: HubUnreachable | DataNotWritten, cause: str) -> None:
    assert loss_from(error) == Loss(cause, sentence=str(error))
