"""Sessions as documents: by what this device's agent knows where it holds the session, else by the hub's word."""

from collections.abc import Iterable

from muster_client.cli.output.documents import MemberFields, SessionFields
from muster_client.cli.output.nicknames import Nicknames
from muster_client.events import MemberView
from muster_client.views import SessionView
from muster_protocol.frames import MemberState, SessionKind, SessionReply, SessionSummary
from muster_protocol.ids import ClientId
from muster_protocol.reasons import REASONS, Reason, Sayer


def from_agent(view: SessionView, names: Nicknames, own: ClientId, hub: SessionSummary | None) -> SessionFields:
    """Return a session that the agent holds; ``hub`` is what the hub says of it.

    Of that only the times of another device's session count: as the hub's word, and none later than its end here.
    """
    created_at, ends_at, sayer = view.created_at, view.ends_at, Sayer.DEVICE
    if hub is not None and view.creator != own:
        created_at, ends_at, sayer = hub.created_at, min(ends_at, hub.ends_at), Sayer.HUB
    return SessionFields(
        session=view.id,
        nickname=names.get(view.creator),
        creator=view.creator,
        mode=view.mode.value,
        profile=view.profile,
        kind=view.kind.value,
        open=True,
        held=True,
        epoch=view.epoch,
        created_at_ms=created_at,
        ends_at_ms=ends_at,
        times_said_by=sayer.value,
        members=tuple(_known(member, names, own) for member in view.members),
    )


def _known(member: MemberView, names: Nicknames, own: ClientId) -> MemberFields:
    # That it has a seat this device reads in the epoch; that it joined or went, the member itself signed.
    own_word = member.client == own or member.state is MemberState.SEATED
    return MemberFields(
        nickname=names.get(member.client),
        client=member.client,
        state=member.state.value,
        said_by=(Sayer.DEVICE if own_word else Sayer.PEER).value,
        reason=_of_hub(member.reason) if member.denied else _word(member.reason),
        denied=member.denied,
        blocks=member.blocks,
    )


def listed_by_hub(one: SessionSummary, names: Nicknames) -> SessionFields:
    """Return a session of the hub's list that the agent does not hold."""
    return _by_hub(one, names, (_said(client, None, None, names) for client in one.members))


def shown_by_hub(reply: SessionReply, names: Nicknames) -> SessionFields:
    """Return a session that the hub shows and that the agent does not hold."""
    members = (_said(member.client, member.state, member.reason, names) for member in reply.members)
    return _by_hub(reply, names, members, kind=reply.kind, epoch=reply.epoch)


def _by_hub(
    one: SessionSummary | SessionReply,
    names: Nicknames,
    members: Iterable[MemberFields],
    *,
    kind: SessionKind | None = None,
    epoch: int | None = None,
) -> SessionFields:
    return SessionFields(
        session=one.session,
        nickname=names.get(one.creator),
        creator=one.creator,
        mode=one.mode.value,
        profile=one.profile,
        kind=None if kind is None else kind.value,
        open=one.open,
        held=False,
        epoch=epoch,
        created_at_ms=one.created_at,
        ends_at_ms=one.ends_at,
        times_said_by=Sayer.HUB.value,
        members=tuple(members),
    )


def _said(client: ClientId, state: MemberState | None, reason: Reason | None, names: Nicknames) -> MemberFields:
    return MemberFields(
        nickname=names.get(client),
        client=client,
        state=None if state is None else state.value,
        said_by=Sayer.HUB.value,
        reason=_of_hub(reason),
        denied=False,
        blocks=False,
    )


def _word(reason: Reason | None) -> str | None:
    return None if reason is None else reason.value


def _of_hub(reason: Reason | None) -> str | None:
    """Return a reason that the hub gives, but none that is a peer's alone to give: the peer would have to sign it."""
    return None if reason is None or Sayer.HUB not in REASONS[reason].sayers else reason.value
