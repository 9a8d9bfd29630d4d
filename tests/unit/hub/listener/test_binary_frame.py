"""The header that the hub writes itself is the one that the library would write."""

import pytest
from websockets.frames import Frame, Opcode

from muster_hub.listener.binary_frame import header


@pytest.mark.parametrize("length", [0, 1, 125, 126, 65_535, 65_536, 100_000])
def test_a_header_is_that_of_a_whole_binary_frame(length: int) -> None:
    payload = bytes(length)
    assert header(length) + payload == Frame(Opcode.BINARY, payload).serialize(mask=False)
