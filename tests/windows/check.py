"""Builds the packaged program from a clean clone, installs, drives and uninstalls it, and looks for files left behind.

On Windows:  python -m tests.windows.check
On Linux:    python -m tests.windows.check --runner "wine-run.sh DIR" --root DIR/prefix/drive_c

`--runner`: the command that starts a Windows program, "python" included; `--root`: the folder of its drive C:.
`--bundle FOLDER` uses an existing build. Prints times and sizes; exits with 1 if a check fails.

It can be repeated with the same `--out`, whose clone it replaces. A copy of the program that is installed already is
uninstalled first; its settings are put aside and put back at the end.
"""

import argparse
import json
import os
import re
import shlex
import shutil
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path, PureWindowsPath

from llm_studio.export.formats import FORMATS
from tests.data.samples import samples
from tests.windows import imports, package, readers

NAME = package.NAME
LOCAL = r"AppData\Local"
LARGEST = 700_000_000
"""Bytes that the folder with the CPU build of torch may take."""


UNINSTALL = """
import os, subprocess, sys, time
subprocess.run([os.path.join(sys.argv[1], "uninstall.exe"), "/S"])
until = time.monotonic() + 120
while any(map(os.path.exists, sys.argv[1:])) and time.monotonic() < until:
    time.sleep(0.5)
"""
"""The uninstaller starts a copy of itself and returns at once, so the script waits until the folders are gone."""
UNINSTALL_EARLIER = f"""
import subprocess, sys, time, winreg
KEY = r"Software\\Microsoft\\Windows\\CurrentVersion\\Uninstall\\{NAME}"
def value(name):
    try:
        with winreg.OpenKey(winreg.HKEY_CURRENT_USER, KEY) as key:
            return winreg.QueryValueEx(key, name)[0]
    except FileNotFoundError:
        return ""
if not value("UninstallString"):
    sys.exit(0)
sys.stdout.buffer.write(value("InstallLocation").encode())
sys.stdout.flush()
try:
    subprocess.run(value("UninstallString") + " /S /KEEP=1")
except OSError:
    with winreg.OpenKey(winreg.HKEY_CURRENT_USER, KEY.rpartition(chr(92))[0], 0, winreg.KEY_ALL_ACCESS) as parent:
        winreg.DeleteKey(parent, {NAME!r})
until = time.monotonic() + 120
while value("UninstallString") and time.monotonic() < until:
    time.sleep(0.5)
sys.exit(1 if value("UninstallString") else 0)
"""
"""Uninstalls a copy of the program that is installed already, and prints its folder; the settings stay. The key in the
registry is the last thing the uninstaller removes. Where the folder was deleted by hand, only the key is left: as long
as it is there, the installer would choose that folder again."""
WITHOUT_AMX = {"ONEDNN_MAX_CPU_ISA": "AVX512_CORE_BF16", "DNNL_MAX_CPU_ISA": "AVX512_CORE_BF16"}
"""Under Wine on a processor with AMX: Linux lets a process use the tile registers only after it has asked for them
(arch_prctl, ARCH_REQ_XCOMP_PERM). oneDNN's build for Windows doesn't make this Linux call, so its first AMX instruction
ends the program as an illegal one. DNNL is an earlier name of oneDNN."""
MEASURED = ("threads.json", "graphs.json")
"""Measurements that the program stores in its data folder on a computer with more than two cores, or with a GPU."""


class Machine:
    """Starts Windows programs and finds their files."""

    def __init__(self, runner: str, root: str) -> None:
        self.runner, self.root = shlex.split(runner), Path(root) if root else None
        self.python = sys.executable if self.root is None else "python"
        self.environment = {**os.environ, **({} if self.root is None else WITHOUT_AMX)}

    def run(self, *command: str, timeout: float = 900, captured: bool = True) -> subprocess.CompletedProcess[bytes]:
        """Run a program until it ends, and print how long it took.

        Unless `captured`, it gets no output handles, like a windowed program that is started by a double click.
        """
        begun = time.monotonic()
        done = subprocess.run(
            [*self.runner, *command], capture_output=captured, timeout=timeout, check=False, env=self.environment
        )
        print(
            f"  {time.monotonic() - begun:6.1f} s  exit {done.returncode}  {PureWindowsPath(command[0]).name}",
            flush=True,
        )
        return done

    def path(self, windows: str) -> Path:
        """The path in this system of a path on drive C:."""
        return Path(windows) if self.root is None else self.root.joinpath(*PureWindowsPath(windows).parts[1:])

    def home(self) -> str:
        """The user's folder, as a Windows path."""
        if self.root is None:
            return os.environ["USERPROFILE"]
        done = self.run(self.python, "-c", "import os; print(os.environ['USERPROFILE'])")
        return done.stdout.decode("utf-8", "replace").split()[-1]

    @property
    def other_folder(self) -> str:
        """A folder with an accent in its name, outside the user's folder if possible."""
        return rf"{self.home()}\LLM Studio - Jérôme" if self.root is None else r"C:\users\Jérôme"


