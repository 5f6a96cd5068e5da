"""The diagnosis of this machine: what it has, and what limits it."""

import platform
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path

import psutil

from llm_studio import __version__, device
from llm_studio.gpu import card, pack
from llm_studio.gpu.why import why_no_gpu
from llm_studio.i18n import _, ngettext, size


@dataclass(frozen=True)
class Finding:
    """One line of the report. `ok` is False if there is a problem; `cure` then says what to do."""

    name: str
    value: str
    ok: bool = True
    cure: str = ""


_LITTLE_MEMORY = 4_000_000_000
_LITTLE_DISK = 5_000_000_000


def diagnose(folder: Path) -> list[Finding]:
    """The report on this machine, and on the disk of `folder`, which may not exist yet."""
    import torch

    build = f"CUDA {torch.version.cuda}" if torch.version.cuda else _("for processors (CPU)")
    free_memory = psutil.virtual_memory().available
    folder = _nearest(folder)
    free_disk = shutil.disk_usage(folder).free
    count, used = psutil.cpu_count(logical=False) or 1, torch.get_num_threads()
    cores = ngettext("{n} core", "{n} cores", count).format(n=count)
    threads = ngettext("{n} thread", "{n} threads", used).format(n=used)
    fast = device.cpu_has_fast_bfloat16()
    return [
        Finding("LLM Studio", __version__),
        Finding("Python", f"{platform.python_version()}, {sys.executable}"),
        Finding(_("System"), platform.platform()),
        Finding(_("Processor"), f"{device.processor_name()}, {cores}"),
        Finding(_("bfloat16 units"), _("yes: fast training on the processor") if fast else _("no")),
        Finding("torch", f"{torch.__version__}, {build}, {threads}"),
        *_pack(),
        *_gpu(),
        Finding(_("Memory"), _("{free} free of {total}").format(free=size(free_memory),
                                                               total=size(psutil.virtual_memory().total)),
                free_memory > _LITTLE_MEMORY, _("Close other programs, or choose a small preset.")),
        Finding(_("Disk"), _("{free} free of {total}").format(free=size(free_disk),
                                                             total=size(shutil.disk_usage(folder).total)),
                free_disk > _LITTLE_DISK, _("Make room: checkpoints take three times the size of the weights.")),
    ]  # fmt: skip


def _nearest(folder: Path) -> Path:
    """The nearest accessible folder at or above `folder`."""
    for place in (folder.absolute(), *folder.absolute().parents):
        try:
            if place.is_dir():
                return place
        except OSError:
            continue
    return Path.cwd()


def _pack() -> list[Finding]:
    """The torch for the graphics card, if one was installed."""
    found = pack.installed()
    if found is None:
        return []
    if found.problem:
        what = _("torch {version} can't be used: {reason}").format(version=found.version, reason=found.problem)
        return [Finding(_("GPU pack"), what, False, _("Enable the GPU again, or remove the pack."))]
    used = pack.in_use() is not None
    state = _("in use") if used else _("used from the next start on")
    return [Finding(_("GPU pack"), _("torch {version}, {state}").format(version=found.version, state=state))]


def _gpu() -> list[Finding]:
    import torch

    driver = card.driver()
    reason = why_no_gpu()
    found = [Finding(_("NVIDIA driver"), driver.version if driver else _("none"), ok=driver is not None)]
    if reason:
        return [*found, Finding(_("GPU"), reason.what, False, reason.cure)]
    for index in range(torch.cuda.device_count()):
        properties = torch.cuda.get_device_properties(index)
        free, total = torch.cuda.mem_get_info(index)
        memory = _("{free} free of {total}").format(free=size(free), total=size(total))
        capability = _("capability {version}").format(version=f"{properties.major}.{properties.minor}")
        found.append(Finding(_("GPU"), f"{properties.name}, {memory}, {capability}"))
    return found
