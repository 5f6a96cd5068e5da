"""Makes the downloads from a built folder: `python -m tests.windows.package "dist/LLM Studio" OUT`.

An installer, with NSIS (`makensis`, available for Debian and Windows), and a portable zip.
"""

import argparse
import re
import shutil
import subprocess
import zipfile
from pathlib import Path

ROOT = Path(__file__).parents[2]
NAME = "LLM Studio"
NSIS_LIMIT = 2_000_000_000
"""Bytes: NSIS can't make a larger installer."""


def version() -> str:
    """The program's version, read from its source."""
    found = re.search(r'__version__ = "([^"]+)"', (ROOT / "llm_studio" / "__init__.py").read_text(encoding="utf-8"))
    assert found
    return found[1]


def bundle_size(bundle: Path) -> int:
    """Bytes of all files below `bundle`."""
    return sum(path.stat().st_size for path in bundle.rglob("*") if path.is_file())


def installer(bundle: Path, out: Path, fast: bool = False) -> Path:
    """Make the installer of `bundle` in the folder `out`; `fast`: quickly made instead of small."""
    made = out / f"LLM-Studio-{version()}-setup.exe"
    makensis = shutil.which("makensis") or r"C:\Program Files (x86)\NSIS\makensis.exe"
    defines = {
        "VERSION": version(), "SOURCE": bundle.absolute(), "OUTPUT": made.absolute(),
        "ICON": ROOT / "resources" / "icons" / "app.ico", "SIZE": bundle_size(bundle) // 1024,
    }  # fmt: skip
    if fast:
        defines["FAST"] = 1
    if Path("/usr/share/nsis/Stubs/lzma_solid-amd64-unicode").exists():
        defines["TARGET"] = "amd64-unicode"
    script = ROOT / "resources" / "installer" / "llm-studio.nsi"
    command = [makensis, "-V2", "-INPUTCHARSET", "UTF8", *(f"-D{key}={value}" for key, value in defines.items())]
    if subprocess.run([*command, str(script)], check=False).returncode:
        why = "" if bundle_size(bundle) < NSIS_LIMIT else ": the bundle is too large for NSIS; distribute the zip"
        raise SystemExit(f"makensis failed{why}")
    return made


def portable_zip(bundle: Path, out: Path) -> Path:
    """Make a zip of `bundle` in the folder `out`, to be unpacked and started anywhere."""
    made = out / f"LLM-Studio-{version()}-portable.zip"
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED, compresslevel=6) as archive:
        for path in sorted(bundle.rglob("*")):
            if path.is_file():
                archive.write(path, f"{NAME}/{path.relative_to(bundle).as_posix()}")
    return made


def main() -> None:
    """Make both and print their sizes."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("bundle", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--fast", action="store_true", help="make the installer fast instead of small")
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    for made in (portable_zip(options.bundle, options.out), installer(options.bundle, options.out, options.fast)):
        print(f"{made}: {made.stat().st_size / 1e6:.0f} MB", flush=True)


if __name__ == "__main__":
    main()
