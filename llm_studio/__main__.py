"""The entry point: `llm-studio`, or `python -m llm_studio`."""

import datetime
import faulthandler
import multiprocessing
import os
import sys
from pathlib import Path

from llm_studio import __version__
from llm_studio.openmp import wait_briefly
from llm_studio.paths import data_folder, log_folder

_CRASH_BYTES = 1_000_000


def main() -> None:
    """With arguments, run the command line; without, or with only a project's folder, open the window."""
    arguments = sys.argv[1:]
    windowed = getattr(sys, "frozen", False) and sys.stdout is None  # "LLM Studio.exe": there is no console
    to_window = not arguments or windowed or arguments[0] == "--self-test" or _is_project(arguments)
    _give_output()
    _report_crashes(to_file=to_window)
    multiprocessing.freeze_support()  # in a frozen program, worker processes start and end here
    wait_briefly()  # before anything imports torch
    if arguments[:1] == ["--try-torch"] and len(arguments) == 3:
        sys.exit(_try_torch(*arguments[1:]))
    if (data_folder() / "torch" / "pack.json").exists():
        from llm_studio.gpu import pack

        pack.offer_to_imports()
    if to_window:
        from llm_studio.ui.window.app import main as window

        sys.exit(window(arguments))
    from llm_studio import i18n

    i18n.activate(i18n.system_language())
    from llm_studio.cli.app import main as command_line

    sys.exit(command_line())


def _give_output() -> None:
    """Replace the missing stdout and stderr of a windowed program by null devices: libraries write to them, and so does
    Python itself if a worker process fails."""
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:
            setattr(sys, name, Path(os.devnull).open("w", encoding="utf-8"))  # noqa: SIM115  open until the end


def _report_crashes(to_file: bool) -> None:
    """Write the traceback of a crash to stderr, or to crash.log for a window, which may have no stderr.

    On Windows only that of the crashing thread, since the handler is also called for errors that Windows' own dialogs
    handle while other threads are running.
    """
    every = sys.platform != "win32"
    if not to_file:
        faulthandler.enable(all_threads=every)
        return
    try:
        log_folder().mkdir(parents=True, exist_ok=True)
        crash = (log_folder() / "crash.log").open("a", encoding="utf-8")
        if crash.tell() > _CRASH_BYTES:
            crash.truncate(0)
        now = datetime.datetime.now().astimezone().isoformat(" ", "seconds")
        print(f"{now} LLM Studio {__version__}, process {os.getpid()}", file=crash, flush=True)
    except OSError:  # a read-only folder
        return
    faulthandler.enable(crash, all_threads=every)


def _try_torch(folder: str, result: str) -> int:
    """Test in a separate process whether a torch for the graphics card works."""
    from llm_studio import i18n
    from llm_studio.gpu import pack

    i18n.activate(i18n.system_language())
    return pack.try_out(folder, result)


def _is_project(arguments: list[str]) -> bool:
    """Whether the only argument is a project's folder, as when it is dropped on the program's icon."""
    return len(arguments) == 1 and (Path(arguments[0]) / "config" / "config.yaml").is_file()


if __name__ == "__main__":
    main()