def tree(folder: Path) -> set[str]:
    """All files below a folder."""
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


def remove(folder: Path) -> None:
    """Delete a folder if it exists. Git's objects are read-only files, which Windows refuses to delete."""
    if folder.exists():
        for path in folder.rglob("*"):
            if not path.is_symlink():
                path.chmod(stat.S_IRWXU)
        shutil.rmtree(folder)


def clone(source: Path, checkout: Path) -> None:
    """A fresh clone of `source` at `checkout`, in place of the one that an earlier check left there."""
    remove(checkout)
    subprocess.run(["git", "clone", "--quiet", str(source), str(checkout)], check=True)


def build(machine: Machine, checkout: Path) -> Path:
    """Build the folder from a fresh clone at `checkout`."""
    clone(package.ROOT, checkout)
    os.chdir(checkout)
    pip = ("-m", "pip", "install", "-q", "--no-deps", "--no-build-isolation", "--force-reinstall", ".")
    for command in (pip, ("-m", "PyInstaller", "--noconfirm", "--log-level", "WARN", "build.spec")):
        done = machine.run(machine.python, *command, timeout=3000)
        if done.returncode:
            raise SystemExit((done.stdout + done.stderr).decode("utf-8", "replace")[-5000:])
    return checkout / "dist" / NAME


def self_test(machine: Machine, program: str, out: str, projects: str) -> list[str]:
    """Let the installed window test itself; return the problems."""
    for place in (out, projects):
        remove(machine.path(place))
    begun = datetime.now()
    done = machine.run(program, "--self-test", out, projects, captured=False)
    try:
        result = json.loads((machine.path(out) / "result.json").read_text(encoding="utf-8"))
        log = (machine.path(out) / "home" / "logs" / "llm-studio.log").read_text(encoding="utf-8")
    except OSError as error:
        return [f"the self-test ended with {done.returncode} without a result: {error}"]
    ready = re.search(r"^(.+),(\d+) INFO llm_studio: ready$", log, re.MULTILINE)
    if ready:
        painted = datetime.strptime(f"{ready[1]}.{ready[2]}", "%Y-%m-%d %H:%M:%S.%f")
        after = (painted - begun).total_seconds()
        print(f"         painted {after:.1f} s after the start; {result['seconds']}")
    print(f"         pictures in {machine.path(out)}")
    problems = list(result["problems"])
    if done.returncode or not ready:
        problems.append(f"the self-test ended with {done.returncode}")
    if machine.root is None and not result["without_output"]:
        problems.append("the window was started with output handles, unlike a double click")
    if not list(machine.path(projects).rglob("model.safetensors")):
        problems.append(f"nothing was trained in {projects}")
    return problems


def main() -> int:
    """Run the whole check; return 1 if something fails."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runner", default="")
    parser.add_argument("--root", default="")
    parser.add_argument("--bundle", type=Path)
    parser.add_argument("--fast", action="store_true", help="make the installer fast instead of small")
    parser.add_argument("--out", type=Path, default=Path("dist-windows"))
    options = parser.parse_args()
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(errors="replace")  # pyright: ignore[reportAttributeAccessIssue]  a Windows console uses cp1252
    machine, out = Machine(options.runner, options.root), options.out.absolute()
    out.mkdir(parents=True, exist_ok=True)
    print("build")
    bundle = options.bundle.absolute() if options.bundle else build(machine, out / "checkout")
    problems = imports.faults(bundle)
    for size, part in imports.sizes(bundle):
        print(f"  {size:8.1f} MB  {part}")
    total = package.bundle_size(bundle)
    print(f"  {total / 1e6:8.1f} MB  total")
    if total > LARGEST:
        problems.append(f"the folder takes more than {LARGEST / 1e6:.0f} MB")
    print("package")
    setup, archive = package.installer(bundle, out, options.fast), package.portable_zip(bundle, out)
    for made in (setup, archive):
        print(f"  {made.stat().st_size / 1e6:8.1f} MB  {made.name}")
    earlier = uninstall_earlier(machine)
    problems += earlier
    if not earlier:
        with put_aside(machine.path(rf"{machine.home()}\{LOCAL}\{NAME}")):
            problems += installed(machine, setup)
    print("\n".join(problems) or "no problems")
    return 1 if problems else 0


def uninstall_earlier(machine: Machine) -> list[str]:
    """Uninstall a copy that is already installed: its files and shortcuts would be taken for the new ones."""
    done = machine.run(machine.python, "-c", UNINSTALL_EARLIER)
    folder = done.stdout.decode("utf-8", "replace").strip()
    if folder:
        print(f"         an earlier installation was found in {folder}")
    if done.returncode:
        return [f"an earlier installation in {folder or 'an unknown folder'} could not be removed: close the program"]
    return []


@contextmanager
def put_aside(folder: Path) -> Iterator[None]:
    """Keep the program under test from using and removing the user's settings."""
    aside = next(
        name for n in range(1, 100) if not (name := folder.with_name(f"{folder.name} before check {n}")).exists()
    )
    kept = folder.exists()
    if kept:
        folder.rename(aside)
    try:
        yield
    finally:
        if kept:
            remove(folder)
            aside.rename(folder)


