"""The graphics card: why it isn't used, and finding, downloading, installing and removing the torch for it."""

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
"""Approximate ratio of installed size to wheel size, without files that only compilers need."""


@dataclass(frozen=True)
class GpuStatus:
    """Why no card is used (None if one is), and the installed pack, whether used or not."""

    why: WhyNoGpu | None
    pack: Pack | None
    used: bool


@dataclass(frozen=True)
class Offer:
    """An available torch for the card: the wheel, its size in bytes, and the disk space it needs."""

    wheel: Wheel
    card: str
    bytes: int
    here_already: int
    """Bytes left by an earlier, interrupted download."""
    needed: int
    """Approximate free bytes needed to start."""
    kept: int
    """Approximate bytes in use after the installation."""
    free: int
    folder: Path


def gpu_status() -> GpuStatus:
    """Check the card, torch and the pack."""
    return GpuStatus(why_no_gpu(), installed(), in_use() is not None)


def offer(job: Job) -> Offer:
    """Look up the torch that suits this card and this program on PyTorch's server.

    Raises PackError if there is no card or no build, DownloadError if the server can't be reached.
    """
    driver = card.driver()
    suited = builds.suited(driver) if driver else []
    if driver is None or not suited:
        raise PackError(*_no_build(driver))
    for build in suited:
        job.check()
        page = fetch.read_page(builds.page(build))
        listed = builds.wheels_of(page, builds.page(build)) if page else []
        verifiable = [wheel for wheel in listed if wheel.sha256]  # torch contains code: never run it unverified
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
    """Download the offer and install it; it is used from the next start on.

    An interrupted download is resumed. Raises StorageError if there isn't enough space.
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
    """Install torch from a wheel that the user provides, for example on a USB stick."""
    return pack.install(path, job)


def remove() -> None:
    """Remove the pack and its downloads; the program's own torch is used from the next start on."""
    _forget_downloads()
    pack.remove()


def _target(wheel: Wheel) -> Path:
    return pack.folder() / "downloads" / wheel.name


def _forget_downloads() -> None:
    with contextlib.suppress(OSError):
        for path in (pack.folder() / "downloads").iterdir():
            path.unlink()
