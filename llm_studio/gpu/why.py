"""Why no graphics card is used: each reason with its solution in two steps."""

import importlib.metadata
import sys
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from llm_studio.gpu import builds, card
from llm_studio.gpu.builds import Build
from llm_studio.i18n import _
from llm_studio.paths import packaged, quoted


class Reason(StrEnum):
    """What prevents training runs from using a graphics card."""

    NO_CARD = "no card"
    NO_DRIVER = "no driver"
    CPU_BUILD = "torch for processors"
    OLD_DRIVER = "old driver"
    NO_KERNELS = "no kernels for the card"
    NO_ANSWER = "no answer"


@dataclass(frozen=True)
class WhyNoGpu:
    """A reason in the user's language: `what` is the problem, and the two `steps` that solve it."""

    reason: Reason
    what: str
    steps: tuple[str, str]
    pack: bool = False
    """Whether a pack for the graphics card is the solution: the window has a button for it."""

    @property
    def cure(self) -> str:
        """Both steps in one line."""
        return "  ".join(f"{number}. {step}" for number, step in enumerate(self.steps, start=1))


@dataclass(frozen=True)
class Facts:
    """The facts that determine the reason."""

    cuda: tuple[int, int] | None
    """The CUDA version that torch was built with; None for the CPU build."""
    available: bool
    """Whether torch can reach a card."""
    capability: tuple[int, int] | None
    """Compute capability of the card that torch can use."""
    architectures: tuple[str, ...]
    """Architectures with kernels in torch: "sm_80", "compute_90"."""
    driver: card.Driver | None
    in_the_computer: bool
    """Whether a card is on the bus, with or without a driver."""


def facts() -> Facts:
    """Query torch, the driver and the system."""
    import torch

    built = torch.version.cuda
    available = torch.cuda.is_available()
    driver = card.driver()
    return Facts(
        cuda=(int(built.split(".")[0]), int(built.split(".")[1])) if built else None,
        available=available,
        capability=torch.cuda.get_device_capability() if available else None,
        architectures=tuple(torch.cuda.get_arch_list()) if available else (),
        driver=driver,
        in_the_computer=driver is not None or card.is_in_the_computer(),
    )


def why_no_gpu() -> WhyNoGpu | None:
    """None if a card can be used; otherwise the reason and the solution."""
    return explain(facts())


def explain(known: Facts) -> WhyNoGpu | None:
    """The reason that follows from `known`; None if a card can be used."""
    if known.available:
        if known.capability is None or has_kernels(known.capability, known.architectures):
            return None
        return _no_kernels(known)
    if known.driver is None:
        return _no_driver(known) if known.in_the_computer else _no_card()
    if known.cuda is None:
        return _cpu_build(known.driver)
    if not builds.runs_under(known.cuda, known.driver):
        return _old_driver(known.driver, known.cuda)
    return WhyNoGpu(
        Reason.NO_ANSWER,
        _("The graphics card doesn't answer torch, though its driver {driver} is new enough.").format(
            driver=known.driver.version),
        (_("Restart the computer."),
         _("If that doesn't help: install the newest driver from nvidia.com/drivers; CUDA_VISIBLE_DEVICES must not "
           "be set.")),
    )  # fmt: skip


def has_kernels(capability: tuple[int, int], architectures: tuple[str, ...] | list[str]) -> bool:
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


# --- The reasons --------------------------------------------------------------------------------------------------


def _no_card() -> WhyNoGpu:
    return WhyNoGpu(
        Reason.NO_CARD,
        _("There is no NVIDIA card in this computer."),
        (_("Train on the processor, with the preset nano or mini: they are made for it."),
         _("If you have one, check that Device Manager lists it; cards of other makers can't be used.")
         if sys.platform == "win32" else
         _("If you have one, check that “lspci” lists it; cards of other makers can't be used.")),
    )  # fmt: skip


def _no_driver(known: Facts) -> WhyNoGpu:
    then = _enable(None) if known.cuda is None else _("Then start LLM Studio again.")
    return WhyNoGpu(
        Reason.NO_DRIVER,
        _("There is an NVIDIA card in this computer, but its driver isn't installed, or doesn't answer."),
        (_("Install the driver from nvidia.com/drivers and restart the computer."), then),
    )


def _cpu_build(driver: card.Driver) -> WhyNoGpu:
    fitting = builds.suited(driver)
    newer = builds.needs_newer_driver(driver)
    what = _("There is an NVIDIA card ({name}), but this torch is the build for processors.").format(name=_name(driver))
    if fitting:
        return WhyNoGpu(Reason.CPU_BUILD, what, (_enable(fitting[0]), _restart()), pack=packaged())
    if newer is not None:
        update = _("Install the newest driver from nvidia.com/drivers: the present one, {driver}, is too old for any "
                   "build of torch.").format(driver=driver.version)  # fmt: skip
        return WhyNoGpu(Reason.CPU_BUILD, what, (update, _enable(newer)))
    return _too_old_a_card(driver)


def _old_driver(driver: card.Driver, cuda: tuple[int, int]) -> WhyNoGpu:
    return WhyNoGpu(
        Reason.OLD_DRIVER,
        _("The NVIDIA driver {driver} is too old for torch's CUDA {cuda}.").format(
            driver=driver.version, cuda=_dotted(cuda)),
        (_("Install the newest driver from nvidia.com/drivers."), _("Restart the computer.")),
    )  # fmt: skip


def _no_kernels(known: Facts) -> WhyNoGpu:
    fitting = builds.suited(known.driver) if known.driver else []
    if known.driver and not fitting and not builds.needs_newer_driver(known.driver):
        return _too_old_a_card(known.driver)
    what = _("This build of torch has no kernels for the card (compute capability {capability}).").format(
        capability=_dotted(known.capability or (0, 0))
    )
    if fitting:
        return WhyNoGpu(Reason.NO_KERNELS, what, (_enable(fitting[0]), _restart()), pack=packaged())
    return WhyNoGpu(Reason.NO_KERNELS, what, (_("Install the newest driver from nvidia.com/drivers."), _enable(None)))


def _too_old_a_card(driver: card.Driver) -> WhyNoGpu:
    return WhyNoGpu(
        Reason.NO_KERNELS,
        _("PyTorch has no kernels for this card ({name}) any more: it needs compute capability {least} or later.")
        .format(name=_name(driver), least=_dotted(builds.OLDEST_CARD)),
        (_("Train on the processor, with the preset nano or mini: they are made for it."),
         _("Any NVIDIA card from the GeForce 900 series (2014) on can be used in its place.")),
    )  # fmt: skip


def _enable(build: Build | None) -> str:
    """The step that installs the right torch: a button in the packaged program, a command otherwise."""
    if packaged():
        program = quoted(Path(sys.executable).with_name("llm-studio.exe"))  # it isn't on PATH
        return _("Press “Enable my GPU” on the tab Diagnostics, or run “{command}”.").format(command=f"{program} gpu")
    version = importlib.metadata.version("torch").partition("+")[0]
    index = f"https://download.pytorch.org/whl/{(build or builds.BUILDS[0]).name}"
    return _("Run “{command}”.").format(command=f"pip install --force-reinstall torch=={version} --index-url {index}")


def _restart() -> str:
    return _("Start LLM Studio again: it uses the card from then on.")


def _name(driver: card.Driver) -> str:
    return max(driver.cards, key=lambda one: one.capability).name if driver.cards else _("unknown")


def _dotted(version: tuple[int, int]) -> str:
    return f"{version[0]}.{version[1]}"
