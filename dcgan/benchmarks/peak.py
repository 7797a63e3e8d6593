"""`python -m dcgan.benchmarks.peak FILE PROGRAM ...`: runs it, and writes its peak.

That is the most memory, in megabytes, that the process ever had resident. It is asked for inside of
the process, by /proc: what the system tells the parent of a process begins with the parent's own
size. Not for Windows.
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
    """Runs the program with the words behind its name, and writes its peak however it ends."""
    # At exit, and not after the program: ours ends the process itself.
    atexit.register(lambda: to.write_text(f"{megabytes():.1f}"))
    run = runpy.run_path if program.endswith(".py") else runpy.run_module
    run(program, run_name="__main__")


if __name__ == "__main__":
    _, file, *sys.argv = sys.argv
    main(Path(file), sys.argv[0])
