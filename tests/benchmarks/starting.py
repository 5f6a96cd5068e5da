"""Response time of the command line."""

import statistics
import subprocess
import sys
import time


def main() -> None:
    """Print the median time of `llm-studio --help`."""
    times: list[float] = []
    for _round in range(7):
        began = time.perf_counter()
        subprocess.run([sys.executable, "-m", "llm_studio", "--help"], capture_output=True, check=True)
        times.append(time.perf_counter() - began)
    print(f"llm-studio --help: {statistics.median(times):.2f} s (bar 0.5 s)")
