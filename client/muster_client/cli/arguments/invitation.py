"""An invitation to a hub, as an argument or typed in."""

import sys

from muster_client.cli.output.failures import Failure, invalid
from muster_client.visible import visible
from muster_protocol.enrolment import MAX_INVITATION_CHARS, Invitation, parse_invitation
from muster_protocol.errors import Refused
from muster_protocol.reasons import Reason

FROM_STDIN = "-"


def read_invitation(text: str) -> Invitation:
    """Read an invitation, `-` from standard input, where no history keeps it. Raises ``Failure``."""
    try:
        return parse_invitation(_typed() if text == FROM_STDIN else text)
    except Refused as refused:
        raise _refused(refused) from None


def _typed() -> str:
    if sys.stdin.isatty():
        sys.stderr.write(visible("Invitation: "))
        sys.stderr.flush()
    return sys.stdin.readline(MAX_INVITATION_CHARS + 1)


def _refused(refused: Refused) -> Failure:
    if refused.reason is Reason.MISTYPED:
        return invalid("The invitation is not complete, or a character of it is wrong.", "Copy the whole line again.")
    return invalid(
        "This is no invitation: one is like wss://HOST:PORT#, and 72 letters and digits.",
        "Ask for one: `muster hub enrolment code` at the hub, or `muster enrolment code` on another device.",
    )
