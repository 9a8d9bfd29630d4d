"""The errors of the store: three exceptions, and the causes of an unavailable store."""

from enum import StrEnum, unique

from muster_protocol.reasons import Reason


@unique
class StoreCause(StrEnum):
    """Why a call got no answer, in one word that is safe to log and to count."""

    AWAY = "away"  # no connection, and the last attempt to make one failed
    LOST = "lost"  # the connection broke while the call was on its way
    TIMEOUT = "timeout"  # no answer within CALL_TIMEOUT_S
    LATE = "late"  # the store met the call after its ``not_after`` and did nothing
    SLOW = "slow"  # the call waited too long for its turn and was never sent
    OVERLOADED = "overloaded"  # too many calls wait already
    CLOSED = "closed"  # the hub is closing its store
    LOADING = "loading"  # the store reads its data from disk
    READ_ONLY = "read_only"  # a replica, or a primary without enough replicas
    REPLICAS = "replicas"  # fewer replicas than ``store_replicas`` have what was written
    MEMORY_FULL = "memory_full"  # maxmemory is reached, and the script may not run then
    DISK_FULL = "disk_full"  # the store cannot write to its disk
    CLUSTER_DOWN = "cluster_down"  # the slot has no primary at this moment
    MASTER_DOWN = "master_down"  # a replica that lost its primary
    BUSY = "busy"  # another client's script does not end
    REFUSED_LOGIN = "refused_login"  # the password or its rights are not accepted
    UNKNOWN_SCRIPT = "unknown_script"  # the store forgot the scripts; the next connection loads them


class StoreError(Exception):
    """The store did not do what was asked for; base of the errors below."""


class StoreUnavailable(StoreError):
    """Raised when the store gave no answer; the caller may send the same request again.

    ``outcome_unknown`` is True when the call may have been carried out, now or up to its ``not_after``.
    """

    def __init__(self, cause: StoreCause, *, outcome_unknown: bool) -> None:
        super().__init__(f"store unavailable: {cause}")
        self.cause = cause
        self.outcome_unknown = outcome_unknown

    @property
    def reason(self) -> Reason:
        """What the device is told: ``store_full`` when only restrictions are done, else ``store_unavailable``."""
        return Reason.STORE_FULL if self.cause is StoreCause.MEMORY_FULL else Reason.STORE_UNAVAILABLE


class StoreReplyError(StoreError):
    """Raised when a script refused, or the store rejected the call. ``word`` says why and is safe to log."""

    def __init__(self, word: str, detail: str = "") -> None:
        super().__init__(f"store refused: {word}" + (f" ({detail})" if detail else ""))
        self.word = word


class StoreRefused(StoreError):
    """Raised when the hub cannot use this store. ``setting`` names what has to change; the sentence says how."""

    def __init__(self, setting: str, sentence: str) -> None:
        super().__init__(f"{setting}: {sentence}")
        self.setting = setting
