"""The documents of ``--json``, one for each command; client/README.md explains every field.

Times are ms since 1970. States and reasons have the names of SPEC.md. Fields are added, never changed.
"""

from msgspec import Struct


class GrantFields(Struct, frozen=True, kw_only=True):
    """A grant that this device gave. ``state``: live, not_yet, expired, used or lapsed."""

    mode: str
    profiles: tuple[str, ...] | None
    once: bool
    not_before_ms: int
    expires_at_ms: int
    state: str


class PeerFields(Struct, frozen=True, kw_only=True):
    """A device that this one knows."""

    nickname: str | None
    client: str
    fingerprint: str | None
    words: tuple[str, ...] | None
    trusted: bool
    grant: GrantFields | None


class IdDocument(Struct, frozen=True, kw_only=True):
    """``init`` and ``id``: this device's identity."""

    client: str
    fingerprint: str
    words: tuple[str, ...]
    id_text: str
    name: str | None
    hub_url: str
    hub_fingerprint: str | None
    data_dir: str


class InvitationDocument(Struct, frozen=True, kw_only=True):
    """``enrolment code``: the line to paste, and until when it is good by the hub's clock."""

    invitation: str
    expires_at_ms: int


class HubDocument(Struct, frozen=True, kw_only=True):
    """``enrolment use``: the hub that this device is set to, and the fingerprint of its key, in hex."""

    hub_url: str
    fingerprint: str


class HubUrlsDocument(Struct, frozen=True, kw_only=True):
    """``hub use``: the addresses of this device's hub."""

    hub_urls: tuple[str, ...]


class PublicationFields(Struct, frozen=True, kw_only=True):
    """Whether the hub acknowledged a change; ``reason`` says why not."""

    published: bool
    reason: str | None


class ChangeDocument(Struct, frozen=True, kw_only=True):
    """``trust add``, ``trust remove``, ``grant add``, ``grant renew``, ``grant revoke``: the peer as it is now."""

    peer: PeerFields
    hub: PublicationFields


class PeersDocument(Struct, frozen=True, kw_only=True):
    """``trust list``."""

    peers: tuple[PeerFields, ...]


class UnconfirmedFields(Struct, frozen=True, kw_only=True):
    """Trust or a grant that a copy of this device's data made. ``kind``: trust or grant."""

    client: str
    kind: str
    fingerprint: str
    words: tuple[str, ...]
    mode: str | None
    profiles: tuple[str, ...] | None
    expires_at_ms: int | None
    seen_at_ms: int


class EndedFields(Struct, frozen=True, kw_only=True):
    """An end that a copy of this device's data made. ``kind``: untrust or revocation."""

    client: str
    kind: str


class ReviewDocument(Struct, frozen=True, kw_only=True):
    """``trust review``: what is unconfirmed, and what ended and was not listed before; ``hub`` only after a decision.

    ``more``: the hub has more than this device keeps.
    """

    unconfirmed: tuple[UnconfirmedFields, ...]
    ended: tuple[EndedFields, ...]
    more: bool
    hub: PublicationFields | None


class GrantedFields(Struct, frozen=True, kw_only=True):
    """One line of ``grant list``."""

    nickname: str | None
    client: str
    grant: GrantFields


class GrantsDocument(Struct, frozen=True, kw_only=True):
    """``grant list``."""

    grants: tuple[GrantedFields, ...]


class PresenceFields(Struct, frozen=True, kw_only=True):
    """A device's presence, as the hub reports it."""

    nickname: str | None
    client: str
    state: str
    since_ms: int | None
    cause: str | None


class PresenceDocument(Struct, frozen=True, kw_only=True):
    """``who``; with ``--watch`` one document a line, first with all devices, then with those that changed."""

    devices: tuple[PresenceFields, ...]


class CheckFields(Struct, frozen=True, kw_only=True):
    """One check of a decision: its outcome here and at the hub. None: not reached, or not known there."""

    check: str
    device: bool | None
    hub: bool | None


class WhyDocument(Struct, frozen=True, kw_only=True):
    """``why``: ``reason`` None means yes."""

    creator: str
    target: str
    mode: str
    profile: str | None
    purpose: str
    reason: str | None
    said_by: str | None
    sentence: str | None
    next_step: str | None
    checks: tuple[CheckFields, ...]


class InviteFields(Struct, frozen=True, kw_only=True):
    """An invite that waits for the person at this device."""

    id: str
    number: int
    nickname: str | None
    creator: str
    session: str
    mode: str
    profile: str | None
    received_at_ms: int
    expires_at_ms: int


