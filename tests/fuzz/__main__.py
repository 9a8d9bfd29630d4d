"""Run the coverage-guided fuzzer: ``python -m tests.fuzz [SECONDS]``, shared among the targets; ``make fuzz`` does it.

Each target is a process of its own, since the engine ends the process it runs in. What it learns stays in ``.fuzz/``;
an input that shows a defect is written there too, and belongs into the corpus with the change that mends it.
"""

import os
import random
import subprocess
import sys
from pathlib import Path

import atheris

ROOT = Path(__file__).resolve().parents[2]
CORPUS = Path(__file__).parent / "corpus"
LEARNT = ROOT / ".fuzz"
SHARE = {"value": 1, "frame": 2, "body": 3, "card": 2, "hello": 2, "door": 2, "listener": 6}
"""How the time is shared out."""
PREFIXED = frozenset({"body", "card", "hello"})
"""Targets whose first byte is a choice and not part of the MessagePack behind it."""
MAX_LEN = {"listener": 10_000}
DEFAULT_MAX_LEN = 4_096
MAX_MEMORY_MIB = 1_024
SLOW_INPUT_S = 10


def main() -> int:
    """Fuzz all targets, or in a child process the one that it is told."""
    if len(sys.argv) > 2:
        _fuzz(sys.argv[1], sys.argv[2:])
    seconds = float(sys.argv[1]) if len(sys.argv) > 1 else 60.0
    failed = [target for target in SHARE if _run(target, seconds * SHARE[target] / sum(SHARE.values()))]
    sys.stdout.write(f"defects in: {', '.join(failed)}\n" if failed else "no defect found\n")
    return 1 if failed else 0


def _run(target: str, seconds: float) -> int:
    learnt = LEARNT / target
    learnt.mkdir(parents=True, exist_ok=True)
    sys.stdout.write(f"== {target}, {seconds:.0f} s\n")
    sys.stdout.flush()
    options = [
        f"-max_total_time={max(1, round(seconds))}",
        f"-max_len={MAX_LEN.get(target, DEFAULT_MAX_LEN)}",
        f"-rss_limit_mb={MAX_MEMORY_MIB}",
        f"-timeout={SLOW_INPUT_S}",
        f"-artifact_prefix={LEARNT}/defect-{target}-",
        "-print_final_stats=1",
        "-verbosity=0",
    ]
    command = [sys.executable, "-m", "tests.fuzz", target, *options, str(learnt), str(CORPUS / target)]
    return subprocess.run(command, cwd=ROOT, check=False).returncode


def _fuzz(target: str, options: list[str]) -> None:
    # Measured is what is imported now: our packages, and the library that reads frames and heads.
    with atheris.instrument_imports(include=["muster_protocol", "muster_hub", "websockets", "tests.fuzz"]):
        from tests.fuzz.mutator import mutated  # noqa: PLC0415 - see above
        from tests.fuzz.targets import TARGETS  # noqa: PLC0415

    def mutate(data: bytes, max_size: int, seed: int) -> bytes:
        chance = random.Random(seed)  # noqa: S311 - to find ways, not to hide anything
        head, rest = (data[:1], data[1:]) if target in PREFIXED else (b"", data)
        changed = mutated(rest, chance) if chance.random() < 0.7 else None
        return atheris.Mutate(data, max_size) if changed is None else (head + changed)[:max_size]

    run = TARGETS[target]
    extra = {} if target == "listener" else {"custom_mutator": mutate}
    atheris.Setup([f"fuzz-{target}", *options], lambda data: run(data) and None, **extra)
    atheris.Fuzz()


if __name__ == "__main__":
    os.chdir(ROOT)
    raise SystemExit(main())
