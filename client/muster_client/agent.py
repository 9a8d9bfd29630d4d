"""The agent: one process of a device that answers invites and holds its sessions (SPEC.md section 7)."""

import asyncio
import os
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from ssl import SSLContext

import structlog
from msgspec import structs

from muster_client.concurrency import Companions, companions
from muster_client.connection.link import Link
from muster_client.connection.republishing import Republishing
from muster_client.connection.statement_sync import PublishResult
from muster_client.control.lock import agent_lock
from muster_client.control.server import ControlServer, socket_path
from muster_client.device.device import Device
from muster_client.device.session_request import SessionRequest
from muster_client.errors import DataNotWritten, HubRefused, HubUnreachable, NoReply, UnknownSession
from muster_client.events import (
    Broadcast,
    Event,
    InboxEntry,
    Stream,
)
from muster_client.paths import LOCK_FILE
from muster_client.sessions.answering import Answering, Policy
from muster_client.sessions.context import SessionContext
from muster_client.sessions.create import create_session
from muster_client.sessions.from_hub import FromHub
from muster_client.sessions.leaves import Leaves
from muster_client.sessions.membership import Membership
from muster_client.sessions.pushes import Pushes
from muster_client.sessions.session import Session
from muster_client.views import AgentStatus
from muster_protocol.cards import Mode, ProtocolRange
from muster_protocol.frames import Presence, PresenceReply, Watch, Who
from muster_protocol.ids import ClientId, SessionId

LOOK_EVERY_S = 1.0
"""How often the agent looks for statements that a command line made, and tells of those that a copy made."""
DUE_EVERY_S = 5.0
"""How often the agent ends what is over by this device's clock, leaves where its own pins speak against a member, and
says again what the hub did not take."""

_log = structlog.get_logger("muster.agent")

OnSession = Callable[[Session], Awaitable[None]]


