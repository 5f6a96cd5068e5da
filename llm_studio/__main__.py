"""The way in: `llm-studio`, or `python -m llm_studio`."""

import multiprocessing
import os
import sys
from pathlib import Path

from llm_studio.paths import data_folder


def main() -> None:
    """With arguments the command line, in the system's language; without, or with a project's folder, the window."""
    multiprocessing.freeze_support()  # in a frozen program, a process that trains a tokenizer starts here and ends here
    # torch's threads (Linux) wait for each other in busy loops. Short ones: beside any other busy program, a
    # training with the default was seven times slower, and alone it is as fast. OpenMP reads this at torch's import.
    os.environ.setdefault("GOMP_SPINCOUNT", "30000")
    arguments = sys.argv[1:]
    if arguments[:1] == ["--try-torch"] and len(arguments) == 3:
        sys.exit(_try_torch(*arguments[1:]))
    if (data_folder() / "torch" / "pack.json").exists():
        from llm_studio.gpu import pack

        pack.offer_to_imports()
    windowed = getattr(sys, "frozen", False) and sys.stdout is None  # "LLM Studio.exe": there is no console
    if not arguments or windowed or arguments[0] == "--self-test" or _is_project(arguments):
        from llm_studio.ui.app import main as window

        sys.exit(window(arguments))
    from llm_studio import i18n

    i18n.activate(i18n.system_language())
    from llm_studio.cli.app import main as command_line

    sys.exit(command_line())


def _try_torch(folder: str, result: str) -> int:
    """In a process of its own: whether a torch for the graphics card works."""
    from llm_studio import i18n
    from llm_studio.gpu import pack

    i18n.activate(i18n.system_language())
    return pack.try_out(folder, result)


def _is_project(arguments: list[str]) -> bool:
    """Whether the only argument is the folder of a project, as when it is dropped onto the program."""
    return len(arguments) == 1 and (Path(arguments[0]) / "config" / "config.yaml").is_file()


if __name__ == "__main__":
    main()
