"""The parts of the real world that some tests need, and the report of the tests that did not run without them.

A test names what it needs: ``@pytest.mark.needs("faketime")``. If that part is missing, the test is skipped, the end of
the run lists it, and the run fails. In CI (``CI=true``) the test itself fails.
"""

import asyncio
import os
import shutil
import subprocess
import tempfile
from collections import Counter
from collections.abc import Callable, Generator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest

from muster_hub.store.engine import find_binary
from muster_hub.store.errors import StoreRefused

IN_CI = bool(os.environ.get("CI"))
PROBE_TIMEOUT_S = 10
STORE = "store server"
MISSING = "missing"
STREAM_MODULE = Path("/usr/lib/nginx/modules/ngx_stream_module.so")
SYSTEM_PATH = f"{os.environ.get('PATH', '')}:/usr/sbin"
TESTS = Path(__file__).parent
# Every test in these folders starts a hub or opens a store. The listener knows neither.
FOLDERS_ON_A_STORE = ("integration", "attacks", "schedules", "fault", "rubbish", "e2e")
FOLDERS_WITHOUT = ("integration/hub/listener",)


@dataclass(frozen=True, slots=True)
class Part:
    """A program or a right that a test needs: what it is for, how to look for it, and how to get it."""

    purpose: str
    is_there: Callable[[], bool]
    package: str = ""  # of Debian
    otherwise: str = ""  # what to do where no package helps


def _runs(*command: str) -> bool:
    try:
        done = subprocess.run(command, capture_output=True, timeout=PROBE_TIMEOUT_S, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return False
    return done.returncode == 0


def _store_server_is_there() -> bool:
    try:
        asyncio.run(find_binary())
    except StoreRefused:
        return False
    return True


def _is_installed(program: str) -> Callable[[], bool]:
    return lambda: shutil.which(program, path=SYSTEM_PATH) is not None


def _may_mount() -> bool:
    # In a mount namespace of its own, so that nothing is left behind.
    return _runs("unshare", "--mount", "mount", "-t", "tmpfs", "tmpfs", tempfile.gettempdir())


PARTS = {
    STORE: Part("keeps what the hub must not lose", _store_server_is_there, package="redis-server"),
    "faketime": Part(
        "moves the clocks of a hub and its store", lambda: _runs("faketime", "-f", "+0s", "true"), package="faketime"
    ),
    "ip": Part("sets up networks to move between", _is_installed("ip"), package="iproute2"),
    "nginx": Part("stands before a hub", _is_installed("nginx"), package="nginx"),
    "nginx stream module": Part("lets nginx hand on bytes", STREAM_MODULE.exists, package="libnginx-mod-stream"),
    "haproxy": Part("stands before a hub", _is_installed("haproxy"), package="haproxy"),
    "network namespaces": Part(
        "keep those networks apart from the machine's",
        lambda: _runs("unshare", "--net", "--mount", "true"),
        otherwise="run the tests as root on Linux",
    ),
    "mount": Part("gives a device a small disk to fill", _may_mount, otherwise="run the tests as root on Linux"),
    "/dev/full": Part("is a disk that is always full", Path("/dev/full").exists, otherwise="run the tests on Linux"),
}


@cache
def is_missing(name: str) -> bool:
    """Return whether a part is missing. Each is looked for once."""
    return not PARTS[name].is_there()


def how_to_get(names: set[str]) -> list[str]:
    """Return the steps that bring these parts: one line for all packages, one for each other step."""
    packages = sorted(PARTS[name].package for name in names if PARTS[name].package)
    others = sorted({PARTS[name].otherwise for name in names if PARTS[name].otherwise})
    return [*([f"apt install {' '.join(packages)}"] if packages else []), *others]


def _is_beneath(path: Path, folders: tuple[str, ...]) -> bool:
    return any(path.is_relative_to(TESTS / folder) for folder in folders)


@cache
def _is_on_a_store(path: Path) -> bool:
    return _is_beneath(path, FOLDERS_ON_A_STORE) and not _is_beneath(path, FOLDERS_WITHOUT)


def _needs(item: pytest.Item) -> set[str]:
    named = {name for mark in item.iter_markers("needs") for name in mark.args}
    return named | ({STORE} if _is_on_a_store(item.path) else set())


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip each test that needs a part which is missing, and note that part in its report."""
    for item in items:
        missing = sorted(name for name in _needs(item) if is_missing(name))
        if missing:
            item.add_marker(pytest.mark.skip(reason=f"missing: {', '.join(missing)}"))
            item.user_properties.extend((MISSING, name) for name in missing)


def _refuse_skip(report: pytest.TestReport | pytest.CollectReport) -> None:
    """Turn a skip into a failure, except the kind that pytest itself makes of an expected failure."""
    if report.skipped and not hasattr(report, "wasxfail"):
        report.outcome = "failed"
        report.longrepr = f"skipped, and in CI a missing part is a failure: {report.longrepr}"


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """In CI no test may be skipped."""
    report = yield
    if IN_CI:
        _refuse_skip(report)
    return report


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report() -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    """In CI no module of tests may be skipped either."""
    report = yield
    if IN_CI:
        _refuse_skip(report)
    return report


class NotRun:
    """What was skipped, counted by reason and file. A run that skipped anything fails."""

    def __init__(self) -> None:
        self._by_reason: dict[str, Counter[str]] = {}
        self._missing: set[str] = set()

    def pytest_report_header(self) -> list[str]:
        """List the missing parts before any test runs."""
        missing = {name for name in PARTS if is_missing(name)}
        if not missing:
            return ["real parts: all there"]
        lines = [f"  {name}: {PARTS[name].purpose}" for name in sorted(missing)]
        return ["real parts missing, and tests that need them will not run:", *lines, *_to_get(missing)]

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Note a test that was skipped."""
        self._note(report)
        if report.skipped:
            self._missing |= {str(value) for name, value in report.user_properties if name == MISSING}

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        """Note a module that was skipped."""
        self._note(report)

    def _note(self, report: pytest.TestReport | pytest.CollectReport) -> None:
        if report.skipped and not hasattr(report, "wasxfail"):
            reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
            files = self._by_reason.setdefault(reason.removeprefix("Skipped: "), Counter())
            files[report.nodeid.partition("::")[0]] += 1

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        """End non-zero when something was not run."""
        if self._by_reason and session.exitstatus == pytest.ExitCode.OK:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """List what was not run, and how to get what it needs."""
        if not self._by_reason:
            return
        terminalreporter.section("not run", red=True, bold=True)
        for reason, files in sorted(self._by_reason.items()):
            terminalreporter.line(f"{files.total()} not run, {reason}:")
            for file, count in sorted(files.items()):
                terminalreporter.line(f"  {file} ({count})")
        for line in _to_get(self._missing):
            terminalreporter.line(line)


def _to_get(missing: set[str]) -> list[str]:
    return [f"to run them: {step}" for step in how_to_get(missing)]


def pytest_configure(config: pytest.Config) -> None:
    """Report once, in the process that the others report to."""
    if not hasattr(config, "workerinput"):
        config.pluginmanager.register(NotRun())
