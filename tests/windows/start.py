"""Start-up time: from the start of the process to the line "ready" in its log, written once the window is painted.

`python -m tests.windows.start "C:\\...\\LLM Studio.exe"` measures a packaged program; it only needs Python.
"""

import datetime
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

STARTS = 7


def starts(command: list[str], home: Path, times: int = STARTS) -> list[float]:
    """The seconds of each of several starts. `home` is the folder of the program's settings and log meanwhile."""
    seconds: list[float] = []
    log = home / "logs" / "llm-studio.log"
    for _again in range(times):
        log.unlink(missing_ok=True)
        begun = time.time()
        process = subprocess.Popen(command, env={**os.environ, "LLM_STUDIO_HOME": str(home)})
        try:
            while not (log.exists() and "ready" in log.read_text(encoding="utf-8")):
                if process.poll() is not None or time.time() > begun + 120:
                    raise SystemExit(f"{command[0]} ended, or was not ready after two minutes")
                time.sleep(0.005)
        finally:
            process.kill()
            process.wait()
        line = next(line for line in log.read_text(encoding="utf-8").splitlines() if line.endswith("ready"))
        seconds.append(datetime.datetime.strptime(line[:23], "%Y-%m-%d %H:%M:%S,%f").timestamp() - begun)
    return seconds


def show(seconds: list[float]) -> None:
    """Print the measurements."""
    print(f"start to painted window: median {statistics.median(seconds):.2f} s, first {seconds[0]:.2f} s, "
          f"slowest {max(seconds):.2f} s")  # fmt: skip


if __name__ == "__main__":
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        show(starts(sys.argv[1:], Path(folder)))
