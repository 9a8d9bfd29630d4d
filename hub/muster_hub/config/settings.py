"""The settings of a hub, their defaults and their valid values. A flag overrides the environment, and that the file.

A setting has one name everywhere: ``log_format`` in the file is ``--log-format`` and ``MUSTER_HUB_LOG_FORMAT``.
"""

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta, Struct

ENVIRONMENT = "MUSTER_HUB_"
DEFAULT_PORT = 7627
DEFAULT_LISTEN = f"127.0.0.1:{DEFAULT_PORT}"
MAX_ORIGINS = 64
MAX_TRUSTED_PROXIES = 64
STORE_MEMORY_MIB = 1_024
MIN_STORE_MEMORY_MIB = 16
MAX_STORE_MEMORY_MIB = 1_048_576
MAX_WORKERS = 64
MAX_STOP_GRACE_S = 300.0
MAX_ENTERING = 4_096
MAX_PER_ADDRESS = 1_000_000
UNITS_PER_ADDRESS = 1_000
"""A fifth of a core, so that 25 devices of one address spend all that they may."""
STORE_MIB_PER_ADDRESS = 32
"""Some 38,000 statements. In the 90 days after which the first expire one address fills a third of the store."""
MAX_UNITS_PER_ADDRESS = 1_000_000

LogFormat = Literal["auto", "json", "text"]
Enrolment = Literal["open", "invited", "listed"]
Tls = Literal["auto", "own", "off"]
LogLevel = Literal["debug", "info", "warning", "error"]
Origin = Annotated[str, Meta(pattern=r"\Awss?://[^/?#@\s]{1,240}\Z")]
Network = Annotated[str, Meta(pattern=r"\A[0-9a-fA-F.:]{2,45}(/[0-9]{1,3})?\Z")]
Listen = Annotated[str, Meta(pattern=r"\A([^:\s\[\]/]+|\[[0-9a-fA-F:.]+\]):[0-9]{1,5}\Z")]


class SettingError(Exception):
    """Raised for a setting that is not usable; ``setting`` names it and the sentence says what is valid."""

    def __init__(self, setting: str, sentence: str) -> None:
        super().__init__(f"{setting}: {sentence}")
        self.setting = setting


class Settings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A hub's settings, checked one by one; ``addresses`` checks those that belong together."""

    data_dir: Path
    store: str | None = None
    """None: the embedded store, in ``data_dir``."""
    store_replicas: Annotated[int, Meta(ge=0, le=8)] = 0
    store_memory_mib: Annotated[int, Meta(ge=MIN_STORE_MEMORY_MIB, le=MAX_STORE_MEMORY_MIB)] = STORE_MEMORY_MIB
    """The memory of the embedded store, in MiB. A store of your own has its ``maxmemory``."""
    listen: Listen = DEFAULT_LISTEN
    tls: Tls = "auto"
    """Without ``tls_cert``, auto is own where other machines dial this hub itself, and not ``insecure``; else off."""
    tls_cert: Path | None = None
    tls_key: Path | None = None
    key_file: Path | None = None
    """None: ``hub.key`` in ``data_dir``. All nodes of one hub use one key."""
    origin: Annotated[tuple[Origin, ...], Meta(max_length=MAX_ORIGINS)] = ()
    """The origins that devices dial; empty: those of ``listen``."""
    trusted_proxy: Annotated[tuple[Network, ...], Meta(max_length=MAX_TRUSTED_PROXIES)] = ()
    """Networks of proxies that may say whose connection they hand on, by a PROXY header or in their request."""
    insecure: bool = False
    """Whether devices may dial ``ws://`` from other machines."""
    enrolment: Enrolment | None = None
    """Which devices may connect. None: open where only this machine can reach the hub, else invited."""
    workers: Annotated[int, Meta(ge=1, le=MAX_WORKERS)] = 1
    """Nodes, each a process, that share the port; above 1 a supervisor runs them and the embedded store."""
    stop_grace_s: Annotated[float, Meta(ge=0.0, le=MAX_STOP_GRACE_S)] = 0.2
    """How long a stopping hub goes on after ``/readyz`` says so: time for a load balancer to notice."""
    max_entering: Annotated[int, Meta(ge=1, le=MAX_ENTERING)] = 64
    """Devices per node that are admitted at the same time; more wait, and beyond the queue's limit they are refused."""
    max_per_address: Annotated[int, Meta(ge=0, le=MAX_PER_ADDRESS)] = 2_000
    """Connected devices and command lines from one address; 0: no limits by address."""
    units_per_address: Annotated[int, Meta(ge=0, le=MAX_UNITS_PER_ADDRESS)] = UNITS_PER_ADDRESS
    """Work that the devices of one address may cause in a second, in signature checks; 0: no limit."""
    store_mib_per_address: Annotated[int, Meta(ge=0, le=MAX_STORE_MEMORY_MIB)] = STORE_MIB_PER_ADDRESS
    """What the devices of one address may leave in the store at once, and a twelfth of it each day; 0: no limit."""
    log_format: LogFormat = "auto"
    log_level: LogLevel = "info"

    @property
    def hub_key_file(self) -> Path:
        """The file of the hub's key: the one that is set, else the default."""
        return self.key_file or self.data_dir / "hub.key"


