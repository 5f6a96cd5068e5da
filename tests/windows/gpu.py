"""The CUDA build of torch in the packaged program: downloaded from a server on loopback, used, damaged, removed.

    python -m tests.windows.gpu "dist/LLM Studio" torch-2.12.0-cp311-cp311-win_amd64.whl --runner ... --root ...

Any other version of torch for Windows can be the wheel: it is served under the name of a CUDA build. On a computer
without a card, `nvml.c` is compiled (MinGW) as the library of a simulated one; on a real Windows this needs an
administrator. The wheel is downloaded and unpacked, used at the next start, damaged (the program must fall back to its
own torch and report why), and removed.
"""

import argparse
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.gpu.index import serving
from tests.windows.check import Machine

CARD = r"C:\windows\system32\nvml.dll"
HOME = r"C:\gpu-test"
DOWNLOADED = ("to download", "is installed")
DAMAGED = ("can't be used",)
REMOVED = ("PyTorch of the program is used",)
"""What the program prints in each case. `tests/windows/test_check.py` compares it with the program's messages."""


def main() -> int:
    """Run the whole check; return 1 if something fails."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bundle", type=Path)
    parser.add_argument("wheel", type=Path)
    parser.add_argument("--runner", default="")
    parser.add_argument("--root", default="")
    options = parser.parse_args()
    machine = Machine(options.runner, options.root)
    program = str((options.bundle / "llm-studio.exe").absolute())
    version = options.wheel.name.split("-")[1].split("+")[0]
    library = machine.path(CARD)
    made = not library.exists()
    if made:
        compiler = ("x86_64-w64-mingw32-gcc", "-shared", "-o", str(library))
        subprocess.run([*compiler, str(Path(__file__).with_name("nvml.c"))], check=True)
    try:
        with tempfile.TemporaryDirectory() as folder:
            tag = options.wheel.name.split("-", 2)[2]
            (Path(folder) / f"torch-{version}+cu130-{tag}").symlink_to(options.wheel.absolute())
            with serving(Path(folder)) as index:
                os.environ.update(LLM_STUDIO_HOME=HOME, LLM_STUDIO_TORCH_INDEX=index.address, PYTHONUTF8="1")
                problems = walk(machine, program, version)
    finally:
        if made:
            library.unlink()
    print("\n".join(problems) or "no problems")
    return 1 if problems else 0


def walk(machine: Machine, program: str, version: str) -> list[str]:
    """Download, use, damage and remove the wheel; return the problems."""
    problems: list[str] = []

    def run(*arguments: str, says: tuple[str, ...]) -> None:
        done = machine.run(program, *arguments)
        text = (done.stdout + done.stderr).decode("utf-8", "replace")
        print(text)
        flat = " ".join(text.split())
        problems.extend(f"{' '.join(arguments)}: “{words}” was not printed" for words in says if words not in flat)

    run("gpu", says=(*DOWNLOADED, f"PyTorch {version}"))
    run("doctor", says=(version,))
    for library in machine.path(HOME).rglob("torch_cpu.dll"):
        os.truncate(library, 1_000_000)
    run("doctor", says=DAMAGED)
    run("gpu", "--remove", says=REMOVED)
    left = [str(path) for path in machine.path(HOME).rglob("torch_cpu.dll")]
    return problems + [f"left behind: {path}" for path in left]


if __name__ == "__main__":
    sys.exit(main())
