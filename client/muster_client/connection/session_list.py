"""The list of the device's sessions at the hub, read page by page (SPEC.md section 3.2)."""

from muster_client.connection.connection import HubConnection
from muster_protocol.frames import ListSessions, SessionsReply, SessionSummary
from muster_protocol.ids import SessionId

MAX_PAGES = 16
"""Pages read at most: four times as many as a device has at an honest hub, so that no hub keeps it reading."""


async def list_sessions(connection: HubConnection) -> tuple[SessionSummary, ...]:
    """Return every session of this device, as the hub knows them; raises ``HubRefused``, ``HubUnreachable``."""
    found: list[SessionSummary] = []
    after: SessionId | None = None
    for _ in range(MAX_PAGES):
        reply = await connection.ask(ListSessions(id=0, after=after), SessionsReply)
        found += reply.sessions
        if not reply.more or not reply.sessions:
            break
        after = reply.sessions[-1].session
    return tuple(found)
