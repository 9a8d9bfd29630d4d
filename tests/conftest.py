"""What all tests share: a home of their own, and no outcome that depends on luck or on how fast the machine is."""

import gc
import os
import tempfile
from collections.abc import Generator, Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

pytest_plugins = ["tests.measured", "tests.real_parts", "tests.side_by_side"]

IN_CI = bool(os.environ.get("CI"))

settings.register_profile(
    "muster",
    deadline=None,  # a slow machine fails no test
    suppress_health_check=[HealthCheck.too_slow],  # the same
    derandomize=IN_CI,  # no second try there, so the same examples each time
    print_blob=True,
)
settings.register_profile("quick", settings.get_profile("muster"), max_examples=10)  # ``make unit``
settings.load_profile("muster")

_PERSONAL = ("XDG_CONFIG_HOME", "XDG_DATA_HOME", "XDG_STATE_HOME", "XDG_CACHE_HOME", "XDG_RUNTIME_DIR")


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """Spare the garbage collector the thousands of collected tests, which all stay to the end."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.collect()
        gc.freeze()
        gc.enable()


@pytest.fixture(scope="session", autouse=True)
def _home_of_its_own() -> Iterator[None]:
    """Keep tests, and the processes they start, away from the devices and settings of the person who runs them."""
    # Not pytest's own folder: its long path would not fit the address of a Unix socket (104 bytes on macOS).
    with tempfile.TemporaryDirectory(prefix="muster-") as home, pytest.MonkeyPatch.context() as patch:
        for name in [name for name in os.environ if name.startswith("MUSTER_")]:
            patch.delenv(name)
        for name in _PERSONAL:
            patch.setenv(name, str(Path(home) / name.lower()))
        patch.setenv("HOME", home)
        yield
