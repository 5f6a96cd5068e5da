"""What this machine is doing right now: cheap enough to look at each second."""

import contextlib
import functools
import shutil
from dataclasses import dataclass
from pathlib import Path

import psutil

from llm_studio import device


@dataclass(frozen=True)
class Gpu:
    """One graphics card. Use in percent, memory in bytes, temperature in degrees Celsius; None: it doesn't tell."""

    name: str
    use: float | None
    memory_used: int
    memory_total: int
    temperature: int | None


@dataclass(frozen=True)
class Reading:
    """One look at the machine. `processor_use` is in percent since the look before; None at the first."""

    processor_use: float | None
    memory_used: int
    memory_total: int
    disk_free: int
    disk_total: int
    gpus: tuple[Gpu, ...]
    busy: float
    """Seconds that all processors have worked, and `spent` seconds in all: for the next look."""
    spent: float


def look(folder: Path, before: Reading | None = None) -> Reading:
    """Look at the machine, and at the disk that holds `folder`; the processor's use is measured since `before`.

    psutil keeps the times of the last call for each thread, and a question has a new thread: so they are handed in.
    """
    times = psutil.cpu_times()
    idle = times.idle + getattr(times, "iowait", 0.0)
    # the time of guests is counted in user's too (Linux)
    spent = sum(times) - getattr(times, "guest", 0.0) - getattr(times, "guest_nice", 0.0)
    use = None
    if before is not None and spent > before.spent:
        use = max(0.0, min(100.0, 100 * (spent - idle - before.busy) / (spent - before.spent)))
    memory = psutil.virtual_memory()
    disk = _disk(folder)
    return Reading(use, memory.total - memory.available, memory.total, disk[0], disk[1], tuple(_gpus()),
                   spent - idle, spent)  # fmt: skip


def cores() -> int:
    """The processor's cores that a training run may use."""
    return device.all_cores()


def _disk(folder: Path) -> tuple[int, int]:
    """Free and total bytes of the disk that holds the nearest existing folder; zeros where the system won't tell."""
    for place in (folder, *folder.parents):
        with contextlib.suppress(OSError):
            usage = shutil.disk_usage(place)
            return usage.free, usage.total
    return 0, 0


@functools.cache
def _nvml_answers() -> bool:
    """Start NVIDIA's library, once; it stays ready, as starting it takes longer than asking."""
    import pynvml

    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError:
        return False
    return True


def energy_joules() -> float | None:
    """What the graphics cards have used since their driver started; None where none tells (before Volta, no card)."""
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
    with contextlib.suppress(pynvml.NVMLError):  # a card that was taken away
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
