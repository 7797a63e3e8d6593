"""Trains a DCGAN, makes data for it and makes use of it: `python main.py --help`."""

import os
import signal
import sys

from dcgan import UserError, commands, config, console, flags, options


def main(argv: list[str]) -> int:
    """Runs one command; returns the exit code (0 done, 2 refused, 130 Ctrl-C, 143 SIGTERM)."""
    try:
        command, given = flags.parse(argv)
        if command == "help":
            return show(flags.help_text(**given))
        if command == "train":
            return commands.run(command, config.resolve(given))
        return commands.run(command, options.complete(command, given))
    except UserError as error:
        print(f"\nerror: {console.printable(str(error))}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("\nStopped by Ctrl-C; what was written before is whole.", file=sys.stderr)
        return 128 + signal.SIGINT


def show(text: str) -> int:
    """Prints a text; returns the exit code."""
    try:
        print(text, flush=True)
    except BrokenPipeError:  # `--help | head` has read enough; Python's own flush would fail again
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return 0


if __name__ == "__main__":
    # Until training takes the signal over to save first, SIGTERM ends the process at once.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    sys.exit(main(sys.argv[1:]))
