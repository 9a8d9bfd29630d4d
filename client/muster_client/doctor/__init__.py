"""Examination of a device and its way to the hub, with a next step for each problem."""

from typing import TYPE_CHECKING

from muster_client.doctor.findings import Finding, Health
from muster_client.doctor.next_steps import NEXT_STEPS, as_sentence, claimed, cut, gives_up, with_addresses

if TYPE_CHECKING:
    from muster_client.doctor.device import examine

__all__ = ["NEXT_STEPS", "Finding", "Health", "as_sentence", "claimed", "cut", "examine", "gives_up", "with_addresses"]


def __getattr__(name: str) -> object:
    # The examination needs sockets and TLS, which are slow to import.
    if name != "examine":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from muster_client.doctor.device import examine  # noqa: PLC0415 - as above

    return examine