class Agent:
    """A running agent. Made by ``open``."""

    def __init__(self, device: Device, policy: Policy, beside: Companions, ssl: SSLContext | None) -> None:
        self.device = device
        self._beside = beside
        self._events: Broadcast[Event] = Broadcast()
        self._changed = asyncio.Event()
        self._republishing = Republishing(device)
        self._link = Link(device, self._events, ssl=ssl)
        self._context = SessionContext(device, self._link, device.clock, self._events.tell, Leaves(self._link))
        self._answering = Answering(self._context, policy)
        self._membership = Membership(self._context, self._answering, self._on_session)
        self._pushes = Pushes(self._context, self._answering, self._membership)
        self._from_hub = FromHub(self._context, self._answering, self._membership, self._pushes)
        self._callback: OnSession | None = None

    @classmethod
    @asynccontextmanager
    async def open(
        cls,
        device: Device | Path,
        *,
        hub_url: str | None = None,
        policy: Policy | None = None,
        protocol: ProtocolRange | None = None,
        app: str | None = None,
        app_version: str | None = None,
        modes: Sequence[Mode] | None = None,
        on_session: OnSession | None = None,
        control: bool = True,
        ssl: SSLContext | None = None,
    ) -> AsyncIterator["Agent"]:
        """Take the device's agent lock, and stay connected to its hub for as long as the block runs.

        Each argument given here replaces that part of the device's settings; the rest stays as it was. ``on_session``
        runs in a task of its own for each session that this device created or joined. ``ssl`` None trusts what the
        device was set up to trust. Raises ``AgentRunning``, ``NoDevice``, ``BadHubUrl``, ``UnusableData``. A hub that
        is away is no error: the agent tries again, and ``events`` reports it. If the hub proves that no further try
        will help, the block ends with ``HubRefused``.
        """
        async with AsyncExitStack() as stack:
            opened = device if isinstance(device, Device) else stack.enter_context(Device.open(device))
            socket = socket_path(opened.path) if control else None
            stack.enter_context(agent_lock(opened.path / LOCK_FILE, socket))
            _configure(opened, hub_url=hub_url, protocol=protocol, app=app, app_version=app_version, modes=modes)
            beside = await stack.enter_async_context(companions())
            agent = cls(opened, policy or Policy(), beside, ssl)
            agent._callback = on_session
            stack.callback(agent._end)
            if socket is not None:
                await stack.enter_async_context(ControlServer(agent, beside).listening(socket))
            beside.start(agent._link.run(agent._from_hub))
            beside.start(agent._publish_changes())
            beside.start(agent._do_what_is_due())
            yield agent

    def _end(self) -> None:
        self._membership.end()
        self._events.end()

    # -- the hub ------------------------------------------------------------------------------------------------------

    async def connected(self) -> None:
        """Wait until the hub has said welcome and both hold the same statements."""
        await self._link.ready()

    def notify(self) -> None:
        """Check at once for changes by another process of the device: publish its statements, and try the hub again."""
        # The link at once: a caller of ``publish`` may wait for it.
        self._link.wake()
        self._changed.set()

    async def publish(self) -> tuple[PublishResult, ...]:
        """Offer the hub every statement that it has not acknowledged; raises ``NoReply``, ``HubRefused``."""
        await self._link.ready()
        connection = self._link.connection
        if connection is None:
            raise HubUnreachable("no connection to the hub")
        return await self._from_hub.publish(connection)

    async def _publish_changes(self) -> None:
        seen = self.device.changes_by_others()
        while True:
            try:
                async with asyncio.timeout(LOOK_EVERY_S):
                    await self._changed.wait()
            except TimeoutError:
                pass
            self._from_hub.tell_news()
            now = self.device.changes_by_others()
            changed = self._changed.is_set() or now != seen
            again = self._link.connection is not None and self._republishing.due()
            if not changed and not again:
                continue
            self._changed.clear()
            seen = now
            self._link.wake()
            if changed and self._link.standing is not None:
                # The person may have confirmed that these data are the only copy; the next welcome says so.
                await self._link.refresh()
                continue
            self._republishing.tried()
            try:
                await self.publish()
            except (NoReply, HubRefused, DataNotWritten) as error:
                # The next connect publishes what waits, and a later round what restricts.
                _log.info("not_published", cause=str(error))

    async def _do_what_is_due(self) -> None:
        while True:
            await asyncio.sleep(DUE_EVERY_S)
            held, answers = self._membership, self._answering
            for act in (held.end_in_time, answers.flush, held.leave_untrusted, held.say_leaves):
                await self._do(act)

    async def _do(self, act: Callable[[], Awaitable[None] | None]) -> None:
        """Do what is due, as far as it goes: it is tried again, and no failure of it ends the agent."""
        try:
            doing = act()
            if doing is not None:
                await doing
        except DataNotWritten as error:
            _log.info("not_done", act=act.__name__, cause=str(error))
        except Exception:  # noqa: BLE001 - what one peer causes here must not end the sessions with others
            _log.exception("act_failed", act=act.__name__)

    # -- events -------------------------------------------------------------------------------------------------------

    def events(self) -> Stream[Event]:
        """Return a stream of the events from now on, until the agent ends.

        Each reader has its own queue of at most ``MAX_UNREAD_EVENTS``.
        """
        return self._events.listen()

    def _on_session(self, session: Session) -> None:
        if self._callback is not None:
            self._beside.start(self._call_back(self._callback, session))

    async def _call_back(self, callback: OnSession, session: Session) -> None:
        try:
            await callback(session)
        except Exception:  # noqa: BLE001 - a fault of the application must not end other sessions
            _log.exception("on_session_failed", session=session.id[:8])

    # -- sessions -----------------------------------------------------------------------------------------------------

    async def start_session(self, request: SessionRequest) -> Session:
        """Create a session and call its targets; return once the hub has answered for each call.

        All targets are checked over this device's own store before anything is created. Raises ``InvalidRequest``,
        ``NotTrusted``, ``SessionRefused``, ``NoReply``.
        """
        session = await self.create_session(request)
        await session.invite(request.targets, purpose=request.purpose)
        return session

    async def create_session(self, request: SessionRequest) -> Session:
        """Do the first half of ``start_session``: check the targets and create the session; ``invite`` then calls them.

        Read ``updates`` in between to see each step of the calls.
        """
        session = await create_session(self._context, request)
        self._membership.add(session)
        self._beside.start(session.run())
        session.begun()
        self._on_session(session)
        return session

    def sessions(self) -> tuple[Session, ...]:
        """Return the sessions of this process."""
        return self._membership.sessions()

    def session(self, session: SessionId) -> Session:
        """Return one session of this process; raises ``UnknownSession``."""
        for one in self.sessions():
            if one.id == session:
                return one
        raise UnknownSession(session)

    # -- presence -----------------------------------------------------------------------------------------------------

    async def who(self, peers: Sequence[ClientId]) -> tuple[Presence, ...]:
        """Ask who is online, in the order asked; raises ``NoReply``, ``HubRefused``."""
        return (await self._link.ask(Who(id=0, clients=tuple(peers)), PresenceReply)).devices

    async def watch(self, peers: Sequence[ClientId]) -> tuple[Presence, ...]:
        """Return the presence of peers, and report changes in ``events``; replaces the peers watched before."""
        reply = await self._link.ask(Watch(id=0, clients=tuple(peers)), PresenceReply)
        self._from_hub.watched = tuple(peers)
        return reply.devices

    # -- the person ---------------------------------------------------------------------------------------------------

    def inbox(self) -> tuple[InboxEntry, ...]:
        """Return the invites that wait for the person."""
        return self._answering.inbox()

    async def accept(self, invite: str) -> InboxEntry:
        """Accept an invite by its number or id. Without a connection the answer is sent at the next one.

        Raises ``UnknownInvite``; ``NotTrusted`` where the peer is trusted no longer.
        """
        return await self._answering.accept(invite)

    async def decline(self, invite: str) -> InboxEntry:
        """Decline an invite by its number or id; raises ``UnknownInvite``."""
        return await self._answering.decline(invite)

    def status(self) -> AgentStatus:
        """Return the state of the agent."""
        return AgentStatus(
            client=self.device.client,
            pid=os.getpid(),
            hub_url=self._link.url,
            hub=self.device.pinned_hub,
            connected=self._link.connection is not None,
            connected_since=self._link.since,
            standing=self._link.standing,
            sessions=len(self.sessions()),
            inbox=len(self.inbox()),
            unpublished=self.device.unpublished_count(),
            keep_alive_ms=round(self._link.keep_alive.interval_s * 1000),
            keep_alive_learnt=self._link.keep_alive.learnt,
            last_drop=self._link.last_drop,
        )


def _configure(
    device: Device,
    *,
    hub_url: str | None,
    protocol: ProtocolRange | None,
    app: str | None,
    app_version: str | None,
    modes: Sequence[Mode] | None,
) -> None:
    named = {
        "hub_urls": None if hub_url is None else (hub_url,),
        "protocol": protocol,
        "app": app,
        "app_version": app_version,
        "modes": None if modes is None else tuple(mode for mode in Mode if mode in modes),
    }
    settings = device.settings
    wanted = structs.replace(settings, **{name: value for name, value in named.items() if value is not None})
    if wanted != settings:
        device.configure(wanted)
