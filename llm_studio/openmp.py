"""How torch's processor threads wait for each other.

Call `wait_briefly` before importing torch: OpenMP reads its settings when it is loaded. Child processes inherit them.
"""

import os

WAITING = {"GOMP_SPINCOUNT": "3000", "KMP_BLOCKTIME": "0"}
"""Environment variables of GNU's OpenMP, which torch uses on Linux, and of Intel's, which it uses on Windows."""


def wait_briefly() -> None:
    """Make threads spin only briefly while they wait, then sleep, unless the environment already configures this.

    A spinning thread uses up its time slice. If another program is busy, the thread is then suspended just when it
    should compute, and all others wait for it, at each of the hundreds of barriers of a step. Threads that sleep
    immediately leave the core to other programs, but without any they are woken too late: a third of the speed is lost.
    """
    if "OMP_WAIT_POLICY" not in os.environ:
        for name, value in WAITING.items():
            os.environ.setdefault(name, value)
