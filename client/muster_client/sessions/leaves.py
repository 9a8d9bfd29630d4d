"""What this device said as it left sessions, for as long as the hub is not known to have it (SPEC.md section 8.5)."""

from collections.abc import Iterator

import structlog

from muster_client.connection.link import Link
from muster_client.connection.tries import OUTCOME_OPEN
from muster_client.errors import HubRefused
from muster_protocol.frames import Ok, SendLeave
from muster_protocol.ids import SessionId
from muster_protocol.signed import Signed

MAX_LEAVES = 256
"""Leaves that may wait for the hub; beyond that the oldest is given up."""

_log = structlog.get_logger("muster.session")


class Leaves:
    """The ``leave`` statements of this process that are due."""

    def __init__(self, link: Link) -> None:
        self._link = link
        self._due: dict[SessionId, Signed] = {}

    def __iter__(self) -> Iterator[SessionId]:
        return iter(tuple(self._due))

    def __contains__(self, session: SessionId) -> bool:
        return session in self._due

    def drop(self, session: SessionId) -> None:
        """Forget a leave: this device was admitted again since."""
        self._due.pop(session, None)

    async def say(self, session: SessionId, leave: Signed) -> None:
        """Leave a session; raises ``HubRefused``, ``NoReply`` where the hub may not have taken it: it stays due."""
        self._due[session] = leave
        if len(self._due) > MAX_LEAVES:
            del self._due[next(iter(self._due))]
        await self.say_again(session)

    async def say_again(self, session: SessionId) -> None:
        """Send a leave that is due, if it still is; raises what ``say`` raises."""
        leave = self._due.get(session)
        if leave is None:
            return
        try:
            await self._link.ask(SendLeave(id=0, leave=leave), Ok)
        except HubRefused as refused:
            # After any other error this device is no member for the hub.
            if refused.reason in OUTCOME_OPEN:
                raise
            _log.info("leave_refused", session=session[:8], reason=refused.reason)
        if self._due.get(session) is leave:
            del self._due[session]
