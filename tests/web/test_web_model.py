"""The model on the page computes what the one in torch computes with the same int8 weights."""

from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import settings as examples
from hypothesis import strategies as st

from llm_studio.config import GenerationSettings
from llm_studio.export.web_weights import LARGEST, dequantized, quantize
from llm_studio.inference.generate import generate_with_logits
from llm_studio.inference.sampling import FILTERS, PENALTIES, distribution
from llm_studio.paths import resource
from tests.inference.architectures import CHOICES
from tests.web.browser import Browser
from tests.web.conftest import settings
from tests.web.models import VOCABULARY, checkpoint, page_of, reference

BOUND = 1e-4
"""Of the differences between logits, as a fraction of the largest one."""
NEAR_TIE = 1e-3
PATHS = {"simd": "", "fallback": "#javascript"}
ARCHITECTURES = [
    {"positions": "rope", "qk_norm": True, "tie_embeddings": True},
    {"positions": "rope", "qk_norm": False, "n_kv_heads": 2, "tie_embeddings": False},
    {"positions": "learned", "norm": "layernorm", "activation": "gelu", "bias": True, "qk_norm": False},
    {"positions": "sinusoidal", "activation": "relu2", "n_kv_heads": 1, "bias": True},
    {"positions": "learned", "norm": "layernorm", "bias": False, "activation": "swiglu", "tie_embeddings": False},
    {"positions": "rope", "norm": "layernorm", "activation": "gelu", "bias": True, "rope_theta": 500_000.0},
]
_READ = "(() => {{ page.model.context = []; return {ids}.map((id) => Array.from(page.model.read(id, true))) }})()"
_GREEDY = """(async () => {
  page.model.context = [];
  const found = [];
  let ids = page.model.begin(PROMPT);
  for (let i = 0; i < COUNT; i++) {
    const logits = await page.read(ids), id = argmax(logits);
    found.push(id);
    ids = page.model.next(id);
  }
  return found;
})()"""


def test_the_architectures_cover_every_choice() -> None:
    defaults = settings().model_dump()
    for name, values in CHOICES.items():
        assert {(defaults | one)[name] for one in ARCHITECTURES} == set(values), name


@pytest.mark.parametrize("shape", ARCHITECTURES, ids=str)
def test_logits_are_those_of_the_reference(page: Browser, tmp_path: Path, shape: dict[str, object]) -> None:
    made = checkpoint(tmp_path, settings(**shape))
    ids = torch.randint(VOCABULARY, (24,), generator=torch.Generator().manual_seed(1))
    with torch.inference_mode():
        expected = reference(made)(ids[None])[0]
    file = page_of(made, tmp_path / "model.html")
    for path, fragment in PATHS.items():
        page.open(file, fragment)
        assert page.run("page.model.embedding.products.simd") == (path == "simd")
        found = torch.tensor(page.run(_READ.format(ids=ids.tolist())))
        difference = (found - expected).abs().max() / expected.abs().max()
        assert difference < BOUND, f"{path}: {difference:.2e}"


@pytest.mark.parametrize("shape", ARCHITECTURES[:4], ids=str)
def test_greedy_text_is_the_references_until_a_near_tie_also_past_the_context(
    page: Browser, tmp_path: Path, shape: dict[str, object]
) -> None:
    made = checkpoint(tmp_path, settings(**shape))
    model, count = reference(made), 100
    prompts = [[7], list(range(20)), list(range(100, 160))]  # the last one is longer than the context
    file = page_of(made, tmp_path / "model.html")
    for fragment in PATHS.values():
        page.open(file, fragment)
        for prompt in prompts:
            found = page.run(_GREEDY.replace("PROMPT", str(prompt)).replace("COUNT", str(count)))
            greedy = GenerationSettings(temperature=0, max_tokens=count)
            for place, sampled in enumerate(generate_with_logits(model, prompt, greedy)):
                if found[place] != sampled.token:
                    best = sampled.logits.topk(2).values
                    assert best[0] - best[1] < NEAR_TIE, f"token {place}"
                    break


def test_a_text_that_goes_on_reads_only_what_is_new(page: Browser, plain: Path) -> None:
    page.open(plain)
    assert page.run("(page.model.context = [], page.model.begin([1, 2, 3]))") == [1, 2, 3]
    page.run("for (const id of [1, 2, 3]) page.model.read(id, false)")
    assert page.run("page.model.begin([1, 2, 3, 4, 5])") == [4, 5]
    assert page.run("page.model.begin([1, 9, 3])") == [9, 3], "and what was changed"
    assert page.run("page.model.begin([1])") == [1], "the last token is read again: its logits are needed"


@given(
    logits=st.lists(st.floats(-8, 8, width=32), min_size=3, max_size=40, unique=True),
    sampling=st.builds(
        GenerationSettings, temperature=st.sampled_from([0.0, 0.3, 0.8, 1.0, 2.0]), top_k=st.integers(0, 45),
        top_p=st.sampled_from([0.1, 0.5, 0.9, 0.95, 1.0]), min_p=st.sampled_from([0.0, 0.05, 0.3, 1.0]),
        repetition_penalty=st.sampled_from([0.5, 1.0, 1.3, 2.0]),
    ),
    context=st.lists(st.integers(0, 2), max_size=4),
)  # fmt: skip
@examples(max_examples=150, deadline=None)
def test_the_samplers_give_the_programs_probabilities(
    chromium: Browser, plain: Path, logits: list[float], sampling: GenerationSettings, context: list[int]
) -> None:
    if not chromium.run("typeof page === 'object'"):
        chromium.open(plain)
    script = "Array.from(distribution(Float32Array.from({}), {}, {}))"
    found = torch.tensor(
        chromium.run(script.format(logits, context, sampling.model_dump_json(exclude={"stop"}))), dtype=torch.float32
    )
    expected = distribution(torch.tensor(logits), context, sampling)
    # where rounding decides whether a token is kept, the two may differ in it
    rounding = (found > 0) != (expected > 0)
    if not rounding.any():
        assert torch.allclose(found, expected, atol=1e-5)
    assert rounding.sum() <= 1


def test_no_sampler_is_missing_in_what_is_exported() -> None:
    page = resource("web", "sampling.js").read_text(encoding="utf-8")
    code = resource("course", "src", "inference", "generate.py").read_text(encoding="utf-8")
    for name in (*PENALTIES, *FILTERS):
        assert f"sampling.{name}" in page and f"sampling.{name}" in code, name


def test_tokens_are_drawn_as_often_as_their_probabilities_say(page: Browser, plain: Path) -> None:
    page.open(plain)
    counts = page.run("""(() => {
      const random = randomNumbers(5), counts = [0, 0, 0, 0];
      for (let i = 0; i < 20000; i++) counts[draw([0.5, 0, 0.2, 0.3], random)]++;
      return counts;
    })()""")
    assert counts[1] == 0
    assert counts == pytest.approx([10000, 0, 4000, 6000], abs=300)


@given(seed=st.integers(0, 1000))
@examples(max_examples=20, deadline=None)
def test_rounding_to_int8_changes_a_weight_by_half_a_step_at_most(seed: int) -> None:
    weight = torch.randn(5, 33, generator=torch.Generator().manual_seed(seed))
    weight[2] = 0
    found = quantize(weight)
    assert found.values.abs().amax() == LARGEST
    rounded = dequantized({"w": weight})["w"]
    assert ((rounded - weight).abs() <= 0.5001 * found.scales[:, None]).all()
