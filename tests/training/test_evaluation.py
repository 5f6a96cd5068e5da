"""The validation loss is cross-entropy, samples follow from the weights alone, and neither disturbs a training."""

from collections.abc import Iterator

import pytest
import torch
import torch.nn.functional as F

from llm_studio.config import Settings
from llm_studio.data.tokenizer.tokenizer import Tokenizer
from llm_studio.data.tokens import batches
from llm_studio.data.tokens.dataset import Tokens, open_tokens
from llm_studio.device import Compute
from llm_studio.inference.generate import generate
from llm_studio.jobs import Job
from llm_studio.model.transformer import Transformer
from llm_studio.project import Project
from llm_studio.training import evaluation

COMPUTE = Compute("cpu", "float32", 2)
PROMPTS = ("Once", "", "The little girl")


@pytest.fixture
def settings(project: Project) -> Settings:
    """With 13 sequences, which batches of 8 don't divide, and much dropout."""
    return project.settings().replaced({"training.eval_sequences": 13, "model.dropout": 0.5})


@pytest.fixture
def tokens(project: Project) -> Iterator[Tokens]:
    with open_tokens(project.processed) as found:
        yield found


@pytest.fixture
def tokenizer(project: Project) -> Tokenizer:
    return Tokenizer.load(project.tokenizer_file)


def some_model(settings: Settings, tokenizer: Tokenizer, seed: int = 0) -> Transformer:
    """A model in training whose guesses differ from one context to another."""
    torch.manual_seed(seed)
    model = Transformer(settings.model, tokenizer.vocab_size)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.mul_(3)
    return model.train()


def test_the_validation_loss_is_the_mean_over_all_tokens_without_dropout(settings, tokens, tokenizer) -> None:
    model = some_model(settings, tokenizer)
    measured = evaluation.validation_loss(model, tokens, settings, COMPUTE, Job())
    rows = torch.from_numpy(batches.evaluation_sequences(tokens, 13, 32))
    assert rows.shape == (13, 33) and model.training
    with torch.no_grad():
        expected = F.cross_entropy(model.eval()(rows[:, :-1]).flatten(0, 1), rows[:, 1:].flatten())
    assert measured == pytest.approx(expected.item(), rel=1e-6)


def test_a_stopped_evaluation_gives_no_loss_and_no_sample(settings, tokens, tokenizer) -> None:
    job, model = Job(), some_model(settings, tokenizer)
    job.request_stop()
    assert evaluation.validation_loss(model, tokens, settings, COMPUTE, job) is None
    assert not list(evaluation.samples(model, tokenizer, PROMPTS, settings, job))
    assert model.training


def test_a_sample_is_what_the_model_generates_after_its_prompt(settings, tokenizer) -> None:
    model = some_model(settings, tokenizer)
    how = settings.generation.model_copy(update={"seed": 0, "max_tokens": evaluation.SAMPLE_TOKENS})
    expected = [
        (prompt, tokenizer.decode(list(generate(model, tokenizer.encode(prompt) or [end], how, (end,)))))
        for prompt in PROMPTS
        for end in [tokenizer.end_of_text]
    ]
    assert list(evaluation.samples(model, tokenizer, PROMPTS, settings, Job())) == expected
    assert len({text for _prompt, text in expected}) == 3
    assert model.training


def test_samples_are_the_same_for_the_same_weights_only(settings, tokenizer) -> None:
    def samples(seed: int) -> list[tuple[str, str]]:
        model = some_model(settings, tokenizer, seed)
        torch.rand(torch.randint(100, ()))  # whatever torch's generator has been used for
        unseeded = settings.replaced({"generation.seed": None})
        return list(evaluation.samples(model, tokenizer, PROMPTS, unseeded, Job()))

    assert samples(1) == samples(1)
    assert samples(1) != samples(2)


def test_torch_s_own_generator_is_not_touched(settings, tokens, tokenizer) -> None:
    model = some_model(settings, tokenizer)
    before = torch.get_rng_state()
    evaluation.validation_loss(model, tokens, settings, COMPUTE, Job())
    assert torch.equal(torch.get_rng_state(), before)
    assert list(evaluation.samples(model, tokenizer, PROMPTS, settings, Job()))
    assert torch.equal(torch.get_rng_state(), before)
