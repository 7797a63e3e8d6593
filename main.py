"""Prepares pictures, trains a DCGAN on them and uses it: `python main.py --help`."""

import os
import sys

if os.environ.pop("PYTHONSAFEPATH", None):  # which keeps a program from finding what lies beside it
    sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

from dcgan.__main__ import main, start

__all__ = ["main"]

if __name__ == "__main__":
    start()
