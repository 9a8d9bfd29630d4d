"""Cuts: a restriction of a device is applied to every session that the device was held for (SPEC.md section 8).

The script that restricts raises the device's ``ver`` and writes, in the same step, one outbox entry for each session in
the session index: kind ``cut``, data a packed row of device, session, ver, why, about. ``apply`` then makes the cuts
and returns after the last; a cut that it could not make is made later from the outbox.
"""

from collections.abc import Sequence
from enum import StrEnum
from typing import NamedTuple

from muster_hub.audit.records import RecordKind, record
from muster_hub.concurrency import together
from muster_hub.context import NodeContext
from muster_hub.sessions.state import read_members
from muster_hub.sessions.updates import push_member_out
from muster_hub.store import keys
from muster_hub.store.cells import data, items, number, pack, pairs, text
from muster_hub.store.scripts import script
from muster_hub.store.steps import change
from muster_protocol.ids import ClientId, Fingerprint, SessionId
from muster_protocol.labels import Kind
from muster_protocol.reasons import Reason

_CUT = script("cut")
_OWN_WORD = script("own_word")


class CutCause(StrEnum):
    """What restricted the device."""

    TRUST = "trust"
    UNTRUST = "untrust"
    GRANT = "grant"
    REVOCATION = "revocation"
    ROTATION = "rotation"
    CLONE_SUSPECTED = "clone_suspected"


_GO_BY = {CutCause.UNTRUST: Kind.UNTRUST, CutCause.ROTATION: Kind.CARD}
"""The statement by which a member goes, for each cause that is one. A ``leave`` is no restriction, and makes no cut."""


class Cut(NamedTuple):
    """One restriction: the device, its ``ver`` afterwards, the cause, and the peer or key that it concerns."""

    device: ClientId
    ver: int
    why: CutCause
    about: ClientId | Fingerprint | bytes


class _OwnWord(NamedTuple):
    """A statement, packed with its kind, and the serial of an untrust; neither where nothing is said."""

    packed: bytes
    serial: int


_NOTHING_SAID = _OwnWord(b"", 0)


async def apply(  # noqa: PLR0917 - what a script that restricts returns, in its order
    context: NodeContext,
    device: ClientId,
    ver: int,
    why: CutCause,
    about: ClientId | Fingerprint | None,
    sessions: Sequence[SessionId],
) -> None:
    """Cut every session, and tell the members who is out.

    ``about`` is the peer of a statement, or the device's new fingerprint after a rotation. Raises ``StoreUnavailable``
    when a cut could not be made: the restriction stands all the same and must not be acknowledged yet.
    """
    await cut(context, sessions, Cut(device, ver, why, about or b""))


async def cut(context: NodeContext, sessions: Sequence[SessionId], restriction: Cut) -> None:
    """Make the cuts of one restriction; harmless to repeat. Raises ``StoreUnavailable``."""
    own_word = await _own_word(context, restriction) if sessions and restriction.why in _GO_BY else _NOTHING_SAID
    await together(*(_cut(context, session, restriction, own_word) for session in sessions))


async def _own_word(context: NodeContext, restriction: Cut) -> _OwnWord:
    """Return the statement by which the device goes out of sessions, if it still stands.

    It is stored in each session, so that the creator is shown nothing that the device says later.
    """
    device, why = restriction.device, restriction.why
    said = await context.store.run(_OWN_WORD, [keys.device(device), keys.peers(device)], [why, restriction.about])
    if said is None:
        return _NOTHING_SAID
    statement, serial = items(said)
    return _OwnWord(pack(_GO_BY[why], data(statement)), number(serial))


async def _cut(context: NodeContext, session: SessionId, restriction: Cut, own_word: _OwnWord) -> None:
    bucket = keys.bucket(session)
    touched = [
        keys.session(session),
        keys.roster(session),
        keys.minimum_versions(session),
        keys.sealed(session),
        keys.invite_outcomes(session),
        keys.due(bucket),
        keys.outbox(bucket),
    ]
    row = record(RecordKind.MEMBER_OUT, actor=restriction.device, session=session)
    out, rows = items(await change(context.store, _CUT, touched, session, *restriction, *own_word, row))
    members = read_members(rows)
    for client, reason in pairs(out):
        await push_member_out(context, session, ClientId(text(client)), Reason(text(reason)), members)
