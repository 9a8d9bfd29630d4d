"""Lists that the hub shows page by page, read within one limit of pages and one of time."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar

from muster_client.errors import HubUnreachable

MAX_PAGES = 256
"""Pages of one list read at most: four times as many as a device's own statements take at an honest hub."""
READING_S = 60.0
"""How long the pages of one list may take together."""

Entry = TypeVar("Entry")


async def read_pages(ask: Callable[[Sequence[Entry]], Awaitable[tuple[Sequence[Entry], bool]]]) -> list[Entry]:
    """Return each entry of a list once. ``ask`` gets those before a page, and returns the page and whether more come.

    A page with nothing new is the last: the hub repeats itself. Raises ``HubUnreachable`` after ``READING_S``, and what
    ``ask`` raises.
    """
    found: list[Entry] = []
    known: set[Entry] = set()
    try:
        async with asyncio.timeout(READING_S):
            for _ in range(MAX_PAGES):
                page, more = await ask(found)
                news = [entry for entry in dict.fromkeys(page) if entry not in known]
                found += news
                known.update(news)
                if not more or not news:
                    break
    except TimeoutError:
        raise HubUnreachable("the hub did not show the whole list in time") from None
    return found
