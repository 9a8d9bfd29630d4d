"""The pushes of one connection: handled in order, then acknowledged in batches (SPEC.md section 3.3)."""

import asyncio
from typing import Protocol

import structlog

from muster_client.connection.connection import HubConnection
from muster_client.errors import HubRefused, HubUnreachable, NoReply
from muster_protocol.frames import MAX_WAITING, Ack, Ok, Push

MAX_QUEUED_PUSHES = 1024
"""Pushes that wait to be handled; with more, the connection is dropped and everything is read again."""
MAX_UNACKNOWLEDGED = MAX_WAITING
"""Handled pushes that wait to be acknowledged, beside as many that are being; with more, none is handled.

A hub lets no more than that wait for one device, so only a hub that answers nothing gets there.
"""
ACKNOWLEDGE_AFTER_S = 0.1
"""Pushes handled within this time are acknowledged together. A hub sends a push again only after some seconds."""

_log = structlog.get_logger("muster.link")


class PushHandler(Protocol):
    """What a device does with the pushes of a connection."""

    async def handle(self, connection: HubConnection, push: Push) -> None:
        """Handle one push. The next one waits for that; one for which this raises is not acknowledged."""


class PushQueue:
    """Both queues of one connection: pushes to handle, and ids to acknowledge."""

    def __init__(self, connection: HubConnection, handler: PushHandler) -> None:
        self._connection = connection
        self._handler = handler
        self._waiting: asyncio.Queue[Push] = asyncio.Queue(MAX_QUEUED_PUSHES)
        self._handled: asyncio.Queue[str] = asyncio.Queue(MAX_UNACKNOWLEDGED)

    def put(self, push: Push) -> None:
        """Add a push that arrived; raises ``HubUnreachable`` where too many wait."""
        if self._waiting.full():
            raise HubUnreachable("more pushes came than this device could handle")
        self._waiting.put_nowait(push)

    async def handle(self) -> None:
        """Handle pushes one at a time, for as long as the connection lasts; raises what the handler raises."""
        while True:
            push = await self._waiting.get()
            await self._handler.handle(self._connection, push)
            if push.push is not None:
                await self._handled.put(push.push)

    async def acknowledge(self) -> None:
        """Acknowledge handled pushes, those of one moment in one request. Handling does not wait for it."""
        while True:
            pushes = [await self._handled.get()]
            await asyncio.sleep(ACKNOWLEDGE_AFTER_S)
            while len(pushes) < MAX_WAITING and not self._handled.empty():
                pushes.append(self._handled.get_nowait())
            try:
                await self._connection.ask(Ack(id=0, pushes=tuple(pushes)), Ok)
            except HubRefused as refused:
                # They come again at the next connect, and have no second effect.
                _log.info("pushes_not_acknowledged", count=len(pushes), reason=refused.reason)
            except NoReply:
                await self._connection.drop()
                return
