"""``make bench``: what the hub costs, beside what nothing but a relay costs, measured in one run on this machine.

``REPEATS`` in the environment says how often each row is measured; five unless told otherwise.
"""

import asyncio
import os
import ssl
import sys
import tempfile
from pathlib import Path

import uvloop
from tests.bench.certificate import Certificate, make_certificate
from tests.bench.commands import measure_command
from tests.bench.connects import measure_connects, measure_idle_devices, measure_idle_relayed
from tests.bench.figures import Figure
from tests.bench.floors import measure_crypto, measure_relay, measure_store_calls
from tests.bench.joins import measure_joins
from tests.bench.report import keep, show
from tests.bench.requests import measure_refusals, measure_who
from tests.bench.servers import hub, raise_open_files, relay

REPEATS = int(os.environ.get("REPEATS", "5"))
PLAIN_KIB, TLS_KIB = 8, 32


async def measure() -> list[Figure]:
    """Measure everything, one thing after the other, so that nothing disturbs what is measured."""
    with tempfile.TemporaryDirectory(prefix="mbench-") as folder:
        certificate = make_certificate(Path(folder))
        floors = await _floors()
        memory = [*await _memory(None, "", PLAIN_KIB), *await _memory(certificate, ", TLS ended here", TLS_KIB)]
    async with hub() as server:
        _say("joins")
        figures = await measure_joins(server, REPEATS)
    async with hub() as server:
        _say("refusals, who, connects")
        figures += await measure_refusals(server, REPEATS)
        figures += await measure_who(server, REPEATS)
        figures += await measure_connects(server, REPEATS)
    async with hub() as server:
        _say("commands")
        figures += await measure_command(server.url)
    _set_beside(figures, {floor.name: floor.median for floor in floors})
    return [*floors, *figures, *memory]


async def _floors() -> list[Figure]:
    _say("floors")
    async with relay() as bare:
        figures = [await measure_relay(bare, REPEATS)]
    figures += measure_crypto(REPEATS)
    async with hub() as server:
        figures += await measure_store_calls(f"unix://{server.store_socket}", REPEATS)
    return figures


async def _memory(certificate: Certificate | None, suffix: str, target: float) -> list[Figure]:
    _say(f"memory{suffix}")
    tls = None if certificate is None else ssl.create_default_context(cafile=str(certificate.certificate))
    async with relay(certificate) as bare:
        floor = await measure_idle_relayed(bare, tls, f"idle connection at the bare relay{suffix}")
    async with hub(certificate) as server:
        (figure,) = await measure_idle_devices(server, tls, f"idle device{suffix}", target)
    figure.floor, figure.floor_is = floor.median, "bare relay"
    return [floor, figure]


def _set_beside(figures: list[Figure], floors: dict[str, float]) -> None:
    """Put beside each figure what it cannot do without."""
    trip, call = floors["bare relay, round trip"], floors["store call, 64 together"]
    for figure in figures:
        if figure.name.startswith("automatic join"):
            figure.floor, figure.floor_is = 4 * trip + 7 * call, "4 round trips, 7 store calls"
        elif figure.name.startswith("refused"):
            figure.floor, figure.floor_is = trip / 8 + call, "an eighth of a trip, a store call"
        elif figure.name.startswith("who"):
            figure.floor, figure.floor_is = trip + call, "a trip, a store call"
        elif figure.name.startswith("connect"):
            # The hub signs its welcome and checks the device's word, and a card only when it is new to it.
            checked, signed = (1 if "again" in figure.name else 2), 1
            if figure.name.endswith("both sides"):
                checked, signed = checked + 1, signed + 1
            figure.floor = checked * floors["verify"] + signed * floors["sign"] + call
            figure.floor_is = f"{checked} verified, {signed} signed, a store call"


def _say(what: str) -> None:
    sys.stderr.write(f"measuring {what}\n")


def main() -> None:
    """Measure, show and keep."""
    raise_open_files()
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        figures = runner.run(measure())
    show(figures)
    sys.stdout.write(f"kept in {keep(figures)}\n")


if __name__ == "__main__":
    main()
