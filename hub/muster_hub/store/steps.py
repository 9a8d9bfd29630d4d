"""What the session's scripts answer in words, as the reasons of the wire."""

from collections.abc import Iterable, Sequence

from muster_hub.store.adapter import Reply, Store, Word, all_of
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


async def change(store: Store, step: Script, touched: Sequence[bytes], *args: Word) -> Reply:
    """Run a script that changes something, with its ``not_after``.

    Raises ``Refused`` with the reason behind the script's refusal, ``StoreUnavailable``.
    """
    return await change_until(store, step, touched, await store.not_after_ms(), *args)


async def change_until(store: Store, step: Script, touched: Sequence[bytes], not_after_ms: int, *args: Word) -> Reply:
    """Run such a script with a ``not_after`` of the caller's choice."""
    try:
        return await store.run(step, touched, [not_after_ms, *args])
    except StoreReplyError as error:
        raise _refused(error) from error


async def changes(store: Store, step: Script, calls: Iterable[tuple[Sequence[bytes], Sequence[Word]]]) -> list[Reply]:
    """Run such a script several times at once, each time on other keys and with other arguments."""
    not_after_ms = await store.not_after_ms()
    try:
        return await all_of(store.begin(step, touched, [not_after_ms, *args]) for touched, args in calls)
    except StoreReplyError as error:
        raise _refused(error) from error


def _refused(error: StoreReplyError) -> Refused | StoreReplyError:
    known = error.word in _REASONS or error.word in _WIRE_NAMES
    return Refused(reason_of(error.word)) if known else error
