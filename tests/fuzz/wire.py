"""A transport without a socket: what is written to it is kept, and what asyncio would forbid is an error."""

import asyncio
from typing import Any

from typing_extensions import override

PEER = ("203.0.113.9", 50_000)


class RecordingTransport(asyncio.Transport):
    """Holds what one protocol wrote, and whether it has let go."""

    def __init__(self, protocol: asyncio.Protocol) -> None:
        super().__init__()
        self.protocol = protocol
        self.written = bytearray()
        self.ended = False
        self.half_closed = False

    @override
    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        if not isinstance(protocol, asyncio.Protocol):
            raise TypeError("a protocol of bytes is wanted")
        self.protocol = protocol

    @override
    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return PEER if name == "peername" else default

    @override
    def write(self, data: bytes | bytearray | memoryview) -> None:
        if self.half_closed:
            raise RuntimeError("Cannot call write() after write_eof()")
        if not self.ended:
            self.written += data

    @override
    def write_eof(self) -> None:
        self.half_closed = True

    @override
    def can_write_eof(self) -> bool:
        return True

    @override
    def get_write_buffer_size(self) -> int:
        return 0

    @override
    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        """Nothing waits here."""

    @override
    def is_closing(self) -> bool:
        return self.ended

    @override
    def is_reading(self) -> bool:
        return not self.ended

    @override
    def pause_reading(self) -> None:
        """Only a rate limit or a handler pauses, and in this room neither does."""
        raise AssertionError("no pause was requested")

    @override
    def resume_reading(self) -> None:
        raise AssertionError("reading was not paused")

    @override
    def close(self) -> None:
        self.ended = True

    @override
    def abort(self) -> None:
        self.ended = True
