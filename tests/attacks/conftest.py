"""What all attacks share: the fixtures of the integration tests, which run the product's own code on a real store."""

from tests.integration.conftest import embedded_store, store, store_url
from tests.integration.hub.conftest import (
    ask_store,
    desk,
    desks,
    eventually,
    hub_settings,
    links,
    node,
    pair,
    records,
    start_node,
)

__all__ = [
    "ask_store",
    "desk",
    "desks",
    "embedded_store",
    "eventually",
    "hub_settings",
    "links",
    "node",
    "pair",
    "records",
    "start_node",
    "store",
    "store_url",
]
