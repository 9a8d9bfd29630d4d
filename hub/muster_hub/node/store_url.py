"""The store's URL: the one in the settings, or that of the embedded store."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from muster_hub.concurrency import alongside
from muster_hub.config.settings import Settings
from muster_hub.store.embedded import EmbeddedStore


class StoreEndedError(Exception):
    """Raised when the embedded store ended for good; the sentence says why."""


@asynccontextmanager
async def store_url(settings: Settings) -> AsyncIterator[str]:
    """Return the store's URL while the body runs; the embedded store runs as long.

    Raises ``StoreRefused``, and in an ``ExceptionGroup`` ``StoreEndedError`` when the embedded store ended.
    """
    if settings.store is not None:
        yield settings.store
        return
    store = EmbeddedStore(settings.data_dir, settings.store_memory_mib)
    async with store as embedded, alongside(_until_it_ends(embedded)):
        yield embedded.url


async def _until_it_ends(embedded: EmbeddedStore) -> None:
    raise StoreEndedError(await embedded.died())