def installed(machine: Machine, setup: Path) -> list[str]:
    """Install, use and uninstall the program; return the problems."""
    home = machine.home()
    folder, local = rf"{home}\{LOCAL}\Programs\{NAME}", machine.path(rf"{home}\{LOCAL}")
    before, problems = tree(machine.path(home)), list[str]()
    print("install")
    if machine.run(str(setup), "/S", "/DESKTOP=1").returncode or not machine.path(rf"{folder}\{NAME}.exe").exists():
        return ["the installer failed"]
    links = [name for name in tree(machine.path(home)) - before if name.endswith(".lnk")]
    print(f"         shortcuts: {sorted(links)}")
    if len(links) < 2:
        problems.append("a shortcut is missing")
    print("drive the window, in a folder with spaces and accents")
    projects = rf"{machine.other_folder}\Mes modèles été"
    problems += self_test(machine, rf"{folder}\{NAME}.exe", r"C:\self-test", projects)
    print("start the window repeatedly")
    done = machine.run(machine.python, "-m", "tests.windows.start", rf"{folder}\{NAME}.exe")
    print("         " + done.stdout.decode("utf-8", "replace").strip())
    if done.returncode:
        problems.append("the window could not be started: " + done.stderr.decode("utf-8", "replace")[-500:])
    print("the command line")
    quick = rf"{machine.other_folder}\quick start"
    remove(machine.path(quick))
    done = machine.run(rf"{folder}\llm-studio.exe", "quickstart", quick, "--lang", "fr", "--steps", "20")
    if done.returncode or not list(machine.path(quick).rglob("model.safetensors")):
        problems.append("quickstart failed: " + done.stdout.decode("utf-8", "replace")[-1500:])
    problems += formats(machine, rf"{folder}\llm-studio.exe", quick)
    print("read files of every kind")
    texts = rf"{machine.other_folder}\texts of every kind"
    remove(machine.path(texts))
    problems += readers.faults(
        lambda *call: machine.run(rf"{folder}\llm-studio.exe", *call), machine.path(texts), texts, samples()
    )
    print("uninstall")
    (local / NAME).mkdir(parents=True, exist_ok=True)
    for name in MEASURED:
        (local / NAME / name).write_text("{}", encoding="utf-8")
    machine.run(machine.python, "-c", UNINSTALL, folder, rf"{home}\{LOCAL}\{NAME}")
    left = {name for name in tree(machine.path(home)) - before if _is_ours(name, machine)}
    if left or machine.path(folder).exists() or (local / NAME).exists():
        problems.append(f"left behind: {sorted(left)[:20]}")
    if not list(machine.path(projects).rglob("model.safetensors")):
        problems.append("the uninstaller took a project away")
    return problems


def formats(machine: Machine, command: str, project: str) -> list[str]:
    """Export the model of a project in every format, and open the zip."""
    calls = [("export", project, "--to", name, "--out", rf"{project}\exports\{name}{form.suffix}")
             for name, form in FORMATS.items()]  # fmt: skip
    calls.append(("open", rf"{project}\exports\zip.zip", rf"{project}\exports\opened"))
    problems: list[str] = []
    for call in calls:
        done = machine.run(command, *call)
        if done.returncode:
            problems.append(f"{' '.join(call)} failed: " + done.stderr.decode("utf-8", "replace")[-1500:])
    return problems


def _is_ours(name: str, machine: Machine) -> bool:
    """Whether the program left a new file in the user's folder: on a computer in use, other files appear, too."""
    if "Temp" in name or Path(name).is_relative_to(Path(machine.other_folder).name):
        return False
    return machine.root is not None or bool(re.search(r"llm[ -]studio", name, re.IGNORECASE))


if __name__ == "__main__":
    sys.exit(main())
