"""The way in: `llm-studio`, or `python -m llm_studio`."""

import sys


def main() -> None:
    """Speak the system's language and run the command line."""
    from llm_studio import i18n

    i18n.activate(i18n.system_language())
    from llm_studio.cli.app import main as command_line

    sys.exit(command_line())


if __name__ == "__main__":
    main()
