"""Snapshots: at least twelve of every run, in float16 or else int8, within their room where that is possible."""

import errno
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from llm_studio.config import Settings
from llm_studio.config.presets import load_preset
from llm_studio.model.cost import count_parameters
from llm_studio.runs import moments, snapshots, tensors


def save(run: Path, step: int, weights: dict[str, torch.Tensor], limit: int) -> None:
    snapshots.save(run, step, weights, limit, Settings(), "{}")


def test_they_stay_within_their_room_and_keep_first_and_last(tmp_path: Path) -> None:
    weights = {"w": torch.randn(1000)}
    for step in range(0, 400, 10):
        save(tmp_path, step, weights, 40_000)
    kept = snapshots.listed(tmp_path)
    assert sum(p.stat().st_size for p in kept.values()) <= 40_000
    assert min(kept) == 0 and max(kept) == 390 and len(kept) > snapshots.LEAST
    gaps = [(b + 1) / (a + 1) for a, b in zip(kept, list(kept)[1:], strict=False)]
    assert max(gaps[1:]) < 3  # spread on a logarithmic scale, but for the first jump from 0
    torch.testing.assert_close(snapshots.read(kept[390])["w"].float(), weights["w"], atol=2e-3, rtol=2e-3)


@pytest.mark.parametrize("limit", [1, 3000, 23_000])
def test_of_a_model_too_large_for_the_room_twelve_stay_in_int8(tmp_path: Path, limit: int) -> None:
    for step in range(30):
        save(tmp_path, step, {"w": torch.randn(10, 100)}, limit)
    kept = snapshots.listed(tmp_path)
    assert len(kept) == (12 if limit < 23_000 else 13) and min(kept) == 0 and max(kept) == 29
    assert tensors.read(kept[29])["w"].dtype == torch.int8 and snapshots.read(kept[29])["w"].dtype == torch.float32
    if limit == 23_000:
        assert sum(path.stat().st_size for path in kept.values()) <= 23_000 < 12 * 2000


def test_one_that_another_program_reads_stays_until_the_next_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = Path.unlink

    def busy(path: Path, missing_ok: bool = False) -> None:
        if path.suffix == ".safetensors":
            raise PermissionError(errno.EACCES, "used by another process")
        real(path, missing_ok)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "unlink", busy)
        for step in range(14):
            save(tmp_path, step, {"w": torch.randn(1000)}, 5000)
    assert len(snapshots.listed(tmp_path)) == 14
    save(tmp_path, 14, {"w": torch.randn(1000)}, 5000)
    assert len(snapshots.listed(tmp_path)) == 12


def test_strange_files_are_passed_over_and_later_ones_go_on_request(tmp_path: Path) -> None:
    for step in (1, 5, 9):
        save(tmp_path, step, {"w": torch.ones(2)}, 10_000)
    (snapshots.folder(tmp_path) / "step-000001 (1).safetensors").write_bytes(b"")
    assert list(snapshots.listed(tmp_path)) == [1, 5, 9]
    snapshots.remove_after(tmp_path, 5)
    assert list(snapshots.listed(tmp_path)) == [1, 5]


@given(st.integers(1, 12), st.integers(1, 40), st.floats(1e-6, 1e3), st.integers(0, 2**31))
def test_int8_is_wrong_by_half_a_step_of_its_row_at_most(rows: int, columns: int, size: float, seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    weights = {"w": torch.randn(rows, columns, generator=generator) * size, "norm": torch.randn(5, generator=generator)}
    weights["w"][0] = 0
    back = tensors.from_int8(tensors.to_int8(weights))
    assert back.keys() == weights.keys()
    bound = weights["w"].abs().amax(dim=1, keepdim=True) / 254
    assert ((back["w"] - weights["w"]).abs() <= bound * 1.001).all() and (back["w"][0] == 0).all()
    assert torch.equal(back["norm"], weights["norm"].half())


def test_int8_takes_half_the_bytes_of_float16() -> None:
    weights = {"w": torch.randn(300, 256), "norm": torch.randn(256)}
    assert tensors.size_of(tensors.to_int8(weights)) < 0.52 * tensors.size_of(tensors.to_half(weights))


@pytest.mark.parametrize(("preset", "precision"), [
    ("nano", "float16"), ("mini", "float16"), ("small", "int8"), ("medium", "int8"), ("gpt2", "int8"),
])  # fmt: skip
def test_of_every_preset_at_least_twelve_are_kept_and_their_size_is_known(preset: str, precision: str) -> None:
    model = load_preset(preset).model
    parameters = count_parameters(model, model.vocab_size).total
    found = snapshots.storage(parameters, moments.count(2000), 200_000_000)
    assert found.precision == precision and found.count >= 12
    assert found.total <= max(200_000_000, 12 * found.size)
    assert snapshots.storage(parameters, 5, 200_000_000).count == 5
    assert snapshots.storage(parameters, 66, 0).total == 0
