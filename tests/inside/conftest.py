"""Projects with random models, as no training is needed to look inside one."""

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch

from llm_studio.data.tokenizer.tokenizer import Tokenizer
from llm_studio.device import Compute
from llm_studio.jobs import Job
from llm_studio.model.transformer import Transformer
from llm_studio.project import Project
from llm_studio.runs import checkpoint, registry, snapshots
from llm_studio.runs.loop_state import LoopState
from llm_studio.workflows.inside.session import InsideSession, open_session
from tests.runs.models import save_run

GPT2 = {
    "model.positions": "learned", "model.norm": "layernorm", "model.activation": "gelu", "model.bias": True,
    "model.qk_norm": False,
}  # fmt: skip
"""What makes a model one of GPT-2's architecture."""


def add_model(project: Project, run: str, step: int, changes: dict[str, object], snapshot: bool = False) -> None:
    """A model with large random weights in a project: as a checkpoint, or as a snapshot."""
    settings = project.settings().replaced(changes)
    text = project.tokenizer_file.read_text(encoding="utf-8")
    torch.manual_seed(step)
    model = Transformer(settings.model, Tokenizer.from_json(text).vocab_size)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.2)
    folder = registry.folder(project, run)
    if snapshot:
        snapshots.save(folder, step, model.state_dict(), 10**9, settings, text)
        return
    state = LoopState(
        step=step, tokens=1, seconds=1.0, vocab_size=model.vocab_size, compute=Compute("cpu", "float32", 2),
        train_loss=3.0, validation_loss=3.0, best_loss=3.0, data="d", torch_version="t", scaler={},
    )  # fmt: skip
    checkpoint.save(folder, state, settings, text, model.state_dict(), {})


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """Tiny models; sums of several threads are rounded differently."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def inside_project(prepared: Path, tmp_path_factory: pytest.TempPathFactory) -> Project:
    """Two runs: `rope` with a checkpoint of step 20 and a snapshot of step 3, `gpt2` with a checkpoint of step 10."""
    root = tmp_path_factory.mktemp("inside") / "mon projet"
    shutil.copytree(prepared, root)
    project = Project.open(root)
    save_run(project, "gpt2", "2024-01-01T00:00:00")
    add_model(project, "gpt2", 10, GPT2)
    save_run(project, "rope", "2024-01-02T00:00:00")
    add_model(project, "rope", 3, {}, snapshot=True)
    add_model(project, "rope", 20, {})
    return project


@pytest.fixture(scope="module", params=["rope/20", "rope/3", "gpt2"])
def session(request: pytest.FixtureRequest, inside_project: Project) -> InsideSession:
    """A session with a checkpoint, a snapshot, and a model of GPT-2's architecture."""
    return open_session(inside_project, Job(), request.param)


@pytest.fixture
def stopped() -> Callable[[int], Job]:
    """A job that is stopped after so many checks."""

    class Stopping(Job):
        def __init__(self, checks: int) -> None:
            super().__init__()
            self._left = checks

        def check(self) -> None:
            self._left -= 1
            if self._left < 0:
                self.request_stop()
            super().check()

    return Stopping
