"""Text from outside, such as a hub's words, made safe to show: it moves no cursor, and hides and reverses nothing."""

import json

__all__ = ["visible", "visible_json"]


def visible(text: str) -> str:
    r"""Return the text with each character that does not print on its own written as its escape, such as ``\x1b``.

    These are the control characters C0 and C1 with DEL, the marks that reverse the direction of a line, characters
    without width, separators of lines and paragraphs, every space but the usual one, and lone surrogates.
    """
    if text.isprintable():
        return text
    return "".join(one if one.isprintable() else one.encode("unicode_escape").decode("ascii") for one in text)


def visible_json(document: str) -> str:
    """Return a JSON text with each such character as a JSON escape: it says the same, and no terminal obeys it."""
    if document.isprintable():
        return document
    return "".join(one if one.isprintable() else json.dumps(one)[1:-1] for one in document)
