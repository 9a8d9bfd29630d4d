"""The plan that the supervisor gives a worker: its settings, and its part of the limits."""

from dataclasses import replace
from math import ceil
from pathlib import Path
from typing import Any, Final

import msgspec
from msgspec import Struct

from muster_hub.config.settings import SettingError, Settings, load
from muster_hub.listener import ListenerSettings

ALL: Final = ListenerSettings()


class WorkerPlan(Struct, frozen=True, kw_only=True):
    """A worker's settings by name, as a configuration file has them, and how many workers share the limits."""

    settings: dict[str, Any]
    workers: int


def check_platform(workers: int, platform: str) -> None:
    """Raise ``SettingError`` for several workers on a system that does not share out connections."""
    if workers > 1 and platform == "darwin":
        raise SettingError(
            "workers", "has to be 1 on macOS, which gives all connections of a shared port to one process"
        )


def plan(settings: Settings, workers: int) -> bytes:
    """Return a plan as one line."""
    values = msgspec.to_builtins(settings, enc_hook=str)
    for limit in ("max_per_address", "units_per_address", "store_mib_per_address"):
        values[limit] = ceil(values[limit] / workers)
    return msgspec.json.encode(WorkerPlan(settings=values, workers=workers)) + b"\n"


def read_plan(line: bytes) -> tuple[Settings, int]:
    """Read a plan: return the worker's settings, and how many share the limits. Raises ``SettingError``."""
    given = msgspec.json.decode(line, type=WorkerPlan)
    return load(given.settings, {}, data_dir=Path(given.settings["data_dir"])), given.workers


def divided(workers: int, limits: ListenerSettings = ALL) -> ListenerSettings:
    """Return one worker's part of the limits, on a port that all workers share."""
    per_address, work = limits.max_unauthenticated_per_address, limits.stranger_work
    return replace(
        limits,
        reuse_port=True,
        max_connections=ceil(limits.max_connections / workers),
        max_unauthenticated=ceil(limits.max_unauthenticated / workers),
        max_unauthenticated_per_address=None if per_address is None else ceil(per_address / workers),
        stranger_work=None if work is None else replace(work, per_s=work.per_s / workers, burst=work.burst / workers),
        max_refusals_at_once=ceil(limits.max_refusals_at_once / workers),
    )
