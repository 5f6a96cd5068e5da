"""The way in: `llm-studio`, or `python -m llm_studio`."""

import multiprocessing
import os
import sys


def main() -> None:
    """With arguments the command line, in the system's language; without, the window."""
    multiprocessing.freeze_support()  # in a frozen program, a process that trains a tokenizer starts here and ends here
    # torch's threads (Linux) wait for each other in busy loops. Short ones: beside any other busy program, a
    # training with the default was seven times slower, and alone it is as fast. OpenMP reads this at torch's import.
    os.environ.setdefault("GOMP_SPINCOUNT", "30000")
    if len(sys.argv) == 1:
        from llm_studio.ui.app import main as window

        sys.exit(window())
    from llm_studio import i18n

    i18n.activate(i18n.system_language())
    from llm_studio.cli.app import main as command_line

    sys.exit(command_line())


if __name__ == "__main__":
    main()
