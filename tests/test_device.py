"""The choice of device and precision."""

import pytest
import torch

from llm_studio import device
from llm_studio.config import TrainingSettings
from llm_studio.errors import TrainingError
from llm_studio.gpu import why
from llm_studio.gpu.why import Reason, WhyNoGpu


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


def test_a_request_for_a_gpu_that_is_not_there_is_refused_with_the_cure(no_gpu: pytest.MonkeyPatch) -> None:
    no_gpu.setattr(why, "why_no_gpu", lambda: WhyNoGpu(Reason.NO_CARD, "There is none.", ("Buy one.", "Use it.")))
    assert device.choose(settings()).device == "cpu"
    with pytest.raises(TrainingError, match=r"There is none\. 1\. Buy one\.  2\. Use it\."):
        device.choose(settings(device="cuda"))


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
