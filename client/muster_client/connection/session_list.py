"""The list of the device's sessions at the hub, read page by page (SPEC.md section 3.2)."""

from collections.abc import Sequence

from muster_client.connection.connection import HubConnection
from muster_client.connection.pages import read_pages
from muster_protocol.frames import ListSessions, SessionsReply, SessionSummary


async def list_sessions(connection: HubConnection) -> tuple[SessionSummary, ...]:
    """Return every session of this device, as the hub knows them; raises ``HubRefused``, ``NoReply``."""

    async def ask(known: Sequence[SessionSummary]) -> tuple[Sequence[SessionSummary], bool]:
        after = known[-1].session if known else None
        page = await connection.ask(ListSessions(id=0, after=after), SessionsReply)
        return page.sessions, page.more

    return tuple(await read_pages(ask))
