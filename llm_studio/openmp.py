"""How the threads that share torch's work on a processor wait for each other.

Whoever imports torch calls `wait_briefly` first: OpenMP reads its settings when it is loaded. Started processes inherit
them.
"""

import os

WAITING = {"GOMP_SPINCOUNT": "3000", "KMP_BLOCKTIME": "0"}
"""Of GNU's OpenMP, which torch uses on Linux, and of Intel's, which it uses on Windows."""


def wait_briefly() -> None:
    """Have threads spin only briefly while they wait, then sleep, unless the environment already says how they wait.

    A thread that spins uses up its time on the core. Beside another busy program it is then suspended when its turn
    to compute comes, and all others wait for it, at each of the hundreds of barriers of a step. Threads that sleep at
    once make room for others, but alone they are woken too late: training loses a third.
    """
    if "OMP_WAIT_POLICY" not in os.environ:
        for name, value in WAITING.items():
            os.environ.setdefault(name, value)
