"""The memory used by the running training: fast enough to read every second."""

import sys
from dataclasses import dataclass

from llm_studio.workflows.machine.gauges import energy_joules


@dataclass(frozen=True)
class Footprint:
    """Bytes in use, their peak so far, and the total."""

    used: int
    peak: int
    total: int
    on_gpu: bool
    joules: float | None = None
    """Energy used by the graphics cards since some fixed time, if available."""


_peak = 0


def footprint(device: str) -> Footprint:
    """Memory of this process: on the GPU if it trains there, otherwise the computer's."""
    torch = sys.modules.get("torch")
    if device == "cuda" and torch is not None:
        _free, total = torch.cuda.mem_get_info()
        return Footprint(torch.cuda.memory_reserved(), torch.cuda.max_memory_reserved(), total, True,
                         energy_joules())  # fmt: skip
    import psutil

    global _peak
    used = psutil.Process().memory_info().rss
    _peak = max(used, _peak)
    return Footprint(used, _peak, psutil.virtual_memory().total, False)
