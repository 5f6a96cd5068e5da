"""Memory that runs out: how it is told from other errors, how some is got back, and how none is borrowed."""

import contextlib
import gc
import re
import sys
from collections.abc import Generator
from pathlib import Path

import psutil
import torch

from llm_studio.errors import TrainingError
from llm_studio.i18n import _

_ERRORS = ("out of memory", "not enough memory", "allocate memory", "ALLOC_FAILED")
"""In the messages of allocators: "CUDA out of memory", "can't allocate memory", "CUBLAS_STATUS_ALLOC_FAILED"."""
_HEADROOM = 0.03
"""Share of a card left to the driver, the screen, and what torch takes beside its own allocator."""


def ran_out(error: BaseException) -> bool:
    """Whether an error is one of torch's or Python's ways to say that there is no memory left."""
    if isinstance(error, MemoryError | torch.OutOfMemoryError):
        return True
    return isinstance(error, RuntimeError) and any(word in str(error) for word in _ERRORS)


@contextlib.contextmanager
def translate_memory_errors() -> Generator[None]:
    """Turn an error of memory into a TrainingError."""
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        if not ran_out(error):
            raise
        raise TrainingError(
            _("There is not enough memory for this training."),
            _("Take a smaller preset, set training.batch_size or model.max_seq_len lower, or close other programs."),
        ) from error


def free(device: str) -> None:
    """Give back what nothing refers to any more: call when the error that tells of it is gone, with its frames."""
    if gc.isenabled():  # the window collects in its own thread alone
        gc.collect()
    if device == "cuda":
        torch.cuda.empty_cache()


def release() -> None:
    """Let other programs, and what this one measures, have what a training run on a graphics card has taken."""
    if torch.cuda.is_initialized():
        free("cuda")


def fraction(free: int, total: int, held: int) -> float:
    """The share of a card that torch may take: what is free now and what it holds already, but for some headroom."""
    return min(1.0, max(0.0, (free + held) / total - _HEADROOM))


def keep_within_card(device: str) -> None:
    """Let torch say that memory has run out where the card's is full.

    On Windows the driver would lend the computer's memory instead, and the training would go on many times slower.
    """
    if device == "cuda":
        free_now, total = torch.cuda.mem_get_info()
        torch.cuda.set_per_process_memory_fraction(fraction(free_now, total, torch.cuda.memory_reserved()))


def resident_bytes() -> int:
    """The memory of this process now."""
    return psutil.Process().memory_info().rss


def peak_bytes() -> int:
    """The highest memory of this process so far."""
    if sys.platform == "win32":
        return psutil.Process().memory_info().peak_wset
    if sys.platform == "linux":  # getrusage also counts what the parent had when it started this process
        found = re.search(r"^VmHWM:\s*(\d+) kB", Path("/proc/self/status").read_text(encoding="utf-8"), re.MULTILINE)
        return 1024 * int(found[1]) if found else resident_bytes()
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
