"""Checks that a built folder is complete and lean: `python -m tests.windows.imports "dist/LLM Studio"`.

Every DLL that a file of the bundle imports must be in the bundle or part of Windows. A missing VC runtime would go
unnoticed on a computer that has it from another program, and under Wine.
"""

import sys
from collections.abc import Iterator
from pathlib import Path

WINDOWS = {
    "advapi32.dll", "authz.dll", "avrt.dll", "bcrypt.dll", "bcryptprimitives.dll", "cabinet.dll",
    "cfgmgr32.dll", "comctl32.dll", "comdlg32.dll", "crypt32.dll", "d2d1.dll", "d3d11.dll", "d3d12.dll",
    "d3d9.dll", "dbghelp.dll", "dcomp.dll", "dnsapi.dll", "dwmapi.dll", "dwrite.dll", "dxgi.dll", "dxva2.dll",
    "gdi32.dll", "icu.dll", "icuin.dll", "icuuc.dll", "imagehlp.dll", "imm32.dll", "iphlpapi.dll",
    "kernel32.dll", "mpr.dll", "mscms.dll", "msi.dll", "msvcrt.dll", "ncrypt.dll", "netapi32.dll",
    "normaliz.dll", "ntdll.dll", "ole32.dll", "oleaut32.dll", "opengl32.dll", "pdh.dll", "powrprof.dll",
    "propsys.dll", "psapi.dll", "rpcrt4.dll", "rstrtmgr.dll", "runtimeobject.dll", "secur32.dll",
    "setupapi.dll", "shcore.dll", "shell32.dll", "shlwapi.dll", "synchronization.dll", "ucrtbase.dll",
    "uiautomationcore.dll", "urlmon.dll", "user32.dll", "userenv.dll", "usp10.dll", "uxtheme.dll",
    "version.dll", "webservices.dll", "winhttp.dll", "wininet.dll", "winmm.dll", "winspool.drv", "wintrust.dll",
    "wldap32.dll", "ws2_32.dll", "wsock32.dll", "wtsapi32.dll",
}  # fmt: skip
"""DLLs of Windows 10 and 11 (icuuc.dll since 1703), and the families below."""
FAMILIES = ("api-ms-win-", "ext-ms-win-")
UNNEEDED = (".lib", ".h", ".hpp", ".cpp", ".c", ".pyi", ".pxd", ".pyx", ".cmake", ".pdb", ".exp", ".a", ".ts", ".po")
LONGEST_PLACE = 140
"""Characters of a path in the bundle: Explorer only unpacks paths of fewer than 260 characters in all."""
CUDA_DRIVER = {"nvcuda.dll", "nvml.dll"}


def imports(path: Path) -> list[str]:
    """Names of the DLLs that `path` needs to be loaded, in lower case."""
    import pefile

    with pefile.PE(path, fast_load=True) as pe:
        pe.parse_data_directories([pefile.DIRECTORY_ENTRY["IMAGE_DIRECTORY_ENTRY_IMPORT"]])
        return [entry.dll.decode().lower() for entry in getattr(pe, "DIRECTORY_ENTRY_IMPORT", ())]


def missing(bundle: Path) -> Iterator[str]:
    """Imported DLLs that are missing."""
    binaries = [path for path in bundle.rglob("*") if path.suffix.lower() in (".dll", ".pyd", ".exe")]
    there = {path.name.lower() for path in binaries}
    for path in binaries:
        for name in imports(path):
            if name not in there | WINDOWS | CUDA_DRIVER and not name.startswith(FAMILIES):
                yield f"{path.relative_to(bundle)} needs {name}, which is neither in the bundle nor in Windows"


def runtimes(bundle: Path) -> Iterator[str]:
    """Copies of the VC runtime that aren't at the top."""
    for path in bundle.rglob("*.dll"):
        name = path.name.lower()
        if name.startswith(("vcruntime140", "msvcp140")) and "-" not in name and path.parent.name != "_internal":
            yield f"{path.relative_to(bundle)}: a second VC runtime"


def unneeded(bundle: Path) -> Iterator[str]:
    """Files that are not used at run time."""
    for path in bundle.rglob("*"):
        place = path.relative_to(bundle).as_posix().lower()
        name = path.name.lower()
        is_test = "/tests/" in place or (name.startswith("test_") and name != "test_operators.py")  # torch imports that
        if path.is_file() and (path.suffix.lower() in UNNEEDED or is_test):
            yield f"{place}: not needed at run time"


def deep(bundle: Path) -> Iterator[str]:
    """Files with paths too long to be unpacked into a deep folder."""
    for path in bundle.rglob("*"):
        place = path.relative_to(bundle).as_posix()
        if len(place) > LONGEST_PLACE:
            yield f"{place}: too long a path"


def unlicensed(bundle: Path) -> Iterator[str]:
    """Libraries whose licence is missing from the text that is distributed with the program."""
    text = " ".join((bundle / "LICENCES.txt").read_text(encoding="utf-8-sig").split())
    for folder in bundle.rglob("*.dist-info"):
        files = [path for path in folder.rglob("*LICEN[CS]E*") if path.is_file() and "Commercial" not in path.name]
        licences = [" ".join(path.read_text("utf-8", "replace").split()) for path in files]
        if licences and not any(licence[:1000] in text for licence in licences):
            yield f"{folder.name}: its licence isn't in LICENCES.txt"
    if "came without the text of its licence" in text:
        yield "LICENCES.txt lacks the text of a licence"


def sizes(bundle: Path, depth: int = 2, count: int = 14) -> list[tuple[float, str]]:
    """The largest parts in megabytes."""
    totals: dict[str, int] = {}
    for path in bundle.rglob("*"):
        if path.is_file():
            part = "/".join(path.relative_to(bundle).parts[:depth])
            totals[part] = totals.get(part, 0) + path.stat().st_size
    return sorted(((size / 1e6, part) for part, size in totals.items()), reverse=True)[:count]


def faults(bundle: Path) -> list[str]:
    """All problems of a built folder."""
    return [*missing(bundle), *runtimes(bundle), *unneeded(bundle), *deep(bundle), *unlicensed(bundle)]


def main() -> int:
    """Print the sizes and the problems."""
    bundle = Path(sys.argv[1])
    for size, part in sizes(bundle):
        print(f"{size:8.1f} MB  {part}")
    found = faults(bundle)
    print("\n".join(found) or "complete, nothing unneeded")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
