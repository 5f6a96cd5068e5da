"""Which device and precision are chosen, and the reasons why no GPU is used, told apart."""

import pytest
import torch

from llm_studio import device
from llm_studio.config import TrainingSettings
from llm_studio.errors import TrainingError


def settings(**fields: object) -> TrainingSettings:
    return TrainingSettings.model_validate(fields)


@pytest.fixture
def no_gpu(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    return monkeypatch


def test_a_cpu_with_fast_units_trains_in_bfloat16_and_another_in_float32(no_gpu: pytest.MonkeyPatch) -> None:
    for fast, precision in ((True, "bfloat16"), (False, "float32")):
        no_gpu.setattr(device, "cpu_has_fast_bfloat16", lambda fast=fast: fast)
        assert device.choose(settings()).precision == precision
    assert device.choose(settings(precision="float32")).precision == "float32"
    assert device.choose(settings(threads=1)) == device.Compute("cpu", "float32", 1)


@pytest.mark.parametrize("capability, native, precision", [
    ((8, 6), True, "bfloat16"), ((7, 5), False, "float16"), ((6, 1), False, "float32"),
])  # fmt: skip
def test_a_gpu_gets_the_precision_its_units_are_fast_in(
    monkeypatch: pytest.MonkeyPatch, capability: tuple[int, int], native: bool, precision: str
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda: capability)
    monkeypatch.setattr(torch.cuda, "get_arch_list", lambda: [f"sm_{capability[0]}{capability[1]}"])
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation: native)
    assert device.choose(settings()) == device.Compute("cuda", precision, device.all_cores())


@pytest.mark.parametrize("cuda, driver, said, cure", [
    (None, None, "No NVIDIA card was found", "slower"),
    (None, "535.1", "torch is the build for processors", "Install the CUDA build"),
    ("12.6", None, "No NVIDIA driver answers", "install its driver"),
    ("12.6", "450.80", "driver 450.80 is too old for torch's CUDA 12.6", "Update the driver"),
])  # fmt: skip
def test_each_reason_for_no_gpu_is_told_with_its_cure(
    no_gpu: pytest.MonkeyPatch, cuda: str | None, driver: str | None, said: str, cure: str
) -> None:
    no_gpu.setattr(torch.version, "cuda", cuda)
    no_gpu.setattr(device, "nvidia_driver", lambda: driver)
    reason = device.why_no_gpu()
    assert reason and said in reason[0] and cure in reason[1]
    with pytest.raises(TrainingError, match=said):
        device.choose(settings(device="cuda"))


@pytest.mark.parametrize("capability, architectures, runs", [
    ((8, 9), ["sm_80", "sm_86"], True),  # the same major version, at most its minor one
    ((7, 5), ["sm_80", "sm_90"], False),
    ((12, 0), ["sm_80", "sm_90"], False),
    ((12, 0), ["sm_80", "compute_90"], True),  # compiled by the driver
    ((9, 0), ["sm_90a"], True),
    ((6, 1), [], False),
])  # fmt: skip
def test_a_card_that_the_build_has_no_kernels_for_is_told(
    monkeypatch: pytest.MonkeyPatch, capability: tuple[int, int], architectures: list[str], runs: bool
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda: capability)
    monkeypatch.setattr(torch.cuda, "get_arch_list", lambda: architectures)
    reason = device.why_no_gpu()
    assert (reason is None) == runs
    if reason:
        assert "no kernels for this card" in reason[0]


def test_float16_on_a_processor_is_refused(no_gpu: pytest.MonkeyPatch) -> None:
    with pytest.raises(TrainingError, match="float16"):
        device.choose(settings(precision="float16"))


def test_products_are_made_in_the_precision_chosen_and_weights_stay_float32() -> None:
    linear = torch.nn.Linear(4, 4)
    for precision, dtype in (("bfloat16", torch.bfloat16), ("float32", torch.float32)):
        with device.Compute("cpu", precision, 1).autocast():
            assert linear(torch.ones(1, 4)).dtype == dtype
    assert linear.weight.dtype == torch.float32


def test_memory_and_processor_are_known() -> None:
    assert device.memory_bytes("cpu") > 10_000_000
    assert device.processor_name()
