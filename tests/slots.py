"""The slots of the store's keys."""


def slot_tag(key: bytes) -> bytes:
    """Return the hash tag of a key, without braces. Keys with one tag lie in one slot; each of ours has a tag."""
    start = key.index(b"{")
    return key[start + 1 : key.index(b"}", start)]
