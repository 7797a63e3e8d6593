"""Trains a DCGAN and makes use of it: `python main.py --help`."""

import os
import signal
import sys

from dcgan import UserError, config, flags, quiet

COMMANDS = {
    "train": "train, or go on with the run folder (the default)",
}


def main(argv: list[str]) -> int:
    """Runs one command; returns the exit code (0 done, 2 refused, 130 Ctrl-C, 143 SIGTERM)."""
    try:
        command, given = flags.parse(argv, COMMANDS)
        if command == "help":
            print(flags.help_text(COMMANDS))
            return 0
        resolved = config.resolve(given)
        os.environ["KERAS_BACKEND"] = "tensorflow"  # whatever the user's other projects need
        os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "1")
        with quiet.quiet_start():
            # These load TensorFlow: not for --help, not for a refusal.
            from dcgan import commands
            from dcgan.training import strategy

            strategy.grow_gpu_memory()

        return commands.run(command, resolved)
    except UserError as error:
        print(f"\nerror: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("\nStopped by Ctrl-C; what was written before is whole.", file=sys.stderr)
        return 128 + signal.SIGINT


if __name__ == "__main__":
    # Until training takes the signal over to save first, SIGTERM ends the process at once.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    sys.exit(main(sys.argv[1:]))
