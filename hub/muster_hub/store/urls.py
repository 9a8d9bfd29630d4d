"""Store URLs: parsing one, and showing it without its password."""

from dataclasses import dataclass, field
from typing import Literal
from urllib.parse import SplitResult, parse_qs, unquote, urlsplit

from muster_hub.store.errors import StoreRefused

SETTING = "store"
DEFAULT_PORT = 6379
MAX_DATABASE = 65_535
_EXPECTED = (
    "expected redis://host:port/db, rediss:// for TLS, valkey://, or unix:///path/to/socket?db=0;"
    " a login goes before the host as user:password@"
)
_TCP = frozenset({"redis", "valkey"})
_TLS = frozenset({"rediss", "valkeys"})


@dataclass(frozen=True, slots=True)
class Address:
    """The address of a store: a TCP host, the same with TLS, or a Unix socket. ``repr`` leaves the password out."""

    kind: Literal["tcp", "tls", "unix"]
    host: str
    port: int
    path: str
    database: int
    username: str | None
    password: str | None = field(repr=False)

    def describe(self) -> str:
        """Return the URL with the password left out, for logs and people."""
        login = f"{self.username or ''}:***@" if self.password is not None else ""
        if self.kind == "unix":
            return f"unix://{login}{self.path}" + (f"?db={self.database}" if self.database else "")
        scheme = "rediss" if self.kind == "tls" else "redis"
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{scheme}://{login}{host}:{self.port}/{self.database}"


def parse(url: str) -> Address:
    """Parse a store URL; raises ``StoreRefused``, which says what is expected, when it is none."""
    try:
        parts = urlsplit(url)
        return _unix(parts) if parts.scheme == "unix" else _tcp(parts)
    except ValueError:
        # The parser's reason could quote the URL and its password, so the error says only what is expected.
        raise StoreRefused(SETTING, f"not a store URL; {_EXPECTED}") from None


def describe(url: str) -> str:
    """Return a store URL without its password; raises ``StoreRefused`` when it is none."""
    return parse(url).describe()


def _tcp(parts: SplitResult) -> Address:
    if parts.scheme not in _TCP | _TLS or not parts.hostname or parts.query or parts.fragment:
        raise ValueError(parts.scheme)
    return Address(
        kind="tls" if parts.scheme in _TLS else "tcp",
        host=parts.hostname,
        port=parts.port or DEFAULT_PORT,
        path="",
        database=_database(parts.path.strip("/")),
        username=_text(parts.username),
        password=_text(parts.password),
    )


def _unix(parts: SplitResult) -> Address:
    queries = parse_qs(parts.query, strict_parsing=True) if parts.query else {}
    if not parts.path.startswith("/") or parts.hostname or parts.fragment or queries.keys() - {"db"}:
        raise ValueError(parts.scheme)
    return Address(
        kind="unix",
        host="",
        port=0,
        path=unquote(parts.path),
        database=_database(queries.get("db", ["0"])[-1]),
        username=_text(parts.username),
        password=_text(parts.password),
    )


def _database(text: str) -> int:
    number = int(text or "0")
    if not 0 <= number <= MAX_DATABASE:
        raise ValueError(text)
    return number


def _text(part: str | None) -> str | None:
    return unquote(part) if part else None
