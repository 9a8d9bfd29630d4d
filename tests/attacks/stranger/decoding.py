"""What the hub decodes, counted: decoding is what a message that cannot be served costs."""

from collections import Counter
from types import ModuleType

import pytest

from muster_protocol.frames import Frame, decode_frame


def count_decoded(monkeypatch: pytest.MonkeyPatch, module: ModuleType) -> Counter[int]:
    """Count, by their size, the messages that ``module`` decodes."""
    counted: Counter[int] = Counter()

    def decoding(data: bytes) -> Frame:
        counted[len(data)] += 1
        return decode_frame(data)

    monkeypatch.setattr(module, "decode_frame", decoding)
    return counted
