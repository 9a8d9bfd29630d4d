"""The commit of an epoch in the session's slot, and its refusal there."""

from collections.abc import Mapping

from msgspec import Struct

from muster_hub.audit.records import RecordKind, record
from muster_hub.context import NodeContext
from muster_hub.routing.caller import Caller
from muster_hub.sessions.epochs import Newcomer, Proposal
from muster_hub.sessions.facts import DeviceFacts
from muster_hub.sessions.state import SessionState
from muster_hub.store import keys
from muster_hub.store.adapter import Word
from muster_hub.store.cells import Cell, items, pack, pairs, text
from muster_hub.store.scripts import script
from muster_hub.store.steps import change, change_until, reason_of
from muster_protocol.codec import encode
from muster_protocol.exchange import JOIN_DEADLINE_MS
from muster_protocol.frames import InviteResult, Purpose
from muster_protocol.ids import ClientId, SessionId
from muster_protocol.reasons import Reason

_COMMIT = script("commit")
_FACTS = script("epoch_facts")
_REFUSE = script("refuse")


class CommitResult(Struct, frozen=True):
    """The result of one try: committed, rejected for these reasons, or one of two that need another try.

    ``removed``: the members that the epoch leaves out. ``stale``: a party was restricted in between. ``again``: the
    epoch was committed before, perhaps by this same call.
    """

    rejected: tuple[InviteResult, ...] = ()
    removed: tuple[ClientId, ...] = ()
    stale: bool = False
    again: bool = False

    @property
    def committed(self) -> bool:
        """Whether this call committed the epoch."""
        return not (self.rejected or self.stale or self.again)


class EpochFacts(Struct, frozen=True):
    """What a session knows of an epoch that is to be committed.

    ``again``: None, or for an epoch that is committed the members to whom the request sends what is stored for them.
    ``rejected``: members kept that are none, and newcomers that have not accepted a live invite. ``purposes``: those of
    the invites, by newcomer.
    """

    again: frozenset[ClientId] | None = None
    rejected: tuple[InviteResult, ...] = ()
    purposes: Mapping[ClientId, Purpose] = {}


async def read_epoch_facts(context: NodeContext, session: SessionId, proposal: Proposal) -> EpochFacts:
    """Ask the session's slot alone about an epoch.

    So a caller can name devices here that it never invited, and nothing of theirs is touched. Raises ``Refused``:
    ``session_closed``, ``mismatch`` (not the next epoch); ``StoreUnavailable``.
    """
    touched = [
        keys.session(session),
        keys.roster(session),
        keys.epochs(session),
        keys.sealed(session),
        keys.invite_outcomes(session),
    ]
    newcomers: list[Cell] = [
        [each.client, each.body.recipient_key, each.body.invite, each.body.invite_hash, each.hash]
        for each in proposal.newcomers.values()
    ]
    epoch = proposal.epoch
    args = (epoch.number, epoch.previous or b"", proposal.hash, pack(*_kept(proposal)), pack(*newcomers))
    word, *rest = items(await change(context.store, _FACTS, touched, *args))
    if word == b"again":
        return EpochFacts(again=frozenset(ClientId(text(client)) for client in rest))
    if word == b"rejected":
        return EpochFacts(rejected=_rejections(rest))
    return EpochFacts(purposes={ClientId(text(client)): Purpose(text(purpose)) for client, purpose in pairs(rest)})


async def commit(  # noqa: PLR0917 - what the script needs
    context: NodeContext,
    caller: Caller,
    state: SessionState,
    proposal: Proposal,
    held: Mapping[ClientId, DeviceFacts],
    latest_ms: int,
) -> CommitResult:
    """Commit an epoch over these holds, no later than ``latest_ms`` of the store's clock.

    Raises ``Refused``: ``session_closed``, ``not_a_member``, ``mismatch``, ``superseded``; ``StoreUnavailable``.
    """
    not_after_ms = min(await context.store.not_after_ms(), latest_ms)
    args = _args(caller, state, proposal, held)
    reply = await change_until(context.store, _COMMIT, _touched(state.session), not_after_ms, *args)
    word, *rest = items(reply)
    if word == b"rejected":
        return CommitResult(_rejections(rest))
    if word in {b"stale", b"again"}:
        return CommitResult(stale=word == b"stale", again=word == b"again")
    return CommitResult(removed=tuple(ClientId(text(client)) for client in rest))


async def refuse(
    context: NodeContext, session: SessionId, proposal: Proposal, rejected: tuple[InviteResult, ...]
) -> CommitResult:
    """Refuse an epoch in the session's slot, unless it was committed before.

    Raises ``Refused``, ``StoreUnavailable``.
    """
    touched = [keys.session(session), keys.epochs(session), keys.invite_outcomes(session)]
    named = [
        word
        for each in rejected
        for word in (each.client, proposal.newcomers[each.client].body.invite, each.reason or Reason.MISMATCH)
    ]
    word = await change(context.store, _REFUSE, touched, proposal.hash, *named)
    return CommitResult(again=True) if word == b"committed" else CommitResult(rejected)


def _rejections(cells: object) -> tuple[InviteResult, ...]:
    return tuple(InviteResult(ClientId(text(client)), reason_of(text(why))) for client, why in pairs(cells))


def _touched(session: SessionId) -> list[bytes]:
    bucket = keys.bucket(session)
    return [
        keys.session(session),
        keys.roster(session),
        keys.minimum_versions(session),
        keys.epochs(session),
        keys.sealed(session),
        keys.invite_outcomes(session),
        keys.due(bucket),
        keys.outbox(bucket),
    ]


def _args(caller: Caller, state: SessionState, proposal: Proposal, held: Mapping[ClientId, DeviceFacts]) -> list[Word]:
    parties: list[Cell] = [[facts.client, facts.ver] for facts in held.values()]
    removal = record(RecordKind.MEMBER_OUT, actor=caller.client, session=state.session)
    return [
        state.session,
        caller.client,
        caller.fingerprint,
        proposal.epoch.number,
        proposal.epoch.previous or b"",
        proposal.hash,
        encode(proposal.signed),
        JOIN_DEADLINE_MS,
        pack(*parties),
        pack(*_kept(proposal)),
        pack(*(_newcomer(state, each) for each in proposal.newcomers.values())),
        removal,
    ]


def _kept(proposal: Proposal) -> list[Cell]:
    return [[client, key, proposal.sealed.get(client, b"")] for client, key in proposal.kept.items()]


def _newcomer(state: SessionState, newcomer: Newcomer) -> Cell:
    body = newcomer.body
    row = record(
        RecordKind.JOIN_COMMITTED,
        actor=state.creator,
        subject=newcomer.client,
        session=state.session,
        statement=newcomer.hash,
    )
    return [newcomer.client, body.recipient_key, body.invite, encode(newcomer.signed), newcomer.hash, row]
