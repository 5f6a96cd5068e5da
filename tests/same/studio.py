"""The program's command line, run in a folder of its own."""

import json
import os
import subprocess
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from tests.same.digests import Lines, cleaned

PROMPT = "Once upon a time"


class Studio:
    """The command line of the checkout `program`, in the folder `root`."""

    def __init__(self, root: Path, program: Path, lines: Lines) -> None:
        self.root, self.lines = root, lines
        self._environment = os.environ | {
            "PYTHONPATH": str(program), "LLM_STUDIO_LANG": "en", "LLM_STUDIO_HOME": str(root / "home"),
            "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": "", "PYTHONHASHSEED": "0", "HF_HUB_OFFLINE": "1",
        }  # fmt: skip

    def start(self, *arguments: str, output: int = subprocess.DEVNULL) -> "subprocess.Popen[str]":
        command = [sys.executable, *(arguments if arguments[0] == "-c" else ("-m", "llm_studio", *arguments))]
        return subprocess.Popen(command, cwd=self.root, env=self._environment, stdin=subprocess.DEVNULL, stdout=output,
                                stderr=subprocess.PIPE, text=True, encoding="utf-8")  # fmt: skip

    def output(self, *arguments: str, code: int = 0) -> str:
        """What a command prints. It must end with `code`."""
        process = self.start(*arguments, output=subprocess.PIPE)
        out, errors = process.communicate()
        assert process.returncode == code, f"{arguments}: {process.returncode}\n{out[-2000:]}\n{errors[-4000:]}"
        return out

    def figures(self, *arguments: str) -> dict[str, Any]:
        """The figures of a command's last event."""
        last = json.loads(self.output(*arguments, "--json").splitlines()[-1])
        assert last["event"] == "done", last
        return last["figures"] or {}

    def show(self, name: str, *arguments: str, drop: Iterable[str] = ()) -> None:
        """Run a command and hash its figures."""
        self.lines.add(name, cleaned(self.figures(*arguments), drop))

    def train(self, run: str, changes: Mapping[str, object], *more: str, project: str = "en") -> None:
        self.show(f"train {project} {run}", "train", project, "--run", run, *more, *settings(changes))

    def generate(self, name: str, *arguments: str, prompt: Sequence[str] = ("--prompt", PROMPT)) -> None:
        self.show(f"generate {name}", "generate", *prompt, *arguments)


def settings(changes: Mapping[str, object]) -> list[str]:
    return [word for name, value in changes.items() for word in ("--set", f"{name}={scalar(value)}")]


def scalar(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
