"""The graphics card: why it isn't used, and the torch for it: what is offered, fetched, put in place and taken away."""

import contextlib
from dataclasses import dataclass
from pathlib import Path

from llm_studio.errors import DownloadError, PackError
from llm_studio.files import require_space, translate_os_errors
from llm_studio.gpu import builds, card, fetch, pack
from llm_studio.gpu.builds import Wheel
from llm_studio.gpu.pack import Pack, in_use, installed
from llm_studio.gpu.why import Reason, WhyNoGpu, why_no_gpu
from llm_studio.i18n import _, size
from llm_studio.jobs import Job

__all__ = [
    "GpuStatus",
    "Offer",
    "Pack",
    "Reason",
    "WhyNoGpu",
    "gpu_status",
    "in_use",
    "install",
    "install_file",
    "offer",
    "remove",
    "why_no_gpu",
]  # fmt: skip

_UNPACKED = 2.0
"""Bytes on the disk for each of a wheel, about, without what only compilers need."""


@dataclass(frozen=True)
class GpuStatus:
    """Why no card is used, None where one is; and the pack that was put in place, whether it is used or not."""

    why: WhyNoGpu | None
    pack: Pack | None
    used: bool


@dataclass(frozen=True)
class Offer:
    """A torch for the card that can be had: the wheel, its bytes, and what it needs on which disk."""

    wheel: Wheel
    card: str
    bytes: int
    here_already: int
    """Bytes that an earlier, interrupted download has left."""
    needed: int
    """Bytes that must be free to begin with, about."""
    kept: int
    """Bytes that it takes when all is done, about."""
    free: int
    folder: Path


def gpu_status() -> GpuStatus:
    """Look at the card, at torch and at the pack."""
    return GpuStatus(why_no_gpu(), installed(), in_use() is not None)


def offer(job: Job) -> Offer:
    """Ask PyTorch's server for the torch that suits this card and this program.

    Raises PackError where no card or no build is there, DownloadError where the server can't be reached.
    """
    driver = card.driver()
    suited = builds.suited(driver) if driver else []
    if driver is None or not suited:
        raise PackError(*_no_build(driver))
    for build in suited:
        job.check()
        page = fetch.read_page(builds.page(build))
        listed = builds.wheels_of(page, builds.page(build)) if page else []
        verifiable = [wheel for wheel in listed if wheel.sha256]  # a torch is a program: nothing is run unverified
        wheel = builds.best(verifiable, pack.own_version())
        if wheel is not None:
            name = max(driver.cards, key=lambda card: card.capability).name
            return _offer(wheel, name)
    raise DownloadError(
        _("PyTorch's server has no build for this card and this program."),
        _("It may have moved: look for a newer LLM Studio."),
    )


def _offer(wheel: Wheel, name: str) -> Offer:
    target = _target(wheel)
    count, here = fetch.size_of(wheel.url), fetch.here_already(target)
    kept = int(count * _UNPACKED)
    return Offer(wheel, name, count, here, count - here + kept, kept, pack.free_space(), pack.folder())


def _no_build(driver: card.Driver | None) -> tuple[str, str]:
    if driver is None:
        return (_("No NVIDIA driver answers."),
                _("Install the driver from nvidia.com/drivers and restart the computer."))  # fmt: skip
    if builds.needs_newer_driver(driver):
        return (_("The NVIDIA driver {driver} is too old for any build of torch.").format(driver=driver.version),
                _("Install the newest driver from nvidia.com/drivers."))  # fmt: skip
    return (_("PyTorch has no build for this card."), _("Train on the processor; nano and mini are made for it."))


def install(offered: Offer, job: Job) -> Pack:
    """Fetch what was offered and put it in place; it is used from the next start on.

    A download that was cut off or stopped is resumed. Raises StorageError where there isn't room enough.
    """
    target = _target(offered.wheel)
    with translate_os_errors(target):
        target.parent.mkdir(parents=True, exist_ok=True)
    require_space(target.parent, offered.needed)
    fetch.fetch(
        offered.wheel.url, target, offered.wheel.sha256, job, _("Downloading {size}").format(size=size(offered.bytes))
    )
    try:
        made = pack.install(target, job)
    except PackError:
        _forget_downloads()
        raise
    _forget_downloads()
    return made


def install_file(path: Path, job: Job) -> Pack:
    """Put the torch of a wheel in place that the user has brought, as on a USB stick."""
    return pack.install(path, job)


def remove() -> None:
    """Take the pack away, and what was fetched for it; the program's own torch is used from the next start on."""
    _forget_downloads()
    pack.remove()


def _target(wheel: Wheel) -> Path:
    return pack.folder() / "downloads" / wheel.name


def _forget_downloads() -> None:
    with contextlib.suppress(OSError):
        for path in (pack.folder() / "downloads").iterdir():
            path.unlink()
