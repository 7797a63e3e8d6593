"""`python -m dcgan.benchmarks.peak FILE PROGRAM ...` runs a program and writes its peak memory.

The peak is the most resident memory of the process, in megabytes. It is read inside the process,
from /proc or getrusage, as what the system reports to the parent starts at the parent's own size.
It does not work on Windows.
"""

import atexit
import re
import resource
import runpy
import sys
from pathlib import Path


def megabytes() -> float:
    status = Path("/proc/self/status")
    if status.exists():
        return int(re.search(r"VmHWM:\s+(\d+) kB", status.read_text())[1]) / 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20  # macOS: in bytes


def main(to: Path, program: str) -> None:
    """Runs the program with the arguments after its name, and writes its peak however it ends."""
    # At exit, as our program ends the process itself.
    atexit.register(lambda: to.write_text(f"{megabytes():.1f}"))
    run = runpy.run_path if program.endswith(".py") else runpy.run_module
    run(program, run_name="__main__")


if __name__ == "__main__":
    _, file, *sys.argv = sys.argv
    main(Path(file), sys.argv[0])
