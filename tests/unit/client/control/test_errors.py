"""The library's errors over the control socket: the command line raises what the agent raised."""

import msgspec
import pytest

from muster_client.control.errors import as_error, as_line
from muster_client.control.messages import AnyLine, Done
from muster_client.errors import (
    ControlFailed,
    HubBusy,
    HubRefused,
    HubUnreachable,
    InvalidRequest,
    NoDevice,
    NotTrusted,
    Obstacle,
    SessionRefused,
    Trouble,
    UnknownInvite,
    UnknownSession,
)
from muster_protocol.errors import MusterError
from muster_protocol.ids import ClientId, SessionId
from muster_protocol.reasons import Reason, Sayer

NAS = ClientId("n" * 32)

ERRORS = [
    (NotTrusted([Obstacle(NAS, Reason.NOT_TRUSTED, Sayer.DEVICE)]), ("obstacles",)),
    (InvalidRequest(Reason.SELF_TARGET, "not itself", NAS), ("reason", "detail", "peer")),
    (SessionRefused(Reason.OVERLOADED, Sayer.HUB, "full"), ("reason", "sayer", "detail")),
    (HubRefused(Reason.RATE_LIMITED, "slowly"), ("reason", "detail")),
    (HubUnreachable("no answer", Trouble.TLS_CUT), ("trouble",)),
    (UnknownSession(SessionId("s" * 32)), ("session",)),
    (UnknownInvite("0123"), ()),
]


@pytest.mark.parametrize(("error", "fields"), ERRORS, ids=lambda value: type(value).__name__)
def test_an_error_comes_out_as_it_went_in(error: MusterError, fields: tuple[str, ...]) -> None:
    line = msgspec.json.decode(msgspec.json.encode(as_line(error)), type=AnyLine)
    raised = as_error(line)
    assert type(raised) is type(error)
    assert str(raised) == str(error)
    assert [getattr(raised, name) for name in fields] == [getattr(error, name) for name in fields]


def test_a_busy_hub_is_shown_with_the_reason_that_it_gave() -> None:
    raised = as_error(as_line(HubBusy(HubRefused(Reason.RATE_LIMITED, "slowly", 84_000))))
    assert isinstance(raised, HubRefused)
    assert (raised.reason, raised.detail) == (Reason.RATE_LIMITED, "slowly")


def test_an_error_without_a_line_of_its_own_keeps_its_words() -> None:
    raised = as_error(as_line(NoDevice("there is no device here")))
    assert isinstance(raised, ControlFailed)
    assert str(raised) == "there is no device here"


def test_a_line_that_is_no_error_is_one_where_a_result_of_another_kind_was_due() -> None:
    assert isinstance(as_error(Done()), ControlFailed)
