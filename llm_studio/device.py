"""Which accelerator and which precision to use, how much memory there is, and why not more."""

import contextlib
import os
import platform
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import psutil

from llm_studio.config import TrainingSettings
from llm_studio.errors import TrainingError
from llm_studio.i18n import _

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True)
class Compute:
    """What a model runs on: `device` "cpu" or "cuda", `precision` of the matrix products, processor threads."""

    device: str
    precision: str
    threads: int

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
    """The best that this machine has and the settings allow. Raises TrainingError where a wish can't be met."""
    device = settings.device
    reason = why_no_gpu()
    if device == "cuda" and reason:
        raise TrainingError(reason[0], reason[1])
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
    return Compute(device, precision, settings.threads or max(1, all_cores() - _spare_cores))


_spare_cores = 0


def leave_cores(count: int) -> None:
    """Where the settings leave the number of threads open, take so many cores less than there are."""
    global _spare_cores
    _spare_cores = max(0, count)


def all_cores() -> int:
    """The processor's cores that this process may use. torch's own number changes when it is set."""
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


def why_no_gpu() -> tuple[str, str] | None:
    """None when a GPU can be used; else why it can't, and the cure, in the user's language."""
    import torch

    install = _("Install the CUDA build: “pip install torch --index-url https://download.pytorch.org/whl/cu126”.")
    if torch.cuda.is_available():
        capability = torch.cuda.get_device_capability()
        if not _has_kernels(capability, torch.cuda.get_arch_list()):
            return (
                _("The installed torch has no kernels for this card (compute capability {major}.{minor}).").format(
                    major=capability[0], minor=capability[1]
                ),
                _("Install a build of torch made for it; very old cards need an older torch."),
            )
        return None
    driver = nvidia_driver()
    if torch.version.cuda is None and torch.version.hip is None:
        if driver is None:
            return (_("No NVIDIA card was found, and torch is the build for processors."),
                    _("Training works on the processor; it is slower."))  # fmt: skip
        return _("There is an NVIDIA card, but torch is the build for processors (CPU)."), install
    if driver is None:
        return (_("No NVIDIA driver answers."),
                _("If this computer has an NVIDIA card, install its driver from nvidia.com and restart."))  # fmt: skip
    return (
        _("The NVIDIA driver {driver} is too old for torch's CUDA {cuda}.").format(
            driver=driver, cuda=torch.version.cuda
        ),
        _("Update the driver from nvidia.com and restart."),
    )


def _has_kernels(capability: tuple[int, int], architectures: list[str]) -> bool:
    """Whether a build with kernels for `architectures` ("sm_80", "compute_90") runs on such a card.

    Binary kernels run on cards of the same major version and at least their minor one; "compute_" ones (PTX)
    are compiled by the driver for any later card.
    """
    for name in architectures:
        kind, _underscore, digits = name.partition("_")
        digits = digits.rstrip("af")
        if not digits.isdigit():
            continue
        major, minor = int(digits[:-1]), int(digits[-1])
        if kind == "compute" and (major, minor) <= capability:
            return True
        if kind == "sm" and major == capability[0] and minor <= capability[1]:
            return True
    return False


def nvidia_driver() -> str | None:
    """Version of the NVIDIA driver, None where there is none."""
    import pynvml

    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError:
        return None
    try:
        version = pynvml.nvmlSystemGetDriverVersion()
        return version if isinstance(version, str) else version.decode()
    except pynvml.NVMLError:
        return None
    finally:
        pynvml.nvmlShutdown()


def memory_bytes(device: str) -> int:
    """Memory that a training may use: the GPU's free memory, or what the computer has to spare."""
    if device == "cuda":
        import torch

        return torch.cuda.mem_get_info()[0]
    return psutil.virtual_memory().available


def processor_name() -> str:
    """What the processor calls itself."""
    if sys.platform == "linux":
        with Path("/proc/cpuinfo").open(encoding="utf-8") as lines:
            for line in lines:
                if line.startswith("model name"):
                    return line.partition(":")[2].strip()
    if sys.platform == "darwin" and shutil.which("sysctl"):
        out = subprocess.run(["sysctl", "-n", "machdep.cpu.brand_string"], capture_output=True, text=True, check=False)
        return out.stdout.strip()
    return platform.processor() or os.environ.get("PROCESSOR_IDENTIFIER", platform.machine())
