"""Try mutants: ``python -m tests.mutants [--sample N] [--seed N] [NAME...]``; ``make mutants`` does it.

A mutant that no vector notices needs a reason in survivors.toml. A reason whose mutant is noticed or is none fails.
"""

import argparse
import importlib
import os
import random
import subprocess
import sys
import time
import tomllib
from multiprocessing import get_context
from pathlib import Path

from tests.mutants.trial import ROOT, Mutant, first_failure, load_vectors, mutants

REASONS = Path(__file__).parent / "survivors.toml"
LIBRARIES = ("cryptography.hazmat.primitives.hpke", "cryptography.hazmat.primitives.kdf.hkdf", "mnemonic", "msgpack")
"""What the package imports and takes long to import. Each mutant's process imports the package itself."""


def main() -> int:
    """Read the options, try the mutants, and return 1 if one survived without a reason."""
    options = _options()
    began = time.monotonic()
    # Before the pool is there: a process that it forks meanwhile would hold the pipe of this command open.
    seed = _seed_of_commit() if options.seed is None else options.seed
    load_vectors()
    for library in LIBRARIES:
        importlib.import_module(library)
    with get_context("fork").Pool(options.jobs, maxtasksperchild=1) as pool:
        failure = pool.apply(first_failure, (None,))
        if failure is not None:
            sys.exit(f"a vector fails without any change: {failure}")
        every = pool.apply(mutants)
        chosen = _chosen(every, options, seed)
        reasons = _reasons()
        faults = [f"no mutant, but has a reason: {name}" for name in sorted(reasons - {each.name for each in every})]
        for fault in faults:
            _say(fault)
        survived = 0
        for mutant, failure in zip(chosen, pool.imap(first_failure, chosen), strict=True):
            survived += failure is None
            if (failure is None) != (mutant.name in reasons):
                faults.append(f"survives: {mutant.name}" if failure is None else f"{failure} notices: {mutant.name}")
                _say(faults[-1])
    took = time.monotonic() - began
    _say(f"{len(chosen)} of {len(every)} mutants, {survived} survived, {len(faults)} faults, {took:.0f} s")
    return 1 if faults else 0


def _options() -> argparse.Namespace:
    options = argparse.ArgumentParser("python -m tests.mutants", description=(__doc__ or "").splitlines()[0])
    options.add_argument("names", nargs="*", help="only mutants with one of these in their name (default: all)")
    options.add_argument("--sample", type=int, help="how many to try (default: all)")
    options.add_argument("--seed", type=int, help="which sample (default: another one for each commit)")
    options.add_argument("--jobs", type=int, default=os.cpu_count(), help="processes at once")
    return options.parse_args()


def _chosen(every: list[Mutant], options: argparse.Namespace, seed: int) -> list[Mutant]:
    named = [mutant for mutant in every if any(name in mutant.name for name in options.names or [""])]
    if options.sample is None:
        return named
    _say(f"SEED={seed}")
    return random.Random(seed).sample(named, min(options.sample, len(named)))  # noqa: S311 - no secret


def _seed_of_commit() -> int:
    """Return a number that differs from commit to commit; outside a repository, any."""
    command = ["git", "rev-parse", "--short=8", "HEAD"]
    commit = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False).stdout.strip()
    return int(commit, 16) if commit else random.randrange(2**32)  # noqa: S311 - no secret


def _reasons() -> set[str]:
    groups = tomllib.loads(REASONS.read_text("utf-8"))["survivors"]
    return {name for group in groups for name in group["mutants"]}


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
