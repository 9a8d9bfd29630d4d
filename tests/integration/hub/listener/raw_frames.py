"""Frames written by hand, good or bad: what a library would refuse to send."""

FIN = 0x80
"""The first bit of either of the first two bytes: the last fragment, and a masked frame."""
MASK = b"\x11\x22\x33\x44"


def frame(first: int, data: bytes = b"", *, fin: bool = True, mask: bytes | None = MASK) -> bytes:
    """Write a frame; the lower bits of its first byte are taken as they are."""
    size = len(data)
    long = b"\x7e" + size.to_bytes(2) if size < 65_536 else b"\x7f" + size.to_bytes(8)
    length = bytes([size]) if size < 126 else long
    head = bytes([first | FIN * fin, length[0] | FIN * (mask is not None)]) + length[1:]
    if mask is None:
        return head + data
    return head + mask + bytes(byte ^ mask[at % 4] for at, byte in enumerate(data))
