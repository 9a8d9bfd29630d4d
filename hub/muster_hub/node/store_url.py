"""Where the store is: the one that the settings name, or one of the hub's own."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from muster_hub.concurrency import alongside
from muster_hub.config.settings import Settings
from muster_hub.store.embedded import EmbeddedStore


class StoreEndedError(Exception):
    """The embedded store ended for good; the sentence says why."""


@asynccontextmanager
async def store_url(settings: Settings) -> AsyncIterator[str]:
    """Return the store's URL, for the body's time; the embedded store runs for as long.

    Raises ``StoreRefused``, and in an ``ExceptionGroup`` ``StoreEndedError`` when the embedded store ended.
    """
    if settings.store is not None:
        yield settings.store
        return
    async with EmbeddedStore(settings.data_dir) as embedded, alongside(_until_it_ends(embedded)):
        yield embedded.url


async def _until_it_ends(embedded: EmbeddedStore) -> None:
    raise StoreEndedError(await embedded.died())
