"""A device's own data: identity, trust, grants and durable state (SPEC.md sections 1 and 2).

Every call is synchronous and cheap, and safe beside another process of the same device: a decision and the write that
follows it share one transaction. Nothing here uses the network.
"""

import sqlite3
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from types import TracebackType
from typing import Self

import msgspec

from muster_client.device.attended import AttendedSessions
from muster_client.device.clock import DeviceClock, now_ms
from muster_client.device.database import changes_by_others, damaged, open_database, transaction
from muster_client.device.facts import grants_of, pins_of, spent_on
from muster_client.device.hub_address import HubAddress, parse_hub_url, parse_hub_urls
from muster_client.device.hub_memory import HubMemory
from muster_client.device.identity import Identity, change_identity, read_identity, write_identity
from muster_client.device.invites import ACCEPTED, Invites
from muster_client.device.meta import Meta
from muster_client.device.own_card import describes, fresh_card
from muster_client.device.private_files import in_words, make_private_folder
from muster_client.device.session_request import SessionRequest
from muster_client.device.settings import DEFAULT_APP, DeviceSettings
from muster_client.device.statements import Held, StatementStore, Topic
from muster_client.device.trust_book import TrustBook
from muster_client.errors import DeviceExists, NoDevice, NotTrusted, Obstacle, UnusableData
from muster_client.paths import DATABASE_FILE, KEY_FILE
from muster_protocol.cards import Card
from muster_protocol.continuity import Token
from muster_protocol.decision import Compatibility, Decision
from muster_protocol.enrolment import Invitation
from muster_protocol.errors import Refused
from muster_protocol.exchange import Invite
from muster_protocol.frames import KindAndStatement
from muster_protocol.ids import ClientId, Fingerprint, TimeMs
from muster_protocol.keys import SigningKey
from muster_protocol.labels import Kind
from muster_protocol.own_decision import OwnFacts, decide_incoming, decide_outgoing
from muster_protocol.reasons import REASONS, Category, Reason, Sayer
from muster_protocol.serials import SerialVerdict, Version
from muster_protocol.signed import Signed, read
from muster_protocol.words import words


