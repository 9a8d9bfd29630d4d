"""The settings in force, checked as far as possible before anything starts."""

import sys
from dataclasses import dataclass

import msgspec

from muster_hub.config.addresses import binding, enrolment, origins, tls
from muster_hub.config.settings import Settings
from muster_hub.process.worker_plan import check_platform
from muster_hub.store.urls import describe


@dataclass(frozen=True, slots=True)
class Effective:
    """Each setting with its value, for people and scripts; a store's password is left out."""

    values: dict[str, object]

    def text(self) -> str:
        """Return lines of ``name = value``, in the form of a configuration file."""
        return "\n".join(f"{name} = {msgspec.json.encode(value).decode()}" for name, value in self.values.items())

    def json(self) -> str:
        """Return one JSON object."""
        return msgspec.json.encode(self.values).decode()


def checked(settings: Settings) -> Effective:
    """Check the settings together. Raises ``SettingError`` or ``StoreRefused``."""
    found = binding(settings)
    check_platform(settings.workers, sys.platform)
    values: dict[str, object] = {name: _plain(getattr(settings, name)) for name in Settings.__struct_fields__}
    values["store"] = "embedded" if settings.store is None else describe(settings.store)
    values["key_file"] = str(settings.hub_key_file)
    values["tls"] = tls(found)
    values["enrolment"] = enrolment(settings, found)
    values["origin"] = sorted(origins(settings, found, found.port))
    return Effective({name: value for name, value in values.items() if value is not None})


def _plain(value: object) -> object:
    return value if value is None or isinstance(value, bool | int | float | str | tuple) else str(value)
