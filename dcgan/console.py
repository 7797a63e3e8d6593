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


def printable_lines(text: str) -> str:
    """The same of each line of a text that has several."""
    return "\n".join(map(printable, text.split("\n")))


class Formatter(logging.Formatter):
    """What is logged, as `printable_lines`."""

    def format(self, record: logging.LogRecord) -> str:
        return printable_lines(super().format(record))