class Device:
    """A device's opened data folder. Close it, or use it as a context manager."""

    def __init__(self, path: Path, identity: Identity, database: sqlite3.Connection, clock: DeviceClock) -> None:
        self._identity = identity
        self._db = database
        self.path = path
        self.clock = clock
        """The wall clock, in ms since 1970, that dates everything of this device."""
        self._meta = Meta(database)
        self.hub = HubMemory(self._meta)
        self._statements = StatementStore(database, clock)
        self.invites = Invites(database, clock)
        """The invites and the uses of one-time grants; for the agent, as are the sessions that it joined."""
        self.attended = AttendedSessions(database, clock)
        self.peers = TrustBook(lambda: self._identity, database, self._statements, self.invites, clock)
        """The peers: whom this device trusts, its grants to them, and their nicknames."""
        self._read_all()
        self.peers.sign_again()

    @classmethod
    def create(
        cls,
        path: Path,
        *,
        hub_url: str,
        name: str = "",
        app: str = DEFAULT_APP,
        app_version: str = "",
        insecure: bool = False,
        invitation: Invitation | None = None,
        clock: DeviceClock = now_ms,
    ) -> Self:
        """Create a device with a new identity in a folder of its own, 0700.

        With an ``invitation``, whose URL is ``hub_url``, it pins the hub's key before it connects.

        Raises ``DeviceExists``, ``BadHubUrl``, ``UnusableData`` if the folder cannot be used.
        """
        parse_hub_url(hub_url, insecure=insecure)
        settings = DeviceSettings(hub_urls=(hub_url,), insecure=insecure, name=name, app=app, app_version=app_version)
        with in_words(path):
            make_private_folder(path)
            if (path / KEY_FILE).exists():
                raise DeviceExists(f"there is a device in {path} already")
            with closing(open_database(path / DATABASE_FILE)) as database:
                _check_unused(path, database, clock)
                meta = Meta(database)
                meta.put_settings(settings)
                if invitation is not None:
                    meta.pin_hub(invitation.hub)
                    meta.keep_invitation(invitation.code)
            # The key file comes last: a folder without one is no device, and ``create`` may be run again.
            write_identity(path / KEY_FILE, Identity.fresh())
        return cls.open(path, clock=clock)

    @classmethod
    def open(cls, path: Path, *, clock: DeviceClock = now_ms) -> Self:
        """Open a device; raises ``NoDevice``, ``UnsafeKeyFile``, ``NewerData``, ``UnusableData``."""
        with in_words(path):
            try:
                identity = read_identity(path / KEY_FILE)
            except (FileNotFoundError, NotADirectoryError):
                raise NoDevice(f"there is no device in {path} yet") from None
            database = open_database(path / DATABASE_FILE)
        try:
            return cls(path, identity, database, clock)
        except BaseException:
            database.close()
            raise

    def _read_all(self) -> None:
        """Read all data, so that damage by hand or a partial restore is found now and not in the middle of a call.

        Raises ``UnusableData``.
        """
        try:
            self._meta.read_all(DeviceSettings)
            self.peers.all()
            self._statements.check()
            self.peers.compatibilities()
            self.invites.waiting()
        except (Refused, LookupError, TypeError, ValueError) as error:
            raise damaged("something in them is not as this program writes it") from error

    def close(self) -> None:
        """Close the files."""
        self._db.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    # -- who this device is -------------------------------------------------------------------------------------------

    @property
    def client(self) -> ClientId:
        """The device's id, which never changes."""
        return self._identity.client

    @property
    def key(self) -> SigningKey:
        """The current identity key."""
        return self._identity.key

    @property
    def fingerprint(self) -> Fingerprint:
        """The current key's fingerprint."""
        return self._identity.key.fingerprint

    @property
    def words(self) -> tuple[str, ...]:
        """The eight words of the current key."""
        return words(self.fingerprint)

    @property
    def settings(self) -> DeviceSettings:
        """The device's settings."""
        return self._meta.settings(DeviceSettings)

    def configure(self, settings: DeviceSettings) -> None:
        """Replace the settings; raises ``BadHubUrl``. Another hub is pinned at its first connect."""
        addresses = parse_hub_urls(settings.hub_urls, insecure=settings.insecure)
        with transaction(self._db):
            if not {address.origin for address in addresses} & {address.origin for address in self.addresses}:
                self._meta.forget_hub()
                self._statements.forget_hub()
            self._meta.put_settings(settings)

    def card(self) -> Signed:
        """Return the device's card: the same bytes until something in it changes."""
        with transaction(self._db):
            held = self._statements.get(Topic.CARD)
            if held is not None and describes(read(held.signed, Card), self.key, self.settings):
                return held.signed
            card = fresh_card(self._identity, self.settings, self._statements.allocate())
            return self._statements.say(card, self.key)

    def rotate(self) -> Fingerprint:
        """Change the identity key. Key and chain change in one step on disk; live trust and grants are signed again.

        Raises ``ValueError`` after 32 rotations, ``UnusableData``, ``DataNotWritten``. Restart its other processes.
        """
        identity = self._identity.rotated(self._statements.allocate())
        change_identity(self.path / KEY_FILE, identity, self._db)
        self._identity = identity
        self.peers.sign_again()
        return identity.key.fingerprint

    # -- the hub ------------------------------------------------------------------------------------------------------

    @property
    def hub_url(self) -> str:
        """The first of the hub's URLs in the settings."""
        return self.settings.hub_urls[0]

    @property
    def addresses(self) -> tuple[HubAddress, ...]:
        """The hub's URLs, each with the origin that connect signatures cover; tried in turn."""
        return parse_hub_urls(self.settings.hub_urls, insecure=self.settings.insecure)

    def use_hub(self, urls: Sequence[str], *, insecure: bool = False) -> None:
        """Replace the hub's URLs, all of one hub, and keep the pin of its key; raises ``BadHubUrl``."""
        parse_hub_urls(urls, insecure=insecure)
        self._meta.put_settings(msgspec.structs.replace(self.settings, hub_urls=tuple(urls), insecure=insecure))

    @property
    def pinned_hub(self) -> Fingerprint | None:
        """The pinned fingerprint of the hub's key, or None."""
        return self._meta.pinned_hub()

    def pin_hub(self, fingerprint: Fingerprint) -> None:
        """Pin this key: from now on the device connects to no hub with another one."""
        with transaction(self._db):
            if fingerprint != self.pinned_hub:
                self._statements.bound_hub_time()
            self._meta.pin_hub(fingerprint)

    def use_invitation(self, invitation: Invitation) -> None:
        """Take the hub of an invitation for this device's, with its key, and show it the code at the next connect.

        Raises ``BadHubUrl``.
        """
        self.configure(msgspec.structs.replace(self.settings, hub_urls=(invitation.url,)))
        with transaction(self._db):
            self._meta.pin_hub(invitation.hub)
            self._meta.keep_invitation(invitation.code)

    @property
    def authority(self) -> str | None:
        """The certificates, PEM, that this device trusts for its hub's TLS; None: what the system trusts."""
        return self._meta.authority()

    def trust_authority(self, pem: str | None) -> None:
        """Trust only these certificates for the hub's TLS; a running agent does so at its next connect."""
        self._meta.trust_authority(pem)

    def note_confirmed(self) -> None:
        """Record that the person confirmed these data as the only copy; a running agent then asks the hub again."""
        self._meta.note_confirmed(self.clock())

    def token(self, hub: Fingerprint) -> Token | None:
        """Return the continuity token of this hub, which every process of the device shows when it connects."""
        return self._meta.token(hub)

    def keep_token(self, hub: Fingerprint, token: Token) -> None:
        """Store the continuity token that the agent got of this hub; it is on disk when this returns."""
        self._meta.keep_token(hub, token)

    # -- statements at the hub ----------------------------------------------------------------------------------------

    def unpublished(self) -> list[Held]:
        """Return the statements that the hub has not acknowledged, in the order to send them."""
        self.card()
        return self._statements.unpublished()

    def unpublished_count(self) -> int:
        """Return the number of those statements, without any write."""
        return len(self._statements.unpublished())

    def acknowledged(self, version: Version) -> None:
        """Record that the hub has this statement on disk."""
        self._statements.acknowledged(version)

    def hub_holds(self, newest: int) -> None:
        """Record the newest serial that the hub holds; what is newer counts as unpublished, also after its restore."""
        self._statements.hub_holds(newest)

    def hub_lists(self, statements: Sequence[KindAndStatement]) -> None:
        """Record all own statements that the hub listed; what it lacks or has an older one of counts as unpublished."""
        self._statements.hub_lists((one.kind, one.statement) for one in statements)

    def synced(self) -> int:
        """Return the hub's number of changes at which this device last took in all that the hub holds of it."""
        return self._statements.synced()

    def apply_own(self, kind: Kind, statement: Signed) -> SerialVerdict:
        """Apply an own statement that the hub sent back; raises ``Refused`` for one that is not this device's.

        Unknown trust and grants are unconfirmed until the person accepts them: ``peers.unconfirmed``.

        One that these data lack, also if it is refused, shows that they are older than the hub's: every one-time grant
        in them may have been used since, and counts as spent.
        """
        return self._statements.apply(kind, statement, self.client, self.key.public, self.peers.spend_all)

    def note_hub_time(self, at: TimeMs) -> None:
        """Record the time of a verified ``welcome``, by which serials are kept near the time (SPEC.md section 2.4)."""
        self._statements.note_hub_time(at, self.key)

    def mark_left(self, *, left: bool) -> None:
        """Record whether the hub has unconfirmed statements that found no room here."""
        self._statements.mark_left(left=left)

    def mark_synced(self, changes: int) -> None:
        """Record that this device took in all that the hub holds of it at this number of changes."""
        self._statements.mark_synced(changes)

    def changes_by_others(self) -> int:
        """Return a number that changes when another process of the device wrote something."""
        return changes_by_others(self._db)

    def date(self) -> TimeMs:
        """Return the time for an answer, ``joined`` or ``leave``, below every later serial (SPEC.md section 2.4)."""
        return self._statements.date()

    # -- decisions ----------------------------------------------------------------------------------------------------

    def check_request(self, request: SessionRequest) -> None:
        """Check whether the requested session may be created at all.

        Raises ``InvalidRequest``; ``NotTrusted`` with every target that this device does not trust. A missing grant
        refuses one call and not the session, so ``decide_outgoing`` finds it when that call is made.
        """
        request.check(self.client)
        facts, intent, now = self.facts(), request.intent(), self.clock()
        decided = [(target, decide_outgoing(facts, intent, target, now).reason) for target in request.targets]
        obstacles = [
            Obstacle(target, reason, Sayer.DEVICE)
            for target, reason in decided
            if reason is not None and REASONS[reason].category is Category.TRUST
        ]
        if obstacles:
            raise NotTrusted(obstacles)

    def decide_outgoing(
        self,
        request: SessionRequest,
        target: ClientId,
        standing: Reason | None = None,
        members: Sequence[ClientId] = (),
    ) -> Decision:
        """Decide over this device's own data whether it may call ``target`` into a session with these members."""
        return decide_outgoing(self.facts(standing), request.intent(members), target, self.clock())

    def decide_incoming(self, invite: Invite, standing: Reason | None = None) -> Decision:
        """Decide over this device's own data whether it may accept a verified invite."""
        return decide_incoming(self.facts(standing), invite, self.clock())

    def spend(self, signed: Signed, invite: Invite, standing: Reason | None = None) -> Reason | None:
        """Decide on an automatic invite; if yes, spend a one-time grant and remember the invite in one durable step."""
        with transaction(self._db):
            if (reason := self.decide_incoming(invite, standing).reason) is not None:
                return reason
            if not self.invites.has_room(invite):
                return Reason.OVERLOADED
            grant = self.peers.newest_grant(invite.sender)
            if grant.uses is not None and not self.invites.spend(grant.grant, invite.invite):
                return Reason.GRANT_USED
            self.invites.remember(signed, invite, ACCEPTED)
        return None

    def facts(self, standing: Reason | None = None) -> OwnFacts:
        """Return what this device decides over, read from its data now, with its standing at the hub."""
        mine, uses = self.settings, self.invites.uses()
        trusts, grants = self._statements.all(Topic.TRUST), self._statements.all(Topic.GRANT)
        return OwnFacts(
            client=self.client,
            fingerprint=self.fingerprint,
            pins=pins_of(trusts),
            trust={held.peer: held.serial for held in trusts},
            grants=grants_of(grants, uses),
            spent_on=spent_on(grants, uses),
            compatibility=Compatibility(mine.protocol, mine.app, mine.modes),
            peers=self.peers.compatibilities(),
            standing=standing,
            reached=self._statements.reached(),
        )


def _check_unused(path: Path, database: sqlite3.Connection, clock: DeviceClock) -> None:
    """Check that no statements of an earlier key, whose file is lost, are here; raises ``UnusableData``."""
    if StatementStore(database, clock).all():
        raise UnusableData(
            f"{path} has the data of a device whose key file is missing; put it back, or move the folder away"
        )
