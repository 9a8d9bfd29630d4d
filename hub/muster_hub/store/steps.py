"""The only way to change the store: run a script that may write, and turn the words of its refusals into exceptions.

A script refuses with one word (see ``scripts.py``). ``_REFUSALS`` has the reason and the detail of each word that is
not itself the name of a reason. A caller that treats some words in its own way uses ``attempt``, which keeps them.
"""

from collections.abc import Iterable, Sequence

from muster_hub.store.adapter import Reply, Store, Word, all_of
from muster_hub.store.errors import StoreReplyError
from muster_hub.store.keys import CODE_MS, SESSION_EVERY_MS
from muster_hub.store.scripts import Script
from muster_protocol.errors import Refused
from muster_protocol.reasons import Reason

_REFUSALS = {
    "closed": Refused(Reason.SESSION_CLOSED),
    "inbox_full": Refused(Reason.OVERLOADED, "the inbox of that device is full"),
    "not_newest": Refused(Reason.CLONE_SUSPECTED, "without the current continuity token"),
    "not_issued": Refused(Reason.MISMATCH, "no token with this counter was issued"),
    "not_the_agent": Refused(Reason.SUPERSEDED, "not the current connection of the agent"),
    "seated": Refused(Reason.REPLAYED),
    "stale": Refused(Reason.OVERLOADED, "this device takes something back at this moment"),
    "taken": Refused(Reason.MISMATCH),
    "too_many": Refused(Reason.TOO_MANY_TARGETS),
    "too_many_sessions": Refused(
        Reason.RATE_LIMITED, "the hub still holds the sessions that this device made", SESSION_EVERY_MS
    ),
    "too_many_codes": Refused(Reason.RATE_LIMITED, "too many invitations wait to be used", CODE_MS),
    "too_many_enrolled": Refused(Reason.OVERLOADED, "too many devices are enrolled"),
    "too_many_peers": Refused(Reason.TOO_LARGE, "more peers than are kept"),
}
_REASONS = {word: refused.reason for word, refused in _REFUSALS.items()} | {reason.value: reason for reason in Reason}


def reason_of(word: str) -> Reason:
    """Return the reason behind a script's word; raises ``ValueError`` for a word that no script uses."""
    try:
        return _REASONS[word]
    except KeyError:
        raise ValueError(f"no reason for the word {word}") from None


async def change(store: Store, step: Script, touched: Sequence[bytes], *args: Word) -> Reply:
    """Run a script that changes something, within the time that its caller waits.

    Raises ``Refused`` with the reason behind the script's refusal, ``StoreUnavailable``.
    """
    return await change_until(store, step, touched, None, *args)


async def change_until(
    store: Store, step: Script, touched: Sequence[bytes], not_after_ms: int | None, *args: Word
) -> Reply:
    """Run such a script with a ``not_after`` (Unix ms, by the store's clock) that the caller chooses."""
    try:
        return await store.run(step, touched, args, not_after_ms=not_after_ms)
    except StoreReplyError as error:
        raise _refused(error) from error


async def changes(store: Store, step: Script, calls: Iterable[tuple[Sequence[bytes], Sequence[Word]]]) -> list[Reply]:
    """Run such a script several times at once, each time on other keys and with other arguments."""
    await store.reached()
    try:
        return await all_of(store.begin(step, touched, args) for touched, args in calls)
    except StoreReplyError as error:
        raise _refused(error) from error


async def attempt(store: Store, step: Script, touched: Sequence[bytes], *args: Word) -> Reply:
    """Run such a script; raises ``StoreReplyError`` with the word of its refusal, ``StoreUnavailable``."""
    return await store.run(step, touched, args)


def _refused(error: StoreReplyError) -> Refused | StoreReplyError:
    if error.word not in _REASONS:
        return error
    known = _REFUSALS.get(error.word)
    return Refused(_REASONS[error.word], known.detail, known.retry_after_ms) if known else Refused(_REASONS[error.word])
