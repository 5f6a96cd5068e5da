"""Which accelerator and which precision to use, and how much memory there is."""

import contextlib
import os
import platform
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from llm_studio import records
from llm_studio.config import TrainingSettings
from llm_studio.errors import TrainingError
from llm_studio.i18n import _

if TYPE_CHECKING:
    import torch


DEVICES, PRECISIONS = ("cpu", "cuda"), ("float32", "bfloat16", "float16")
MOST_THREADS = 1024


@dataclass(frozen=True)
class Compute:
    """The hardware configuration of a model: a device, the precision of matrix products, processor threads."""

    device: Annotated[str, records.checked(records.reader(str), DEVICES.__contains__)]
    precision: Annotated[str, records.checked(records.reader(str), PRECISIONS.__contains__)]
    threads: Annotated[int, records.checked(records.reader(int), range(1, MOST_THREADS + 1).__contains__)]

    @property
    def dtype(self) -> "torch.dtype":
        """The precision as a torch type."""
        import torch

        return {"bfloat16": torch.bfloat16, "float16": torch.float16, "float32": torch.float32}[self.precision]

    def autocast(self) -> contextlib.AbstractContextManager[object]:
        """A context in which matrix products are done in this precision; weights stay in float32."""
        import torch

        return torch.autocast(self.device, self.dtype, enabled=self.precision != "float32")


def choose(settings: TrainingSettings) -> Compute:
    """The best configuration of this machine that the settings allow. Raises TrainingError if they ask for another."""
    from llm_studio.gpu.why import why_no_gpu

    device = settings.device
    reason = why_no_gpu()
    if device == "cuda" and reason:
        raise TrainingError(reason.what, reason.cure)
    if device == "auto":
        device = "cpu" if reason else "cuda"
    precision = settings.precision
    if precision == "auto":
        precision = _best_precision(device)
    if precision == "float16" and device == "cpu":
        raise TrainingError(
            _("This processor can't train in float16."),
            _("Set training.precision to auto, bfloat16 or float32."),
        )
    return Compute(device, precision, settings.threads or max(1, all_cores() // processes_here() - _spare_cores))


_spare_cores = 0


def leave_cores(count: int) -> None:
    """Use this many cores fewer than available, if the settings leave the number of threads open."""
    global _spare_cores
    _spare_cores = max(0, count)


def processes_here() -> int:
    """Number of processes of one training run that share this machine, if PyTorch's launcher started several."""
    return max(1, int(os.environ.get("LOCAL_WORLD_SIZE", "1")))


def all_cores() -> int:
    """Number of cores that this process may use. torch's own number changes when it is set."""
    import psutil

    cores = psutil.cpu_count(logical=False) or os.cpu_count() or 1
    return min(cores, len(os.sched_getaffinity(0))) if hasattr(os, "sched_getaffinity") else cores


def _best_precision(device: str) -> str:
    import torch

    if device == "cuda":
        fast = torch.cuda.is_bf16_supported(including_emulation=False)
        major, _minor = torch.cuda.get_device_capability()
        return "bfloat16" if fast else "float16" if major >= 7 else "float32"
    return "bfloat16" if cpu_has_fast_bfloat16() else "float32"


def cpu_has_fast_bfloat16() -> bool:
    """Whether the processor multiplies bfloat16 matrices in hardware (AMX or AVX512-BF16)."""
    import torch

    return torch.cpu._is_amx_tile_supported() or torch.cpu._is_avx512_bf16_supported()  # pyright: ignore[reportPrivateUsage]  torch 2.11 has no public way


def memory_bytes(device: str) -> int:
    """Memory that a training run may use: free GPU memory including torch's cache, or free RAM."""
    import psutil

    if device == "cuda":
        import torch

        return torch.cuda.mem_get_info()[0] + torch.cuda.memory_reserved() - torch.cuda.memory_allocated()
    return psutil.virtual_memory().available


def processor_name() -> str:
    """The processor's model name."""
    if sys.platform == "linux":
        with Path("/proc/cpuinfo").open(encoding="utf-8") as lines:
            for line in lines:
                if line.startswith("model name"):
                    return line.partition(":")[2].strip()
    if sys.platform == "darwin" and shutil.which("sysctl"):
        out = subprocess.run(["sysctl", "-n", "machdep.cpu.brand_string"], capture_output=True, text=True, check=False)
        return out.stdout.strip()
    return platform.processor() or os.environ.get("PROCESSOR_IDENTIFIER", platform.machine())
