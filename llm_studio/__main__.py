"""The way in: `llm-studio`, or `python -m llm_studio`."""

import os
import sys


def main() -> None:
    """Speak the system's language and run the command line."""
    # torch's threads would wait for each other in busy loops: beside any other busy program a training got
    # three to seven times slower. Read by OpenMP when torch is first imported.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    from llm_studio import i18n

    i18n.activate(i18n.system_language())
    from llm_studio.cli.app import main as command_line

    sys.exit(command_line())


if __name__ == "__main__":
    main()
