"""Out-of-memory errors: how to recognize them, free memory, and keep the driver from borrowing the computer's."""

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
"""Texts in the messages of allocators: "CUDA out of memory", "can't allocate memory", "CUBLAS_STATUS_ALLOC_FAILED"."""
_HEADROOM = 0.03
"""Fraction of a card left to the driver, the screen, and what torch takes outside its own allocator."""


def ran_out(error: BaseException) -> bool:
    """Whether an error means that torch or Python ran out of memory."""
    if isinstance(error, MemoryError | torch.OutOfMemoryError):
        return True
    return isinstance(error, RuntimeError) and any(word in str(error) for word in _ERRORS)


@contextlib.contextmanager
def translate_memory_errors() -> Generator[None]:
    """Turn an out-of-memory error into a TrainingError."""
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
    """Free unreferenced memory. Call it after the exception is gone, since its frames refer to tensors."""
    if gc.isenabled():  # the window collects garbage in its own thread only
        gc.collect()
    if device == "cuda":
        torch.cuda.empty_cache()


def release() -> None:
    """Release the card's memory that a run has cached, for other programs and for measurements in this one."""
    if torch.cuda.is_initialized():
        free("cuda")


def fraction(free: int, total: int, held: int) -> float:
    """Fraction of a card that torch may use: what is free and what it already holds, minus some headroom."""
    return min(1.0, max(0.0, (free + held) / total - _HEADROOM))


def keep_within_card(device: str) -> None:
    """Make torch raise an error when the card's memory is full.

    On Windows the driver would otherwise use the computer's memory, and training would be many times slower.
    """
    if device == "cuda":
        free_now, total = torch.cuda.mem_get_info()
        torch.cuda.set_per_process_memory_fraction(fraction(free_now, total, torch.cuda.memory_reserved()))


def resident_bytes() -> int:
    """The current resident memory of this process in bytes."""
    return psutil.Process().memory_info().rss


def peak_bytes() -> int:
    """The peak resident memory of this process in bytes."""
    if sys.platform == "win32":
        return psutil.Process().memory_info().peak_wset
    if sys.platform == "linux":  # getrusage includes the parent's memory at the fork
        found = re.search(r"^VmHWM:\s*(\d+) kB", Path("/proc/self/status").read_text(encoding="utf-8"), re.MULTILINE)
        return 1024 * int(found[1]) if found else resident_bytes()
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
