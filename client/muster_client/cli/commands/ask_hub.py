"""A request to the hub on a connection of its own."""

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, TypeVar

from muster_client import Device
from muster_client.cli.output.display import Output
from muster_protocol.reasons import Reason
from muster_protocol.words import words

if TYPE_CHECKING:
    from muster_client import Hub

Answer = TypeVar("Answer")

CONNECT_TIMEOUT_S = 10.0


def ask_hub(
    device: Device,
    question: Callable[["Hub"], Awaitable[Answer]],
    *,
    timeout_s: float = CONNECT_TIMEOUT_S,
    confirms: bool = False,
) -> Answer:
    """Connect, ask, and close. Raises ``NoReply``, ``HubKeyChanged``, ``HubRefused``.

    Show what the person should know, but not the suspicion that the question itself ``confirms`` away.
    """
    # The event loop and the transport are slow to import, and most commands need neither.
    import asyncio  # noqa: PLC0415

    from muster_client import Hub  # noqa: PLC0415

    async def ask() -> Answer:
        async with Hub.connect(device, timeout_s=timeout_s) as hub:
            if hub.newly_pinned:
                _tell_pinned(device, hub)
            tell_made_elsewhere(device)
            if hub.welcome.standing is Reason.CLONE_SUSPECTED and not confirms:
                _tell_suspected()
            return await question(hub)

    return asyncio.run(ask())


def tell_made_elsewhere(device: Device) -> None:
    """Show that a copy of these data made, or ended, trust or grants."""
    if device.peers.unconfirmed():
        Output().note(
            "note:  Trust or grants that a copy of these data made are unconfirmed: see `muster trust review`."
        )
    if device.peers.ended_elsewhere():
        Output().note("note:  A copy of these data ended trust or grants: see `muster trust review`.")


def _tell_suspected() -> None:
    """Show that the hub suspects a second copy of this device's data."""
    Output().note("note:  The hub suspects two copies of this device's data: see `muster id confirm --help`.")


def _tell_pinned(device: Device, hub: "Hub") -> None:
    """Show the hub's key that was pinned at the first connection."""
    said = f"note:  This device trusts the key of {device.hub_url} from now on: {' '.join(words(hub.fingerprint))}"
    Output().note(said)
