"""Models that no run made, on web pages."""

import json
from pathlib import Path

import torch

from llm_studio import files
from llm_studio.config import ModelSettings, Settings
from llm_studio.export.source import read
from llm_studio.export.web_page import FORMAT
from llm_studio.export.web_weights import dequantized
from llm_studio.inference.load import build_model
from llm_studio.jobs import Job
from llm_studio.model.transformer import Transformer
from llm_studio.runs.checkpoint import RECORD, TOKENIZER, record_of
from llm_studio.runs.locate import ModelRef, locate
from tests.runs.models import empty_project, save_checkpoint, save_run
from tests.tokenizers import of_pairs

VOCABULARY = 512


def checkpoint(
    folder: Path, settings: ModelSettings, tokenizer: str = "", conversations: bool = False, scale: float = 0.1
) -> ModelRef:  # fmt: skip
    """A checkpoint in a new project below `folder`: a random model in which every weight matters."""
    tokenizer = tokenizer or of_pairs(VOCABULARY)
    project = empty_project(folder)
    torch.manual_seed(0)
    size = len(json.loads(tokenizer)["model"]["vocab"])
    model = Transformer(settings, size)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn_like(parameter) * scale)
    save_run(project, "run-1", "2030-01-01", conversations=conversations)
    path = save_checkpoint(project, "run-1", 10, 2.0, model.state_dict(), Settings(model=settings), conversations)
    (path / TOKENIZER).write_text(tokenizer, encoding="utf-8")
    refresh(path)
    return locate(project, "run-1", verify=False)


def refresh(checkpoint_folder: Path) -> None:
    """Let the record of a checkpoint fit its files, after one was changed."""
    record = {name: value for name, value in record_of(checkpoint_folder).items() if name != "fingerprint"}
    record["files"] = {name: files.sha256_of(checkpoint_folder / name) for name in record["files"]}
    files.write_json(checkpoint_folder / RECORD, {**record, "fingerprint": files.fingerprint(record)})


def page_of(model: ModelRef, target: Path) -> Path:
    """The page that runs a model."""
    return FORMAT.write(model, target, {}, Job()).path


def reference(model: ModelRef) -> Transformer:
    """The model with the weights that its page has, in torch."""
    source = read(model, Job())
    return build_model(source.settings.model, dequantized(source.weights))
