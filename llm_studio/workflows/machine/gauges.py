"""The current load of this machine: cheap enough to read every second."""

import contextlib
import functools
import shutil
from dataclasses import dataclass
from pathlib import Path

import psutil

from llm_studio import device


@dataclass(frozen=True)
class Gpu:
    """One graphics card. Use in percent, memory in bytes, temperature in degrees Celsius; None if not available."""

    name: str
    use: float | None
    memory_used: int
    memory_total: int
    temperature: int | None


@dataclass(frozen=True)
class Reading:
    """One reading. `processor_use` is the percentage since the reading before; None in the first."""

    processor_use: float | None
    memory_used: int
    memory_total: int
    disk_free: int
    disk_total: int
    gpus: tuple[Gpu, ...]
    busy: float
    """Seconds of work of all processors, and `spent` seconds in total, for the next reading."""
    spent: float


def look(folder: Path, before: Reading | None = None) -> Reading:
    """Read the load of this machine and of the disk of `folder`; the processor's use is measured since `before`.

    psutil would store the last times per thread, but each query runs in a new thread: so they are passed in.
    """
    times = psutil.cpu_times()
    idle = times.idle + getattr(times, "iowait", 0.0)
    # on Linux the guests' time is also included in the users'
    spent = sum(times) - getattr(times, "guest", 0.0) - getattr(times, "guest_nice", 0.0)
    use = None
    if before is not None and spent > before.spent:
        use = max(0.0, min(100.0, 100 * (spent - idle - before.busy) / (spent - before.spent)))
    memory = psutil.virtual_memory()
    disk = _disk(folder)
    return Reading(use, memory.total - memory.available, memory.total, disk[0], disk[1], tuple(_gpus()),
                   spent - idle, spent)  # fmt: skip


def cores() -> int:
    """Number of processor cores that a training run may use."""
    return device.all_cores()


def _disk(folder: Path) -> tuple[int, int]:
    """Free and total bytes of the disk of the nearest existing folder; zeros if the system doesn't report them."""
    for place in (folder, *folder.parents):
        with contextlib.suppress(OSError):
            usage = shutil.disk_usage(place)
            return usage.free, usage.total
    return 0, 0


@functools.cache
def _nvml_answers() -> bool:
    """Load NVIDIA's library once. It stays loaded, as loading takes longer than reading values."""
    import pynvml

    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError:
        return False
    return True


def energy_joules() -> float | None:
    """Energy used by the graphics cards since their driver started; None if not available (before Volta, no card)."""
    if not _nvml_answers():
        return None
    import pynvml

    found: list[float] = []
    with contextlib.suppress(pynvml.NVMLError):
        for index in range(pynvml.nvmlDeviceGetCount()):
            handle = pynvml.nvmlDeviceGetHandleByIndex(index)
            found.append(pynvml.nvmlDeviceGetTotalEnergyConsumption(handle) / 1000)
    return sum(found) if found else None


def _gpus() -> list[Gpu]:
    if not _nvml_answers():
        return []
    import pynvml

    found: list[Gpu] = []
    with contextlib.suppress(pynvml.NVMLError):  # a card that was removed
        found += [_gpu(pynvml.nvmlDeviceGetHandleByIndex(index)) for index in range(pynvml.nvmlDeviceGetCount())]
    return found


def _gpu(handle: object) -> Gpu:
    import pynvml

    name = pynvml.nvmlDeviceGetName(handle)
    memory = pynvml.nvmlDeviceGetMemoryInfo(handle)
    use = temperature = None
    with contextlib.suppress(pynvml.NVMLError):
        use = float(pynvml.nvmlDeviceGetUtilizationRates(handle).gpu)
    with contextlib.suppress(pynvml.NVMLError):
        temperature = int(pynvml.nvmlDeviceGetTemperature(handle, pynvml.NVML_TEMPERATURE_GPU))
    text = name if isinstance(name, str) else name.decode()
    return Gpu(text, use, int(memory.used), int(memory.total), temperature)
