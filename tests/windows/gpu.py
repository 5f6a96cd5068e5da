"""A torch for the graphics card in the packaged program, from a server on loopback to its removal.

    python -m tests.windows.gpu "dist/LLM Studio" torch-2.12.0-cp311-cp311-win_amd64.whl --runner ... --root ...

Any other version of torch for Windows serves as the wheel: it is offered under the name of a CUDA build. Where there
is no card, `nvml.c` is compiled (MinGW) into the library of one that claims to be there: on a real Windows that needs
an administrator. The wheel is fetched and unpacked, used by the next start, damaged (the program must go on with its
own torch and say why), and removed.
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


def main() -> int:
    """Do it all; 1 where something is wrong."""
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
    print("\n".join(problems) or "all is well")
    return 1 if problems else 0


def walk(machine: Machine, program: str, version: str) -> list[str]:
    """Fetch, use, damage, remove; what was wrong."""
    problems: list[str] = []

    def run(*arguments: str, says: tuple[str, ...]) -> None:
        done = machine.run(program, *arguments)
        text = (done.stdout + done.stderr).decode("utf-8", "replace")
        print(text)
        flat = " ".join(text.split())
        problems.extend(f"{' '.join(arguments)}: nothing of “{words}”" for words in says if words not in flat)

    run("gpu", says=("to fetch", f"torch {version}", "is in place"))
    run("doctor", says=(version,))
    for library in machine.path(HOME).rglob("torch_cpu.dll"):
        os.truncate(library, 1_000_000)
    run("doctor", says=("can't be used",))
    run("gpu", "--remove", says=("own torch is used",))
    left = [str(path) for path in machine.path(HOME).rglob("torch_cpu.dll")]
    return problems + [f"left behind: {path}" for path in left]


if __name__ == "__main__":
    sys.exit(main())
