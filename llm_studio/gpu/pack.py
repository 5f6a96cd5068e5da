"""A torch for the graphics card, installed beside the program's own: the pack, where it is and when it is used.

The packaged program contains torch's CPU build. A pack is PyTorch's own CUDA wheel, unpacked into the user's local
application data. It is used from the next start on: `offer_to_imports` makes `import torch` find it first. It must
never prevent the program from starting. Before it is first used, and whenever something about it has changed, it is
tested in another process; if that fails or dies, the program uses its own torch and says why.
"""

import contextlib
import functools
import importlib.metadata
import json
import os
import shutil
import subprocess
import sys
import tempfile
import threading
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder
from pathlib import Path
from types import ModuleType
from typing import Annotated

from llm_studio import __version__, files, records
from llm_studio.errors import BusyError, PackError, RecordError, StorageError
from llm_studio.gpu import wheel
from llm_studio.gpu.builds import fits
from llm_studio.i18n import _, language
from llm_studio.jobs import Job
from llm_studio.paths import data_folder, packaged

TRY = "--try-torch"
"""The hidden argument of the process that tests a pack: `--try-torch FOLDER RESULT`."""
_PATIENCE = 300
"""Timeout in seconds of the process that tests a pack: a virus scanner may scan gigabytes."""


@dataclass(frozen=True)
class Pack:
    """The content of `pack.json`. `version` as reported by torch, such as "2.13.0+cu130"."""

    version: str
    folder: Annotated[str, records.checked(records.reader(str), lambda name: name == Path(name).name != "")]
    """Inside the folder of packs; "" if `pack.json` is damaged, so that nothing is known of the pack."""
    tried: str = ""
    """Its `_stamp` when it was last tested."""
    problem: str = ""
    """Why it can't be used; "" if it can."""

    @property
    def summary(self) -> str:
        """Why it isn't used, as a sentence; "" if there is no problem."""
        if not self.problem or not self.folder:
            return self.problem
        return _("The GPU pack (torch {version}) can't be used, and the program's own torch is: {reason}").format(
            version=self.version, reason=self.problem
        )

    @property
    def path(self) -> Path:
        """The folder of its modules."""
        return folder() / self.folder


def folder() -> Path:
    """The folder of packs."""
    return data_folder() / "torch"


def installed() -> Pack | None:
    """The installed pack, whether it can be used or not."""
    try:
        return records.read(folder() / "pack.json", Pack, newest=None)
    except RecordError as error:
        again = _("The GPU pack can be used again once it is put in place again.")
        return Pack("", "", problem=f"{error.what} {again}")


def in_use() -> Pack | None:
    """The pack whose torch this process has imported, or would import."""
    return _state.pack


@functools.cache
def own_version() -> str:
    """The version of the program's own torch, without importing it."""
    return importlib.metadata.version("torch")


# --- Installing ---------------------------------------------------------------------------------------------------


def install(file: Path, job: Job) -> Pack:
    """Install the torch in the wheel `file`; it is used from the next start on.

    Raises PackError if it isn't a wheel for this program, is damaged or doesn't run: the previous pack is then kept.
    """
    if not fits(file.name):
        raise PackError(
            _("{file} isn't a wheel of torch for this program.").format(file=file.name),
            _("Its name must be like torch-{version}+cu130-cp{python}-cp{python}-win_amd64.whl.").format(
                version=own_version().partition("+")[0], python="".join(map(str, sys.version_info[:2]))),
        )  # fmt: skip
    with files.locked(folder(), "pack", _("A torch for the graphics card is being put in place already.")):
        pack = _put(file, job)
        _tidy()
    return pack


def _put(file: Path, job: Job) -> Pack:
    version = file.name.split("-")[1]
    place = os.urandom(4).hex()  # new: the old one may be in use; short: some paths are long
    wheel.unpack(file, folder() / place, job)
    try:
        pack = _tried(Pack(version, place))
        job.check()
        if pack.problem:
            raise PackError(
                _("This torch doesn't run on this computer: {reason}").format(reason=pack.problem),
                _("Nothing has changed: LLM Studio continues with the torch it had."),
            )
        _write(pack)
    except BaseException:
        files.remove_folder(folder() / place)
        raise
    return pack


def remove() -> None:
    """Remove the pack. Files that this process uses are removed at the next start."""
    with files.translate_os_errors(folder()):
        (folder() / "pack.json").unlink(missing_ok=True)
    tidy()


def tidy() -> None:
    """Remove everything that the installed pack doesn't need: older, removed and incomplete packs."""
    if folder().is_dir():
        with (
            contextlib.suppress(BusyError, StorageError),
            files.locked(folder(), "pack", ""),
        ):  # otherwise it is incomplete
            _tidy()


def _tidy() -> None:
    known = installed()
    if known and not known.folder:  # any of them may be the installed one
        return
    kept = {known.folder if known else "", _state.pack.folder if _state.pack else "", "downloads"}
    with contextlib.suppress(OSError):
        for path in folder().iterdir():
            if path.is_dir() and path.name not in kept:
                files.remove_folder(path)


def _write(pack: Pack) -> None:
    files.write_json(folder() / "pack.json", asdict(pack))


# --- Testing ------------------------------------------------------------------------------------------------------


