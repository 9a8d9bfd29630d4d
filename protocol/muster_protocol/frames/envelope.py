"""What all messages have in common, and the limits that they name (SPEC.md section 3)."""

from enum import StrEnum
from typing import Annotated

from msgspec import Meta, Struct

from muster_protocol.ids import MAX_TIME_MS
from muster_protocol.reasons import Reason

MAX_MEMBERS = 16
"""Members that a session holds, its creator included."""
MAX_TARGETS = MAX_MEMBERS - 1
"""Devices that a creator can call into its session at once."""
MAX_NAMED = 64
"""Targets that a request may name before it is unreadable rather than refused one by one."""
MAX_WATCHED = 256
"""Devices in one ``who`` or ``watch``."""
MAX_WAITING = 64
"""Pushes that wait for one device, and that one acknowledgement names."""
MAX_SESSION_MS = 7 * 24 * 3600 * 1000
"""The longest that a session may last: a week."""
MAX_PAGE = 32
"""Statements in one page of ``statements``."""
MAX_EPOCHS_SHOWN = 16
"""Epoch statements in one ``session`` reply."""
MAX_ROSTER = 257
"""Devices that were ever members of one session, its creator included."""
MAX_SESSIONS_LISTED = 64
"""Sessions in one page of ``sessions``: as many as fit one message with all their members."""

Count = Annotated[int, Meta(ge=0, le=MAX_TIME_MS)]
PushId = Annotated[str, Meta(min_length=1, max_length=64)]
Sealed = Annotated[bytes, Meta(max_length=2048)]


class SessionKind(StrEnum):
    """Whom a member must trust: all other members in a mesh, the creator in a star."""

    MESH = "mesh"
    STAR = "star"


class Purpose(StrEnum):
    """Who decides at the called device: its grants, or its person."""

    AUTO = "auto"
    ASK = "ask"


class Frame(Struct, frozen=True, kw_only=True, tag_field="t", omit_defaults=True):
    """Any message."""


class Request(Frame, frozen=True, kw_only=True):
    """A message that gets exactly one reply."""

    id: Count


class Reply(Frame, frozen=True, kw_only=True):
    """The answer to the request with this number."""

    re: Count


class Push(Frame, frozen=True, kw_only=True):
    """A message that no request asked for. With ``push``, it is delivered again until acknowledged."""

    push: PushId | None = None


class Ok(Reply, frozen=True, kw_only=True, tag="ok"):
    """Done, and on disk where it matters."""


class Error(Reply, frozen=True, kw_only=True, tag="error"):
    """Not done, for this reason. ``re`` is 0 where the request could not be read."""

    reason: Reason
    detail: str = ""
    retry_after_ms: Count | None = None


class Ack(Request, frozen=True, kw_only=True, tag="ack"):
    """These pushes were handled, or are on disk. Reply: ``ok``."""

    pushes: Annotated[tuple[PushId, ...], Meta(min_length=1, max_length=MAX_WAITING)]
