"""Real steps in a process of their own: what they take of memory and time, without any danger for this one.

Where a computer promises more memory than it has, the system ends whoever asks for too much: let that be the other
process. A cancel ends it too. A frozen program must call `multiprocessing.freeze_support()` first thing.
"""

import re
import sys
from pathlib import Path

import psutil


def peak_bytes() -> int:
    """The most memory that this process has had so far."""
    if sys.platform == "win32":
        return psutil.Process().memory_info().peak_wset
    if sys.platform == "linux":  # getrusage also counts what the parent had when it started this process
        found = re.search(r"^VmHWM:\s*(\d+) kB", Path("/proc/self/status").read_text(encoding="utf-8"), re.MULTILINE)
        return 1024 * int(found[1]) if found else psutil.Process().memory_info().rss
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
