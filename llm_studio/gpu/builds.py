"""PyTorch's builds for NVIDIA cards: which of them runs on a card, and the URL of its wheel."""

import html.parser
import os
import re
import urllib.parse
from dataclasses import dataclass

from packaging.tags import sys_tags
from packaging.utils import InvalidWheelFilename, parse_wheel_filename
from packaging.version import Version

from llm_studio.gpu.card import Card, Driver

_INDEX = "https://download.pytorch.org/whl"
OLDEST, FIRST_TOO_NEW = Version("2.11"), Version("2.14")
"""Range of supported torch versions; the second one is excluded."""


@dataclass(frozen=True)
class Build:
    """One of PyTorch's CUDA builds. It has kernels for the compute capabilities from `least` to `most`."""

    name: str
    """As in the URL of its wheels."""
    cuda: tuple[int, int]
    least: tuple[int, int]
    most: tuple[int, int]


BUILDS = (
    Build("cu130", (13, 0), (7, 5), (12, 9)),
    Build("cu126", (12, 6), (5, 0), (9, 0)),
)
"""The better one first. PyTorch's own build scripts list the architectures of each."""
OLDEST_CARD = min(build.least for build in BUILDS)


def runs_on(build: Build, card: Card) -> bool:
    """Whether a build has kernels for a card."""
    return build.least <= card.capability <= build.most


def runs_under(cuda: tuple[int, int], driver: Driver) -> bool:
    """Whether a driver can run code built with a version of CUDA: any driver of the same major version can (NVIDIA's
    "minor version compatibility")."""
    return driver.cuda[0] >= cuda[0]


def suited(driver: Driver) -> list[Build]:
    """The builds that this driver supports and that have kernels for its best card, the best first."""
    if not driver.cards:
        return []
    card = max(driver.cards, key=lambda card: card.capability)
    return [build for build in BUILDS if runs_on(build, card) and runs_under(build.cuda, driver)]


def needs_newer_driver(driver: Driver) -> Build | None:
    """The build that a newer driver could run on the best card, if this driver supports none."""
    if suited(driver) or not driver.cards:
        return None
    card = max(driver.cards, key=lambda card: card.capability)
    fitting = [build for build in BUILDS if runs_on(build, card)]
    return min(fitting, key=lambda build: build.cuda) if fitting else None


# --- Wheels ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Wheel:
    """A wheel of torch: its file name, its URL, and its SHA-256 in hexadecimal ("" if unknown)."""

    name: str
    url: str
    sha256: str

    @property
    def version(self) -> Version:
        """Its version, including a suffix such as "+cu130"."""
        return parse_wheel_filename(self.name)[1]


def page(build: Build) -> str:
    """The URL of the list of a build's wheels. `LLM_STUDIO_TORCH_INDEX` is the URL of a mirror."""
    return f"{os.environ.get('LLM_STUDIO_TORCH_INDEX', _INDEX).rstrip('/')}/{build.name}/torch/"


def fits(name: str) -> bool:
    """Whether a file of this name is a wheel of torch for this Python, this system and this program."""
    try:
        distribution, version, _number, tags = parse_wheel_filename(name)
    except InvalidWheelFilename:
        return False
    return distribution == "torch" and OLDEST <= version < FIRST_TOO_NEW and not tags.isdisjoint(sys_tags())


def best(wheels: list[Wheel], own: str) -> Wheel | None:
    """The wheel to use: that of the program's own version of torch if there is one, otherwise the newest that fits."""
    fitting = [wheel for wheel in wheels if fits(wheel.name)]
    same = [wheel for wheel in fitting if wheel.version.public == Version(own).public]
    return max(same or fitting, key=lambda wheel: wheel.version, default=None)


class _Links(html.parser.HTMLParser):
    """The links of an index page (PEP 503): `<a href="torch-….whl#sha256=…">`."""

    def __init__(self, address: str) -> None:
        super().__init__()
        self._address = address
        self.wheels: list[Wheel] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Collect a link to a wheel."""
        link = dict(attrs).get("href") if tag == "a" else None
        url, _hash, fragment = urllib.parse.urljoin(self._address, link or "").partition("#")
        name = urllib.parse.unquote(url.rpartition("/")[2])
        if name.endswith(".whl"):
            found = re.fullmatch(r"sha256=([0-9a-fA-F]{64})", fragment)
            self.wheels.append(Wheel(name, url, found[1].lower() if found else ""))


def wheels_of(text: str, address: str) -> list[Wheel]:
    """All wheels in the index page `text`, which was read from the URL `address`."""
    links = _Links(address)
    links.feed(text)
    return links.wheels
