"""The card that a device makes of its identity and its settings (SPEC.md section 1.4)."""

from muster_client.device.identity import Identity
from muster_client.device.settings import DeviceSettings
from muster_protocol.cards import Card
from muster_protocol.ids import Serial
from muster_protocol.keys import SigningKey


def fresh_card(identity: Identity, mine: DeviceSettings, serial: Serial) -> Card:
    """Return a new card."""
    return Card(
        client=identity.client,
        genesis=identity.genesis,
        current=identity.key.public,
        rotations=identity.rotations,
        serial=serial,
        protocol=mine.protocol,
        app=mine.app,
        app_version=mine.app_version,
        modes=mine.modes,
    )


def describes(card: Card, key: SigningKey, mine: DeviceSettings) -> bool:
    """Return whether a card is still that of this key and these settings."""
    says = (card.current, card.protocol, card.app, card.app_version, card.modes)
    return says == (key.public, mine.protocol, mine.app, mine.app_version, mine.modes)
