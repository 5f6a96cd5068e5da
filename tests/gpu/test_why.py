"""Each reason why no graphics card is used is told apart from the others, with its cure in two steps."""

from dataclasses import replace
from pathlib import Path

import pytest

from llm_studio import i18n
from llm_studio.gpu import builds, card, why
from llm_studio.gpu.card import Card, Driver
from llm_studio.gpu.why import Facts, Reason, explain, has_kernels

AMPERE = Driver("581.29", (13, 0), (Card("GeForce RTX 3060", (8, 6)),))
BLACKWELL = Driver("572.16", (12, 8), (Card("GeForce RTX 5070", (12, 0)),))
PASCAL = Driver("560.94", (12, 6), (Card("GeForce GTX 1060", (6, 1)),))
KEPLER = Driver("475.14", (11, 4), (Card("GeForce GTX 680", (3, 0)),))
OLD = Driver("451.48", (11, 0), (Card("GeForce GTX 1060", (6, 1)),))
NOTHING = Facts(None, False, None, (), None, False)


@pytest.fixture
def packaged(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(why, "packaged", lambda: True)


@pytest.mark.parametrize("facts, reason, said, steps, pack", [
    (NOTHING, Reason.NO_CARD, "no NVIDIA card", ("nano or mini", "other makers"), False),
    (replace(NOTHING, in_the_computer=True), Reason.NO_DRIVER, "its driver isn't installed",
     ("nvidia.com/drivers", "Enable my GPU"), False),
    (replace(NOTHING, cuda=(13, 0), in_the_computer=True), Reason.NO_DRIVER, "its driver isn't installed",
     ("nvidia.com/drivers", "start LLM Studio again"), False),
    (replace(NOTHING, driver=AMPERE), Reason.CPU_BUILD, "(GeForce RTX 3060), but this torch is the build for proc",
     ("Enable my GPU", "Start LLM Studio again"), True),
    (replace(NOTHING, driver=BLACKWELL), Reason.CPU_BUILD, "RTX 5070", ("572.16, is too old", "Enable my GPU"), False),
    (replace(NOTHING, driver=KEPLER), Reason.NO_KERNELS, "capability 5.0 or later", ("processor", "900"), False),
    (replace(NOTHING, cuda=(12, 6), driver=OLD), Reason.OLD_DRIVER, "driver 451.48 is too old for torch's CUDA 12.6",
     ("newest driver", "Restart the computer"), False),
    (Facts((13, 0), True, (6, 1), ("sm_75", "sm_80"), replace(PASCAL, cuda=(13, 0)), True), Reason.NO_KERNELS,
     "no kernels for the card (compute capability 6.1)", ("Enable my GPU", "Start LLM Studio again"), True),
    (Facts((12, 6), True, (3, 0), ("sm_50",), KEPLER, True), Reason.NO_KERNELS, "5.0 or later", ("nano", "900"), False),
    (Facts((12, 6), True, (12, 0), ("sm_90",), BLACKWELL, True), Reason.NO_KERNELS, "capability 12.0",
     ("newest driver", "Enable my GPU"), False),
    (replace(NOTHING, cuda=(13, 0), driver=AMPERE), Reason.NO_ANSWER, "581.29 is new enough",
     ("Restart", "CUDA_VISIBLE_DEVICES"), False),
])  # fmt: skip
def test_each_reason_is_reported_with_its_cure(
    packaged: None, facts: Facts, reason: Reason, said: str, steps: tuple[str, str], pack: bool
) -> None:
    found = explain(facts)
    assert found and (found.reason, found.pack) == (reason, pack)
    assert said in found.what
    for step, words in zip(found.steps, steps, strict=True):
        assert words in step
    assert "1. " in found.cure and "2. " in found.cure


def test_a_card_that_works_has_no_reason() -> None:
    assert explain(Facts((12, 6), True, (8, 6), ("sm_80", "sm_86"), AMPERE, True)) is None


def test_where_pip_rules_the_cure_is_a_command_with_the_build_for_this_card() -> None:
    for driver, build in ((AMPERE, "whl/cu130"), (PASCAL, "whl/cu126")):
        found = explain(replace(NOTHING, driver=driver))
        assert found and not found.pack
        assert "pip install" in found.steps[0] and build in found.steps[0]


def test_in_french_nothing_is_left_in_english(packaged: None) -> None:
    i18n.activate("fr")
    for facts in (NOTHING, replace(NOTHING, in_the_computer=True), replace(NOTHING, driver=AMPERE)):
        found = explain(facts)
        assert found and not any(word in found.what + found.cure for word in ("the ", "Restart ", "Install "))


@pytest.mark.parametrize("capability, architectures, runs", [
    ((8, 9), ["sm_80", "sm_86"], True),  # the same major version, at most its minor one
    ((7, 5), ["sm_80", "sm_90"], False),
    ((12, 0), ["sm_80", "sm_90"], False),
    ((12, 0), ["sm_80", "compute_90"], True),  # compiled by the driver
    ((9, 0), ["sm_90a"], True),
    ((6, 1), [], False),
])  # fmt: skip
def test_kernels_run_on_their_generation_of_cards(
    capability: tuple[int, int], architectures: list[str], runs: bool
) -> None:
    assert has_kernels(capability, architectures) == runs


def test_the_build_follows_the_card_and_the_driver() -> None:
    def names(driver: Driver) -> list[str]:
        return [build.name for build in builds.suited(driver)]

    assert names(AMPERE) == ["cu130", "cu126"]
    assert names(replace(AMPERE, cuda=(12, 4))) == ["cu126"]
    assert names(PASCAL) == ["cu126"]
    assert names(BLACKWELL) == names(KEPLER) == names(replace(AMPERE, cards=())) == []
    newer = builds.needs_newer_driver(BLACKWELL)
    assert newer and newer.name == "cu130"
    assert builds.needs_newer_driver(KEPLER) is None


def test_the_best_of_several_cards_decides() -> None:
    two = replace(AMPERE, cards=(*KEPLER.cards, *AMPERE.cards))
    assert builds.suited(two) == builds.suited(AMPERE)


@pytest.mark.parametrize("vendor, kind, found", [
    ("0x10de", "0x030000", True), ("0x10de", "0x030200", True), ("0x10de", "0x040300", False),
    ("0x1002", "0x030000", False),
])  # fmt: skip
def test_a_card_on_the_bus_is_seen_without_a_driver(tmp_path: Path, vendor: str, kind: str, found: bool) -> None:
    (tmp_path / "vendor").write_text(vendor + "\n", encoding="ascii")
    (tmp_path / "class").write_text(kind + "\n", encoding="ascii")
    assert card._is_nvidia_display(tmp_path) == found


def test_the_driver_is_requested_through_nvidias_library(monkeypatch: pytest.MonkeyPatch) -> None:
    import pynvml

    monkeypatch.setattr(pynvml, "nvmlInit", lambda: None)
    monkeypatch.setattr(pynvml, "nvmlShutdown", lambda: None)
    monkeypatch.setattr(pynvml, "nvmlSystemGetDriverVersion", lambda: b"581.29")
    monkeypatch.setattr(pynvml, "nvmlSystemGetCudaDriverVersion_v2", lambda: 12060)
    monkeypatch.setattr(pynvml, "nvmlDeviceGetCount", lambda: 1)
    monkeypatch.setattr(pynvml, "nvmlDeviceGetHandleByIndex", lambda index: index)
    monkeypatch.setattr(pynvml, "nvmlDeviceGetCudaComputeCapability", lambda handle: (8, 6))
    monkeypatch.setattr(pynvml, "nvmlDeviceGetName", lambda handle: "GeForce RTX 3060")
    assert card.driver() == Driver("581.29", (12, 6), AMPERE.cards)