MAY_BE: dict[str, str] = {
    "config": "the path of a TOML file",
    "data_dir": "a folder",
    "store": "redis://host:port/db, rediss:// for TLS, valkey://, or unix:///path; left out for the embedded store",
    "store_replicas": "a number from 0 to 8",
    "store_memory_mib": f"MiB, from {MIN_STORE_MEMORY_MIB} to {MAX_STORE_MEMORY_MIB}",
    "listen": "HOST:PORT, an IPv6 address in brackets, the port 0 to 65535",
    "tls": "auto, own or off",
    "tls_cert": "the path of a PEM file, together with tls_key",
    "tls_key": "the path of a PEM file, together with tls_cert",
    "key_file": "the path of the hub's key",
    "origin": f"ws://HOST[:PORT] or wss://HOST[:PORT], {MAX_ORIGINS} of them at most",
    "trusted_proxy": f"an address, or a network as 10.0.0.0/8, not of all addresses; {MAX_TRUSTED_PROXIES} at most",
    "insecure": "true or false",
    "enrolment": "open, invited or listed",
    "workers": f"a number from 1 to {MAX_WORKERS}",
    "stop_grace_s": f"seconds, from 0 to {MAX_STOP_GRACE_S:.0f}",
    "max_entering": f"a number from 1 to {MAX_ENTERING}",
    "max_per_address": f"a number from 0 (no limits by address) to {MAX_PER_ADDRESS}",
    "units_per_address": f"a number from 0 (no limit) to {MAX_UNITS_PER_ADDRESS}",
    "store_mib_per_address": f"MiB, from 0 (no limit) to {MAX_STORE_MEMORY_MIB}",
    "log_format": "auto, json or text",
    "log_level": "debug, info, warning or error",
}
"""The valid values of each setting, in words."""


def load(flags: Mapping[str, object], environ: Mapping[str, str], *, data_dir: Path) -> Settings:
    """Return the settings from all three sources, ``data_dir`` as its default. A flag not given is None or empty.

    Raises ``SettingError``.
    """
    given = {name: value for name, value in flags.items() if value is not None and value != ()}
    from_environment = _environment(environ)
    config = given.pop("config", None) or from_environment.pop("config", None)
    merged = {"data_dir": str(data_dir)} | (_file(Path(str(config))) if config else {}) | from_environment | given
    return _convert(merged)


def _environment(environ: Mapping[str, str]) -> dict[str, object]:
    found = {name.removeprefix(ENVIRONMENT).lower(): value for name, value in environ.items() if _ours(name, value)}
    values: dict[str, object] = dict(found)
    for name in {"origin", "trusted_proxy"} & found.keys():
        values[name] = [item.strip() for item in found[name].split(",") if item.strip()]
    return values


def _ours(name: str, value: str) -> bool:
    return name.startswith(ENVIRONMENT) and value != ""


def _file(path: Path) -> dict[str, Any]:
    try:
        with path.open("rb") as file:
            return tomllib.load(file)
    except OSError as error:
        raise SettingError("config", f"{path} cannot be read: {error.strerror}") from error
    except tomllib.TOMLDecodeError as error:
        raise SettingError("config", f"{path} is not TOML: {error}") from error


def _convert(values: Mapping[str, object]) -> Settings:
    # One at a time, so that an error names its setting alone.
    known = {field.name: field.type for field in msgspec.structs.fields(Settings)}
    converted: dict[str, object] = {}
    for name, value in values.items():
        if name not in known:
            raise SettingError(name, f"unknown setting. Valid settings: {', '.join(sorted([*known, 'config']))}")
        try:
            # The environment gives text for numbers and booleans, and each source gives text for a path.
            converted[name] = _one(value, known[name])
        except (msgspec.ValidationError, ValueError):
            raise SettingError(name, f"must be {MAY_BE[name]}") from None
    return Settings(**converted)  # type: ignore[arg-type]  # each was converted to its field's type


def _one(value: object, kind: Any) -> object:  # noqa: ANN401 - the annotation of a field
    if kind in {Path, Path | None}:
        if not isinstance(value, str | Path) or not str(value):
            raise ValueError(kind)
        return Path(value).expanduser().absolute()
    return msgspec.convert(value, kind, strict=not isinstance(value, str))