def _stamp(pack: Pack) -> str:
    """Changes with the program, its own torch, and each library of the pack that is missing or truncated."""
    libraries = pack.path / "torch" / "lib"
    try:
        sizes = sorted((entry.name, entry.stat().st_size) for entry in os.scandir(libraries))
    except OSError:
        return "absent"
    return files.fingerprint(__version__, own_version(), sys.version, sizes)


def _tried(pack: Pack) -> Pack:
    """The pack after testing it in another process: with a `problem` or without."""
    return replace(pack, tried=_stamp(pack), problem=_problem(pack.path))


def _problem(path: Path) -> str:
    """Import the torch in `path` and compute with it, in another process; returns the problem, or ""."""
    command = [sys.executable] if packaged() else [sys.executable, "-m", "llm_studio"]
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as place:
        result = Path(place) / "result.json"
        try:
            done = subprocess.run(
                [*command, TRY, str(path), str(result)], env={**os.environ, "LLM_STUDIO_LANG": language()},
                stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                timeout=_PATIENCE, check=False, creationflags=getattr(subprocess, "CREATE_NO_WINDOW", 0),
            )  # fmt: skip
        except subprocess.TimeoutExpired:
            return _("it took more than {n} seconds to load.").format(n=_PATIENCE)
        found = records.recall(result, _Result)
        if found is None:
            return _("it ended the process that tried it (code {code}).").format(
                code=f"{done.returncode & 0xFFFFFFFF:#x}"
            )
        return found.problem


@dataclass(frozen=True)
class _Result:
    """The result that the testing process writes."""

    problem: str


def try_out(path: str, result: str) -> int:
    """In the testing process: import the torch in `path`, compute, write the problem to `result`."""
    problem = ""
    try:
        sys.path.insert(0, path)
        import torch

        if not Path(torch.__file__).resolve().is_relative_to(Path(path).resolve()):
            problem = _("there is no torch in {path}.").format(path=path)
        for device in ("cpu", "cuda") if torch.cuda.is_available() else ("cpu",):
            weights = torch.ones(64, 64, device=device, requires_grad=True)
            (weights @ weights).sum().backward()  # pyright: ignore[reportUnknownMemberType]
            if weights.grad is None or float(weights.grad[0, 0]) != 128.0:
                problem = _("it computes wrongly on {device}.").format(device=device)
    except Exception as error:
        problem = f"{type(error).__name__}: {error}"
    Path(result).write_text(json.dumps({"problem": problem}), encoding="utf-8")
    return 0


# --- Importing ----------------------------------------------------------------------------------------------------


class _State:
    """The state of `import torch` in this process."""

    pack: Pack | None = None


_state = _State()


def offer_to_imports() -> None:
    """Make any later `import torch` use the pack if there is a working one. Imports nothing itself."""
    if installed() is not None and "torch" not in sys.modules:
        sys.meta_path.insert(0, _Finder())


def usable() -> Pack | None:
    """The pack if it works; it is tested first if it has changed since the last test. None: use the own torch."""
    pack = installed()
    if pack is None or not pack.folder:
        return None
    if pack.tried != _stamp(pack) or _loading().exists():
        pack = _tried(pack)
        _loading().unlink(missing_ok=True)
        with contextlib.suppress(StorageError):
            _write(pack)
    return None if pack.problem else pack


def _loading() -> Path:
    """A file that exists while a process imports the pack: if it remains, the process has died."""
    return folder() / "loading"


class _Finder(MetaPathFinder):
    """Inserts the pack's folder before all others as soon as `torch` is searched for, once."""

    def __init__(self) -> None:
        self._lock = threading.RLock()

    def find_spec(
        self, fullname: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """The location of the pack's torch; None for everything else, and if the pack can't be used."""
        del path, target
        if fullname != "torch":
            return None
        with self._lock:
            if self not in sys.meta_path:
                return None
            sys.meta_path.remove(self)
            pack = usable()
            if pack is None:
                return None
            spec = PathFinder.find_spec("torch", [str(pack.path)])
            if spec is None or spec.loader is None:
                return None
            own_version()  # cache it now: from here on the pack's would be found
            sys.path.insert(0, str(pack.path))
            _state.pack = pack
            spec.loader = _Loader(spec.loader, pack)
            return spec


class _Loader(Loader):
    """Loads the pack's torch; if that fails or ends the process, it is recorded for the next start."""

    def __init__(self, inner: Loader, pack: Pack) -> None:
        self._inner, self._pack = inner, pack

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        """Delegates to the actual loader."""
        return self._inner.create_module(spec)

    def exec_module(self, module: ModuleType) -> None:
        """Run the module. Raises PackError if it fails."""
        module.__loader__ = self._inner
        if module.__spec__ is not None:
            module.__spec__.loader = self._inner
        with contextlib.suppress(OSError):
            _loading().touch()
        try:
            self._inner.exec_module(module)
        except Exception as error:
            with contextlib.suppress(StorageError):
                _write(replace(self._pack, problem=f"{type(error).__name__}: {error}"))
            raise PackError(
                _("The torch for the graphics card can't be loaded: {reason}").format(reason=error),
                _("Start LLM Studio again: it then uses its own torch, on the processor."),
            ) from error
        finally:
            with contextlib.suppress(OSError):
                _loading().unlink(missing_ok=True)


def free_space() -> int:
    """Free bytes on the disk of packs."""
    place = folder()
    while not place.exists() and place != place.parent:
        place = place.parent
    return shutil.disk_usage(place).free
