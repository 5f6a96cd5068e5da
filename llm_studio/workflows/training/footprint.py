"""How much memory the running training takes: quick enough to ask each second."""

import sys
from dataclasses import dataclass

from llm_studio.workflows.machine.gauges import energy_joules


@dataclass(frozen=True)
class Footprint:
    """Bytes in use, the highest so far, and how many there are."""

    used: int
    peak: int
    total: int
    on_gpu: bool
    joules: float | None = None
    """Energy that the graphics cards have used since some time before, where they tell."""


_peak = 0


def footprint(device: str) -> Footprint:
    """Memory taken by this process: on the GPU where it trains there, else of the computer."""
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
