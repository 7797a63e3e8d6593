"""Measures speed together with a baseline, in the same minutes."""

import sys

from dcgan import surroundings

if sys.argv[0] == "-m":  # `python -m dcgan.benchmarks...` runs this before the program
    surroundings.isolate()
