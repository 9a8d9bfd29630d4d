"""The errors that the library raises, each with what a program or a person can do next."""

import errno
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from muster_protocol.errors import MusterError
from muster_protocol.ids import ClientId, Fingerprint, SessionId
from muster_protocol.reasons import Reason, Sayer

__all__ = [
    "NO_ROOM",
    "AgentRunning",
    "AmbiguousName",
    "BadCertificateAuthority",
    "BadHubUrl",
    "BadNickname",
    "ControlFailed",
    "DataNotWritten",
    "DeviceError",
    "DeviceExists",
    "HubError",
    "HubKeyChanged",
    "HubRefused",
    "HubUnreachable",
    "InvalidRequest",
    "NewerData",
    "NoAgent",
    "NoDevice",
    "NotTrusted",
    "Obstacle",
    "SessionRefused",
    "Trouble",
    "UnknownInvite",
    "UnknownName",
    "UnknownSession",
    "UnsafeKeyFile",
    "UnusableData",
]

NO_ROOM = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
"""The numbers of the system's errors that mean: the disk, or this user's share of it, is full."""


class DeviceError(MusterError):
    """Something is wrong with the device's own data."""


class NoDevice(DeviceError):
    """There is no device in this folder yet."""


class DeviceExists(DeviceError):
    """There is a device in this folder already."""


class UnsafeKeyFile(DeviceError):
    """The key file can be read by others, or is not what it must be; the sentence says how to mend it."""


class NewerData(DeviceError):
    """The data were written by a newer version of Muster."""


class UnusableData(DeviceError):
    """The device's files are damaged, or cannot be read and written by this user; the sentence says how to mend it."""


class DataNotWritten(DeviceError):
    """The device's data could not be written: the disk is full or fails. What was to be written did not happen."""


class BadCertificateAuthority(DeviceError):
    """The file that should hold the hub's certificate authority cannot be used; the sentence says why."""


class BadHubUrl(DeviceError):
    """The hub's URL is not one that a device dials; the sentence says what it may be."""


class BadNickname(DeviceError):
    """The nickname is not of the allowed shape, or another peer has it."""


class AgentRunning(DeviceError):
    """Another agent process of this device holds its lock."""

    def __init__(self, pid: int | None) -> None:
        self.pid = pid
        super().__init__(f"an agent of this device runs already{'' if pid is None else f' (process {pid})'}")


class UnknownName(DeviceError):
    """No peer is called this. ``near`` holds nicknames that look like it."""

    def __init__(self, name: str, near: Sequence[str]) -> None:
        self.name = name
        self.near = tuple(near)
        super().__init__(f"no device called {name!r} is known here")


class AmbiguousName(DeviceError):
    """More than one peer is called something that starts with this; ``matches`` are their nicknames or names."""

    def __init__(self, name: str, matches: Sequence[str]) -> None:
        self.name = name
        self.matches = tuple(matches)
        super().__init__(f"{name!r} could mean any of {', '.join(self.matches)}")


class HubError(MusterError):
    """The hub could not be asked, or did not do what it was asked."""


class Trouble(StrEnum):
    """Why there is no connection to the hub. A word never changes its meaning."""

    HUB_UNREACHABLE = "hub_unreachable"
    """Nothing more is known than what the sentence says: refused, no way there, no answer, lost."""
    HUB_NAME_UNKNOWN = "hub_name_unknown"
    NOT_A_HUB = "not_a_hub"
    """Something answered, and it is no hub."""
    PROXY_FAILED = "proxy_failed"
    TLS_UNKNOWN_CA = "tls_unknown_ca"
    TLS_WRONG_HOST = "tls_wrong_host"
    TLS_EXPIRED = "tls_expired"
    TLS_NOT_YET_VALID = "tls_not_yet_valid"
    TLS_NOT_SPOKEN = "tls_not_spoken"
    """``wss://`` to a port that speaks plain HTTP."""
    TLS_REQUIRED = "tls_required"
    """``ws://`` to a port that speaks TLS."""
    TLS_CUT = "tls_cut"
    TLS_FAILED = "tls_failed"


class HubUnreachable(HubError):
    """No connection to the hub, or it was lost before the reply came: whether the request was done is not known."""

    def __init__(self, sentence: str, trouble: Trouble = Trouble.HUB_UNREACHABLE) -> None:
        self.trouble = trouble
        super().__init__(sentence)


class HubKeyChanged(HubError):
    """The hub shows a key that is not the pinned one and that the pinned one did not certify.

    ``shown`` is that key's fingerprint, for a person to compare with the hub's operator.
    """

    def __init__(self, shown: Fingerprint) -> None:
        self.shown = shown
        super().__init__("the hub shows another key than the one that this device pinned")


class HubRefused(HubError):
    """The hub answered with a typed reason. ``stop``: it signed that coming back will not help."""

    def __init__(
        self, reason: Reason, detail: str = "", retry_after_ms: int | None = None, *, stop: bool = False
    ) -> None:
        self.reason = reason
        self.detail = detail
        self.retry_after_ms = retry_after_ms
        self.stop = stop
        super().__init__(f"the hub refused: {reason}{f' ({detail})' if detail else ''}")


@dataclass(frozen=True, slots=True)
class Obstacle:
    """One peer that cannot be called, the reason, and whose word that is."""

    peer: ClientId
    reason: Reason
    sayer: Sayer


class NotTrusted(MusterError):
    """No session was made: this device's own store does not allow a call to each of these peers."""

    def __init__(self, obstacles: Sequence[Obstacle]) -> None:
        self.obstacles = tuple(obstacles)
        super().__init__("; ".join(f"{one.peer[:8]}: {one.reason}" for one in self.obstacles))


class InvalidRequest(MusterError):
    """The request itself is wrong: no target, one named twice, this device itself, too many, a bad profile."""

    def __init__(self, reason: Reason, detail: str = "", peer: ClientId | None = None) -> None:
        self.reason = reason
        self.detail = detail
        self.peer = peer
        super().__init__(f"{reason}{f': {detail}' if detail else ''}")


class SessionRefused(MusterError):
    """The session could not be created: the hub's or this device's typed reason."""

    def __init__(self, reason: Reason, sayer: Sayer, detail: str = "") -> None:
        self.reason = reason
        self.sayer = sayer
        self.detail = detail
        super().__init__(f"the session could not be created: {reason}{f' ({detail})' if detail else ''}")


class UnknownSession(MusterError):
    """This agent is in no such session."""

    def __init__(self, session: SessionId) -> None:
        self.session = session
        super().__init__(f"this device is in no session {session[:8]}")


class UnknownInvite(MusterError):
    """No open invite has this id, or this beginning of one."""


class NoAgent(MusterError):
    """No agent of this device runs, or it does not listen; start it with ``muster agent``."""


class ControlFailed(MusterError):
    """The agent answered a local request with an error that has no type of its own."""
