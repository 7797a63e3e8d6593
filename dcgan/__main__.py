"""What `python main.py`, `python -m dcgan` and the installed program `dcgan` share: all of it."""

import signal
import sys

from dcgan import UserError, __version__, commands, surroundings
from dcgan.cli import command_options, flags, help
from dcgan.cli.resolve import resolve
from dcgan.terminal import console


def main(argv: list[str]) -> int:
    """Runs one command.

    Returns:
        the exit code: 0 done, 2 refused, 128 and the signal's number where one ended it.
    """
    try:
        command, given = flags.parse(argv)
        if command == "help":
            code = print(help.help_text(**given)) or 0
        elif command == "version":
            code = print(f"dcgan {__version__}") or 0
        elif command == "train":
            return commands.run(command, resolve(given))
        else:
            code = commands.run(command, command_options.complete(command, given))
        if error := console.output_failure():
            raise UserError(f"Standard output could not be written: {error.strerror}.")
        return code
    except UserError as error:
        # `serving.follow` finds the sentence by the word "error: ".
        print(f"\nerror: {console.printable(str(error))}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("\nStopped by Ctrl-C; files already written are complete.", file=sys.stderr)
        return 128 + signal.SIGINT


def end(number: int, frame=None) -> None:
    """Ends the process at once, until training takes the signal over to save first."""
    sys.exit(128 + number)


def hang_up(number: int, frame=None) -> None:
    """Treats the closing of the terminal as SIGTERM, which the server, for one, handles itself."""
    if signal.getsignal(signal.SIGTERM) is end:
        end(number)
    signal.raise_signal(signal.SIGTERM)


def start() -> None:
    """Runs the command of this process's words, and ends the process."""
    console.open_streams()
    surroundings.isolate()
    signal.signal(signal.SIGTERM, end)
    if hasattr(signal, "SIGHUP") and signal.getsignal(signal.SIGHUP) != signal.SIG_IGN:
        signal.signal(signal.SIGHUP, hang_up)
    console.exit_quickly(main(sys.argv[1:]))


if __name__ == "__main__":
    start()
