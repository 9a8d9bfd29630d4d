"""Peers and grants as fields of a document and as text."""

from collections.abc import Iterator
from contextlib import contextmanager

from muster_client.cli.durations import say_until
from muster_client.cli.output.documents import GrantFields, PeerFields, UnconfirmedFields
from muster_client.cli.output.failures import from_reason, invalid
from muster_client.views import GrantState, GrantView, Peer, Unconfirmed
from muster_protocol.errors import Refused
from muster_protocol.reasons import Reason, Sayer
from muster_protocol.words import words


def peer_fields(peer: Peer) -> PeerFields:
    """Return a peer's part of a document."""
    return PeerFields(
        nickname=peer.nickname,
        client=peer.client,
        fingerprint=None if peer.fingerprint is None else peer.fingerprint.hex(),
        words=None if peer.fingerprint is None else words(peer.fingerprint),
        trusted=peer.trusted,
        grant=None if peer.grant is None else grant_fields(peer.grant),
    )


def grant_fields(grant: GrantView) -> GrantFields:
    """Return a grant's part of a document."""
    return GrantFields(
        mode=grant.mode.value,
        profiles=grant.profiles,
        once=grant.once,
        not_before_ms=grant.not_before,
        expires_at_ms=grant.expires_at,
        state=grant.state.value,
    )


def say_grant(grant: GrantView | None) -> str:
    """Return a grant's current state as text: ``synchronize, 30d left``."""
    if grant is None:
        return "none"
    if grant.state is not GrantState.LIVE:
        return f"{grant.mode} ({grant.state.replace('_', ' ')})"
    parts = [grant.mode.value]
    if grant.profiles is not None:
        parts.append(f"only {', '.join(grant.profiles)}")
    if grant.once:
        parts.append("once")
    return ", ".join([*parts, f"{say_until(grant.expires_at)} left"])


@contextmanager
def told_about(peer: Peer) -> Iterator[None]:
    """Turn a refusal from this device's own data into a failure that names the peer."""
    try:
        yield
    except Refused as refused:
        if refused.reason is Reason.MALFORMED:
            raise invalid(f"This is not possible: {refused.detail}.", "See the command's --help.") from refused
        raise from_reason(refused.reason, Sayer.DEVICE, peer.name) from refused


def unconfirmed_fields(one: Unconfirmed) -> UnconfirmedFields:
    """Return unconfirmed trust or an unconfirmed grant in the documents of ``--json``."""
    return UnconfirmedFields(
        client=one.peer,
        kind=one.kind.value,
        fingerprint=one.fingerprint.hex(),
        words=words(one.fingerprint),
        mode=None if one.mode is None else one.mode.value,
        profiles=one.profiles,
        expires_at_ms=one.expires_at,
        seen_at_ms=one.seen_at,
    )
