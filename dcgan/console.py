"""What is shown on the terminal: text from outside cannot give it orders.

Names of files, tags and what a server says may hold control characters, which move the cursor,
change what was written before, or end a line and begin another that looks like ours.
"""

import logging


def printable(text: str) -> str:
    """The text on one line, with escapes such as \\x1b for everything that is not plainly visible.

    Besides control characters these are marks that turn the direction of writing, and halves of
    characters, which no terminal can show.
    """
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


class Formatter(logging.Formatter):
    """What is logged: its own lines, and `printable` all that is put into them."""

    def format(self, record: logging.LogRecord) -> str:
        shown = logging.makeLogRecord(record.__dict__)
        if isinstance(record.args, tuple):
            shown.args = tuple(map(_shown, record.args))
        return "\n".join(map(printable, super().format(shown).split("\n")))


def _shown(value: object) -> object:
    """As it is put into a line; numbers stay numbers."""
    return value if isinstance(value, int | float) else printable(str(value))
