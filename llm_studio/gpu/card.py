"""The NVIDIA cards of this computer and their driver, as the driver reports them; and cards without a driver."""

import contextlib
import sys
from dataclasses import dataclass
from pathlib import Path

_NVIDIA = "10DE"
"""The PCI vendor number of NVIDIA."""
_DISPLAY_CLASS = "03"
"""The PCI class of display controllers; a card's audio device has another."""


@dataclass(frozen=True)
class Card:
    """One graphics card. `capability` is its compute capability, such as (8, 6)."""

    name: str
    capability: tuple[int, int]


@dataclass(frozen=True)
class Driver:
    """The driver: its `version`, the newest CUDA that it supports, and its cards."""

    version: str
    cuda: tuple[int, int]
    cards: tuple[Card, ...]


def driver() -> Driver | None:
    """The NVIDIA driver, or None. Uses NVIDIA's management library and starts no program."""
    import pynvml

    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError:
        return None
    try:
        version, cuda = _text(pynvml.nvmlSystemGetDriverVersion()), int(pynvml.nvmlSystemGetCudaDriverVersion_v2())
        return Driver(version, (cuda // 1000, cuda % 1000 // 10), _cards())
    except pynvml.NVMLError:
        return None
    finally:
        with contextlib.suppress(pynvml.NVMLError):
            pynvml.nvmlShutdown()


def _cards() -> tuple[Card, ...]:
    import pynvml

    found: list[Card] = []
    with contextlib.suppress(pynvml.NVMLError):
        for index in range(pynvml.nvmlDeviceGetCount()):
            handle = pynvml.nvmlDeviceGetHandleByIndex(index)
            major, minor = pynvml.nvmlDeviceGetCudaComputeCapability(handle)
            found.append(Card(_text(pynvml.nvmlDeviceGetName(handle)), (int(major), int(minor))))
    return tuple(found)


def _text(value: str | bytes) -> str:
    return value if isinstance(value, str) else value.decode()


def is_in_the_computer() -> bool:
    """Whether an NVIDIA card is on the PCI bus, with or without a driver."""
    if sys.platform == "win32":
        return _windows_has_one()
    return any(_is_nvidia_display(folder) for folder in Path("/sys/bus/pci/devices").glob("*"))


def _is_nvidia_display(folder: Path) -> bool:
    try:
        vendor, kind = ((folder / name).read_text(encoding="ascii").strip() for name in ("vendor", "class"))
    except OSError:
        return False
    return vendor.upper().endswith(_NVIDIA) and kind.removeprefix("0x").startswith(_DISPLAY_CLASS)


def _windows_has_one() -> bool:
    """Search the devices that Windows remembers of the PCI bus for an NVIDIA display that is present."""
    if sys.platform != "win32":
        return False
    import ctypes
    import winreg

    def below(place: str) -> list[str]:
        with contextlib.suppress(OSError), winreg.OpenKey(winreg.HKEY_LOCAL_MACHINE, place) as key:
            return [winreg.EnumKey(key, index) for index in range(winreg.QueryInfoKey(key)[0])]
        return []

    def draws(place: str) -> bool:
        with contextlib.suppress(OSError), winreg.OpenKey(winreg.HKEY_LOCAL_MACHINE, place) as key:
            kinds = winreg.QueryValueEx(key, "CompatibleIDs")[0]
            return any(f"CC_{_DISPLAY_CLASS}" in kind.upper() for kind in kinds)
        return False

    def is_there(device: str) -> bool:  # Windows also remembers removed devices
        return ctypes.windll.cfgmgr32.CM_Locate_DevNodeW(ctypes.byref(ctypes.c_uint32()), device, 0) == 0

    bus = "SYSTEM\\CurrentControlSet\\Enum\\PCI"
    names = [name for name in below(bus) if name.upper().startswith(f"VEN_{_NVIDIA}")]
    places = [f"{name}\\{instance}" for name in names for instance in below(f"{bus}\\{name}")]
    return any(draws(f"{bus}\\{place}") and is_there(f"PCI\\{place}") for place in places)
