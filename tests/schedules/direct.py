"""A store asked one call at a time over a blocking socket: while it answers, nothing else in the test may move."""

import asyncio
import socket
from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast

import hiredis

from muster_hub.store.pipeline import Pipeline, StoreCall
from muster_hub.store.scripts import Script
from muster_hub.store.urls import parse
from muster_hub.store.wire import READ_BYTES, ErrorReply, Reply, Word, pack

_RESTORE = Script.of(
    "restore",
    "#!lua\n"
    "for _, key in ipairs(redis.call('KEYS', '*')) do redis.call('DEL', key) end\n"
    "for i = 1, #ARGV, 3 do redis.call('RESTORE', ARGV[i], ARGV[i + 1], ARGV[i + 2], 'ABSTTL') end\n"
    "return 1",
)


@dataclass(frozen=True, slots=True)
class Snapshot:
    """All that a store held at one moment: key, expiry in Unix ms (0: none) and value of each, in turn."""

    words: tuple[Word, ...]


class Direct:
    """One connection to a real store. What its replies mean is read by the hub's own pipeline."""

    def __init__(self, url: str) -> None:
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.connect(parse(url).path)
        self._reader = hiredis.Reader()
        self._known: set[bytes] = set()

    def close(self) -> None:
        self._socket.close()

    def run(self, script: Script, keys: Sequence[bytes], args: Sequence[Word]) -> asyncio.Future[Reply]:
        """Carry out one call; the future that comes back is done."""
        if script.sha1 not in self._known:
            self.ask(b"SCRIPT", b"LOAD", script.source)
            self._known.add(script.sha1)
        packed = pack(b"EVALSHA", script.sha1, len(keys), *keys, *args)
        call = StoreCall(script, packed, asyncio.get_running_loop().create_future(), 0.0)
        pipeline = Pipeline([call])
        self._socket.sendall(b"".join(pipeline.chunks))
        pipeline.take(self._receive())
        pipeline.refuse_late()
        return call.answer

    def ask(self, *words: Word) -> Reply:
        """Carry out a plain command."""
        return self.ask_all([words])[0]

    def ask_all(self, commands: Sequence[Sequence[Word]]) -> list[Reply]:
        """Carry out plain commands in one round trip."""
        self._socket.sendall(b"".join(pack(*words) for words in commands))
        return [self._receive_value() for _ in commands]

    def names(self) -> list[bytes]:
        """Name every key, in order."""
        return sorted(cast("list[bytes]", self.ask(b"KEYS", b"*")))

    def snapshot(self) -> Snapshot:
        """Keep what the store holds now."""
        names = self.names()
        replies = self.ask_all([(command, name) for name in names for command in (b"PEXPIRETIME", b"DUMP")])
        words: list[Word] = []
        for name, expires, value in zip(names, replies[::2], replies[1::2], strict=True):
            assert isinstance(expires, int)
            assert isinstance(value, bytes)
            words += [name, max(expires, 0), value]
        return Snapshot(tuple(words))

    def contents(self) -> dict[bytes, tuple[Reply, object]]:
        """Read the expiry and the value of every key, a hash in no order: reading one may change its order."""
        names = self.names()
        kinds = self.ask_all([(b"TYPE", name) for name in names])
        expiries = self.ask_all([(b"PEXPIRETIME", name) for name in names])
        commands = [b"HGETALL" if kind == b"hash" else b"DUMP" for kind in kinds]
        values = self.ask_all(list(zip(commands, names, strict=True)))
        return {
            name: (expires, _fields(value) if isinstance(value, list) else value)
            for name, expires, value in zip(names, expiries, values, strict=True)
        }

    def restore(self, snapshot: Snapshot) -> None:
        """Put back what the store held then, and nothing else."""
        self.run(_RESTORE, [b"{all}"], snapshot.words).result()

    def _receive_value(self) -> Reply:
        reply = self._receive()
        assert not isinstance(reply, ErrorReply), reply
        return reply

    def _receive(self) -> Reply | ErrorReply:
        while (reply := self._reader.gets()) is False:
            data = self._socket.recv(READ_BYTES)
            assert data, "the store closed the connection"
            self._reader.feed(data)
        if isinstance(reply, hiredis.ReplyError):
            code, _, text = str(reply).partition(" ")
            return ErrorReply(code, text)
        return cast("Reply", reply)


def _fields(flat: Sequence[Reply]) -> dict[Reply, Reply]:
    return dict(zip(flat[::2], flat[1::2], strict=True))
