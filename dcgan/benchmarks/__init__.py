"""Speed, measured beside what it is to be compared with, in the same minutes."""

import sys

from dcgan import surroundings

if sys.argv[0] == "-m":  # `python -m dcgan.benchmarks...` is here before it is in the program
    surroundings.isolate()
