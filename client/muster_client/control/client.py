"""The client of the local control socket, by which a command line asks the agent of its own device.

One request per connection: one JSON line out, one or more JSON lines back. A start has a second line out: the agent
sends the invites only when the client knows the session's id, and so can withdraw them. The socket is 0600, and each
side checks that the other end runs as the same user: the path may be of an agent that ended, in a folder of all users.
"""

import socket
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, TypeVar

import msgspec

from muster_client.control.errors import as_error
from muster_client.control.lock import read_holder
from muster_client.control.messages import (
    MAX_LINE_BYTES,
    Accept,
    AnyLine,
    AnyRequest,
    AskInbox,
    AskSessions,
    AskStatus,
    Blocking,
    Cancel,
    Decline,
    Done,
    EndSession,
    GoAhead,
    InboxIs,
    LeaveSession,
    Notify,
    SessionsAre,
    Settled,
    Started,
    StartRequest,
    StartUpdate,
    StatusIs,
    TargetUpdate,
)
from muster_client.control.same_user import same_user
from muster_client.device.session_request import SessionRequest
from muster_client.errors import (
    ControlFailed,
    HubUnreachable,
    NoAgent,
)
from muster_client.events import InboxEntry
from muster_client.paths import LOCK_FILE
from muster_client.views import AgentStatus, SessionView
from muster_protocol.ids import SessionId

CONNECT_TIMEOUT_S = 2.0
ANSWER_TIMEOUT_S = 90.0
"""How long the agent may take for one request; its own waits for the hub are shorter."""

T = TypeVar("T")


class ControlClient:
    """Asks the agent of one device. No connection stays open between calls, except while ``start`` is being read.

    Every method raises ``NoAgent`` if no agent listens, and the errors of the ``Agent`` method of the same name.
    """

    def __init__(self, device: Path) -> None:
        """Address the agent of the device in this folder."""
        self._device = device

    def status(self) -> AgentStatus:
        """Return the state of the agent."""
        return self._ask(AskStatus(), StatusIs).status

    def start(self, request: SessionRequest) -> Generator[StartUpdate, None, None]:
        """Create a session and call devices into it, live.

        Ends after ``Settled``. If the reader stops (closes the iterator, or ends) at ``Started``, the first line, no
        device is called and the session is closed again; if it stops later, the invites stay open. It waits for the
        next line without a limit. Raises ``NotTrusted``, ``InvalidRequest``, ``SessionRefused`` or ``NoReply`` at the
        first step; no session then exists. Raises ``ControlFailed`` if the reader does not go on after ``Started``.
        """
        with self._lines(StartRequest(session=request)) as (lines, connection):
            for line in lines:
                if not isinstance(line, Started | TargetUpdate | Blocking | Settled):
                    raise as_error(line)
                # From here on a person may take days to answer.
                connection.settimeout(None)
                yield line
                if isinstance(line, Settled):
                    return
                if isinstance(line, Started):
                    _go_ahead(connection)
            raise NoAgent("the agent ended before the calls did")

    def cancel(self, session: SessionId) -> None:
        """Withdraw the open invites of a session of this device; it stays open for those who joined."""
        self._ask(Cancel(session=session), Done)

    def sessions(self) -> tuple[SessionView, ...]:
        """Return the sessions that the agent holds."""
        return self._ask(AskSessions(), SessionsAre).sessions

    def leave(self, session: SessionId) -> None:
        """Leave a session; raises ``UnknownSession``, ``NoReply``."""
        self._ask(LeaveSession(session=session), Done)

    def close_session(self, session: SessionId) -> None:
        """End a session that this device created; raises ``UnknownSession``, ``HubRefused``, ``NoReply``."""
        self._ask(EndSession(session=session), Done)

    def inbox(self) -> tuple[InboxEntry, ...]:
        """Return the invites that wait for the person."""
        return self._ask(AskInbox(), InboxIs).invites

    def accept(self, invite: str) -> InboxEntry:
        """Accept an invite by this device's number or its whole id; raises ``UnknownInvite``, ``NotTrusted``."""
        return self._ask(Accept(invite=invite), InboxIs).invites[0]

    def decline(self, invite: str) -> InboxEntry:
        """Decline an invite by this device's number or its whole id; raises ``UnknownInvite``."""
        return self._ask(Decline(invite=invite), InboxIs).invites[0]

    def notify(self) -> None:
        """Have the agent publish new statements; does nothing if no agent runs."""
        try:
            self._ask(Notify(), Done)
        except NoAgent:
            # The next process that connects publishes them.
            return

    def _ask(self, request: AnyRequest, result: type[T]) -> T:
        with self._lines(request) as (lines, _):
            line = next(lines, None)
        if line is None:
            raise NoAgent("the agent ended before it answered")
        if not isinstance(line, result):
            raise as_error(line)
        return line

    @contextmanager
    def _lines(self, request: AnyRequest) -> Iterator[tuple[Iterator[AnyLine], socket.socket]]:
        with self._connect() as connection, connection.makefile("rb") as reader:
            connection.settimeout(ANSWER_TIMEOUT_S)
            try:
                connection.sendall(msgspec.json.encode(request) + b"\n")
                yield _decode(reader), connection
            except TimeoutError:
                raise HubUnreachable("the agent did not answer in time") from None
            except ConnectionError:
                raise NoAgent("the agent closed the connection") from None

    def _connect(self) -> socket.socket:
        holder = read_holder(self._device / LOCK_FILE)
        if holder is None or holder.socket is None:
            raise NoAgent("no agent of this device runs")
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        connection.settimeout(CONNECT_TIMEOUT_S)
        try:
            connection.connect(holder.socket)
        except OSError:
            connection.close()
            raise NoAgent("no agent of this device runs") from None
        if not same_user(connection):
            connection.close()
            raise NoAgent("no agent of this device runs: another user listens in its place")
        return connection


def _go_ahead(connection: socket.socket) -> None:
    """Confirm that the reader has taken ``Started``."""
    try:
        connection.sendall(msgspec.json.encode(GoAhead()) + b"\n")
    except ConnectionError:
        # The agent closed the connection, and its last line says why.
        return


def _decode(reader: BinaryIO) -> Iterator[AnyLine]:
    while line := reader.readline(MAX_LINE_BYTES):
        try:
            yield msgspec.json.decode(line, type=AnyLine)
        except msgspec.DecodeError:
            raise ControlFailed("the agent answered with something else; is it of another version?") from None
