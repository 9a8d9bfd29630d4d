"""What the session's scripts answer in words, as the reasons of the wire."""

from collections.abc import Sequence

from muster_hub.context import Hub
from muster_hub.store.adapter import Reply, Word
from muster_hub.store.errors import StoreReplyError
from muster_hub.store.scripts import Script
from muster_protocol.errors import Refused
from muster_protocol.reasons import Reason

_REASONS = {
    "closed": Reason.SESSION_CLOSED,
    "seated": Reason.REPLAYED,
    "too_many": Reason.TOO_MANY_TARGETS,
    "taken": Reason.MISMATCH,
}
_WIRE_NAMES = frozenset(reason.value for reason in Reason)


def reason_of(word: str) -> Reason:
    """Give the reason behind a script's word; ``ValueError`` for a word that no script of ours says."""
    return _REASONS[word] if word in _REASONS else Reason(word)


async def change(hub: Hub, step: Script, touched: Sequence[bytes], *args: Word) -> Reply:
    """Run a script that changes something, with its ``not_after``.

    Raises ``Refused`` with the reason behind the script's refusal, ``StoreUnavailable``.
    """
    return await change_until(hub, step, touched, await hub.store.not_after_ms(), *args)


async def change_until(hub: Hub, step: Script, touched: Sequence[bytes], not_after_ms: int, *args: Word) -> Reply:
    """Run such a script with a ``not_after`` of the caller's choice."""
    try:
        return await hub.store.run(step, touched, [not_after_ms, *args])
    except StoreReplyError as error:
        if error.word not in _REASONS and error.word not in _WIRE_NAMES:
            raise
        raise Refused(reason_of(error.word)) from error
