"""Every target by its name, which is also its folder in the corpus."""

from collections.abc import Callable

from tests.fuzz.codec_targets import body, card, door, frame, hello, value
from tests.fuzz.listener_target import listener

TARGETS: dict[str, Callable[[bytes], str]] = {
    target.__name__: target for target in (value, frame, body, card, hello, door, listener)
}
