"""Whose request a trusted proxy hands on, by the headers ``X-Forwarded-For`` and ``Forwarded`` (RFC 7239).

A client may send these headers too, and a proxy adds to the end. So they are read from the end, and only as far as
trusted proxies wrote them.
"""

import re
from collections.abc import Iterable, Sequence

from websockets.datastructures import Headers

from muster_hub.listener.ip_address import Network, is_within, parsed

_PAIR = re.compile(r"""[ \t]*([!#$%&'*+.^_`|~0-9A-Za-z-]+)=("(?:[^"\\]|\\.)*"|[^\s",;]*)[ \t]*([;,]|\Z)""")
_ESCAPED = re.compile(r"\\(.)")
_EMPTY = re.compile(r"[ \t]*(,|\Z)")
_PORT = r"(?::(?:[0-9]{1,5}|_[0-9A-Za-z._-]+))?"
_NODE = re.compile(rf"\[([0-9A-Fa-f:.]+)\]{_PORT}|([0-9.]+){_PORT}|([0-9A-Fa-f:.]+)")


class ForwardedError(Exception):
    """Raised where a trusted proxy does not say whose request it is, or says it in two ways that differ."""


def forwarded_for(proxy: str, headers: Headers, trusted: Sequence[Network]) -> str:
    """Return the address whose request ``proxy`` hands on: the last one named that is no trusted proxy itself.

    It is the proxy's own where no header names any. Raises ``ForwardedError``: the request is refused then, since it
    would otherwise spend what another address may.
    """
    named = [headers.get_all("X-Forwarded-For"), headers.get_all("Forwarded")]
    chains = [_split(named[0]), _elements(named[1])]
    found = {_last_outside(proxy, chain, trusted) for chain, lines in zip(chains, named, strict=True) if lines}
    if len(found) > 1:
        # The proxy wrote one of them and handed on the other as its client sent it.
        raise ForwardedError("two headers differ")
    return found.pop() if found else proxy


def _last_outside(proxy: str, chain: Sequence[str], trusted: Sequence[Network]) -> str:
    at = proxy
    for node in reversed(chain):
        at = _address(node)
        if not is_within(at, trusted):
            break
    return at


def _address(node: str) -> str:
    found = _NODE.fullmatch(node)
    address = parsed(found[1] or found[2] or found[3]) if found else None
    if address is None:
        raise ForwardedError("no address")
    return str(address)


def _split(lines: Iterable[str]) -> list[str]:
    return [node.strip() for line in lines for node in line.split(",")]


def _elements(lines: Iterable[str]) -> list[str]:
    return [node for line in lines for node in _nodes(line)]


def _nodes(line: str) -> list[str]:
    """Return the ``for`` of each element of a line, empty where an element has none. Raises ``ForwardedError``."""
    nodes: list[str] = []
    at, node, inside = 0, "", False
    while at < len(line) or inside:
        if not inside and (empty := _EMPTY.match(line, at)):
            at = empty.end()
            continue
        pair = _PAIR.match(line, at)
        if pair is None:
            raise ForwardedError("malformed")
        at, inside = pair.end(), pair[3] == ";"
        node = _plain(pair[2]) if pair[1].lower() == "for" else node
        if not inside:
            nodes.append(node)
            node = ""
    return nodes


def _plain(value: str) -> str:
    return _ESCAPED.sub(r"\1", value[1:-1]) if value.startswith('"') else value
