"""A WebSocket echo server on the hub's listener: ``python -m tests.integration.hub.listener.echo PORT``.

It is there for conformance suites. Only binary messages come back; text is refused, as the hub refuses it. There is no
limit of rate, and messages may be as large as a suite's largest, so that it is the protocol that is looked at.
"""

import asyncio
import sys

from muster_hub.listener import HttpAnswer, Listener, ListenerSettings, SocketDropCause, SocketPeer

MAX_MESSAGE_BYTES = 16 * 1024 * 1024
UNSENT_LIMIT_BYTES = 2 * MAX_MESSAGE_BYTES


class EchoHandler:
    """Sends each message back to where it came from."""

    _peer: SocketPeer

    def opened(self, peer: SocketPeer) -> None:
        self._peer = peer
        peer.authenticated()

    def message(self, data: bytes) -> None:
        self._peer.send(data)

    def closed(self, cause: SocketDropCause) -> None:
        """Nothing is kept of a peer."""


def settings(port: int) -> ListenerSettings:
    return ListenerSettings(
        port=port,
        origins=None,
        frame_rate=None,
        byte_rate=None,
        max_message_bytes=MAX_MESSAGE_BYTES,
        unsent_limit_bytes=UNSENT_LIMIT_BYTES,
    )


async def serve(port: int) -> None:
    """Serve until cancelled."""
    async with Listener(settings(port), EchoHandler, lambda path: HttpAnswer(200, b"echo\n"), None) as listener:
        sys.stdout.write(f"ws://{listener.addresses[0]}\n")
        sys.stdout.flush()
        await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(serve(int(sys.argv[1])))