class InboxDocument(Struct, frozen=True, kw_only=True):
    """``inbox``."""

    invites: tuple[InviteFields, ...]


class AnsweredDocument(Struct, frozen=True, kw_only=True):
    """``accept`` and ``decline``."""

    accepted: bool
    invite: InviteFields


class TargetFields(Struct, frozen=True, kw_only=True):
    """A called device. ``said_by``: who reported the state: hub, peer or device; ``after_ms`` counts from the call."""

    nickname: str | None
    client: str
    state: str
    said_by: str
    reason: str | None
    sentence: str | None
    next_step: str | None
    after_ms: int


class BlockingFields(Struct, frozen=True, kw_only=True):
    """A member for which the hub admits no device: it says that it is none, and has no statement of it."""

    nickname: str | None
    client: str
    sentence: str
    next_step: str


class StartDocument(Struct, frozen=True, kw_only=True):
    """``session start``. ``session`` None: none was created. ``exit_code`` is the command's own.

    ``closed``: the session was closed, since every target refused or the person interrupted before any joined.
    """

    session: str | None
    closed: bool
    mode: str
    profile: str | None
    kind: str
    purpose: str
    exit_code: int
    targets: tuple[TargetFields, ...]
    blocking: tuple[BlockingFields, ...]


class MemberFields(Struct, frozen=True, kw_only=True):
    """A member of a session: seated, joined or out. ``state`` is None in a list of what the hub alone says.

    ``said_by``: whose word that is: device, peer (it signed it) or hub. ``denied``: the hub says that it is none, and
    has not shown its word; ``reason`` is then the hub's. ``blocks``: no device is admitted because of that.
    """

    nickname: str | None
    client: str
    state: str | None
    said_by: str
    reason: str | None
    denied: bool
    blocks: bool


class SessionFields(Struct, frozen=True, kw_only=True):
    """A session. ``held``: this device's agent has its key, and all but the times is its word; else all is the hub's.

    ``epoch`` and ``kind`` are None in a list of sessions that the agent does not hold. ``times_said_by``: whose word
    ``created_at_ms`` and ``ends_at_ms`` are, device or hub; the former is None where neither says it.
    """

    session: str
    nickname: str | None
    creator: str
    mode: str
    profile: str | None
    kind: str | None
    open: bool
    held: bool
    epoch: int | None
    created_at_ms: int | None
    ends_at_ms: int
    times_said_by: str
    members: tuple[MemberFields, ...]


class SessionsDocument(Struct, frozen=True, kw_only=True):
    """``session list``."""

    sessions: tuple[SessionFields, ...]


class SessionDocument(Struct, frozen=True, kw_only=True):
    """``session show``."""

    session: SessionFields


class SessionEndDocument(Struct, frozen=True, kw_only=True):
    """``session leave`` and ``session close``: ``state`` is left or closed."""

    session: str
    state: str


class HubKeyDocument(Struct, frozen=True, kw_only=True):
    """``hub trust``: the key that is pinned now; ``changed``: another one, or none, was pinned before."""

    hub_url: str
    fingerprint: str
    words: tuple[str, ...]
    changed: bool


class ConfirmedDocument(Struct, frozen=True, kw_only=True):
    """``id confirm``: the hub's suspicion is cleared."""

    client: str
    cleared: bool


class DropFields(Struct, frozen=True, kw_only=True):
    """When an agent last lost its connection, and why: ``cause`` for logs, ``sentence`` for people, or empty."""

    at_ms: int
    cause: str
    reason: str | None
    sentence: str


class AgentStatusDocument(Struct, frozen=True, kw_only=True):
    """``agent status``."""

    client: str
    pid: int
    hub_url: str
    hub_fingerprint: str | None
    connected: bool
    connected_since_ms: int | None
    standing: str | None
    sessions: int
    inbox: int
    unpublished: int
    keep_alive_ms: int
    keep_alive_learnt: bool
    last_drop: DropFields | None


class ServiceDocument(Struct, frozen=True, kw_only=True):
    """``agent install`` and ``agent uninstall``; ``to_run``: commands that could not be run from here."""

    service: str
    path: str
    text: str
    installed: bool
    to_run: tuple[str, ...]


class FindingFields(Struct, frozen=True, kw_only=True):
    """One line of ``doctor``: ``state`` is ok, warn or fail."""

    check: str
    state: str
    sentence: str
    next_step: str | None


class DoctorDocument(Struct, frozen=True, kw_only=True):
    """``doctor``: the worst state, and each check in order."""

    state: str
    findings: tuple[FindingFields, ...]
