"""The header of an unfragmented, unmasked binary frame, which is nearly all that the hub sends (RFC 6455, 5.2)."""

from functools import lru_cache

_FINAL_BINARY = b"\x82"
_TWO_BYTES, _EIGHT_BYTES = b"\x7e", b"\x7f"
HEADERS_CACHED = 4_096


@lru_cache(maxsize=HEADERS_CACHED)
def header(length: int) -> bytes:
    """Return the header for a payload of so many bytes; the payload is then sent without another copy."""
    if length < 126:
        return _FINAL_BINARY + length.to_bytes(1, "big")
    if length < 65_536:
        return _FINAL_BINARY + _TWO_BYTES + length.to_bytes(2, "big")
    return _FINAL_BINARY + _EIGHT_BYTES + length.to_bytes(8, "big")
