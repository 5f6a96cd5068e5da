"""A Hugging Face folder, read by transformers: the same ids, logits and texts as here."""

import json
import random
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
import yaml
from transformers import AutoModelForCausalLM, AutoTokenizer

from llm_studio.data.sources.conversations import render
from llm_studio.errors import ProjectError
from llm_studio.events import Progress
from llm_studio.export import hf
from llm_studio.export.hf import CLASSES
from llm_studio.jobs import Job
from llm_studio.runs.locate import ModelRef
from tests.export.trained import NEW_TOKENS, PROMPTS, VARIANTS, assert_greedy, documents, loaded

Variant = Callable[[str], ModelRef]


@pytest.fixture(scope="module")
def folder(variant: Variant, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """Gives the exported folder of a variant."""
    root = tmp_path_factory.mktemp("hf")

    def exported(name: str) -> Path:
        target = root / f"modèle {name}"
        if not target.exists():
            hf.write(variant(name), target, {"licence": "cc-by-4.0"}, Job())
        return target

    return exported


@pytest.mark.parametrize("name", VARIANTS)
def test_logits_and_greedy_texts_are_ours(name: str, variant: Variant, folder: Callable[[str], Path]) -> None:
    ours, tokenizer = loaded(variant(name))
    theirs, info = AutoModelForCausalLM.from_pretrained(folder(name), output_loading_info=True)
    assert not any(info[kind] for kind in ("missing_keys", "unexpected_keys", "mismatched_keys")), info
    assert type(theirs).__name__ == CLASSES[name.partition("-")[0].replace("chat", "qwen3")]
    their_tokenizer = AutoTokenizer.from_pretrained(folder(name))
    compared = 0
    for prompt in PROMPTS if name in ("qwen3", "gpt2") else PROMPTS[:6]:
        ids = their_tokenizer(prompt)["input_ids"]
        assert ids == tokenizer.encode(prompt)
        with torch.no_grad():
            torch.testing.assert_close(theirs(torch.tensor([ids])).logits, ours(torch.tensor([ids])), atol=1e-4, rtol=0)
        written = theirs.generate(torch.tensor([ids]), attention_mask=torch.ones(1, len(ids)), do_sample=False,
                                  temperature=None, top_k=None, top_p=None, max_length=None,
                                  max_new_tokens=NEW_TOKENS, eos_token_id=None)[0, len(ids) :].tolist()  # fmt: skip
        compared += assert_greedy(ours, ids, written)
    assert compared > 200


@pytest.mark.parametrize("name", ["qwen3", "gpt2", "chat"])
def test_ids_and_decoded_texts_are_ours(name: str, variant: Variant, folder: Callable[[str], Path]) -> None:
    _model, ours = loaded(variant(name))
    theirs = AutoTokenizer.from_pretrained(folder(name))
    texts = documents(1000)
    assert theirs(texts)["input_ids"] == [ours.encode(text) for text in texts]
    chance = random.Random(5)
    for text in texts:
        ids = ours.encode(text)
        assert theirs.decode(ids, skip_special_tokens=False) == text == ours.decode(ids)
        some = [chance.randrange(ours.vocab_size) for _ in range(20)]
        assert theirs.decode(some) == ours.decode(some)
    assert theirs.bos_token_id == theirs.eos_token_id == ours.end_of_text


def test_saving_and_loading_there_changes_nothing(
    variant: Variant, folder: Callable[[str], Path], tmp_path: Path
) -> None:
    for name in ("qwen3", "llama-untied-bias", "gpt2"):
        ours, tokenizer = loaded(variant(name))
        AutoModelForCausalLM.from_pretrained(folder(name)).save_pretrained(tmp_path / name)
        AutoTokenizer.from_pretrained(folder(name)).save_pretrained(tmp_path / name)
        again = AutoModelForCausalLM.from_pretrained(tmp_path / name)
        ids = AutoTokenizer.from_pretrained(tmp_path / name)(PROMPTS[5], return_tensors="pt")["input_ids"]
        assert ids[0].tolist() == tokenizer.encode(PROMPTS[5])
        with torch.no_grad():
            torch.testing.assert_close(again(ids).logits, ours(ids), atol=1e-4, rtol=0)
        assert again.config.tie_word_embeddings == variant(name).settings().model.tie_embeddings


def test_a_chat_is_rendered_as_it_was_for_training(variant: Variant, folder: Callable[[str], Path]) -> None:
    tokenizer = AutoTokenizer.from_pretrained(folder("chat"))
    turns = [("system", "Be kind."), ("user", " What is\na “cat” ? <|user|>"), ("assistant", "A cat. "),
             ("user", "Et après ?"), ("user", "Dis-le !"), ("assistant", "Miaou 🐱")]  # fmt: skip
    for count in range(2, len(turns) + 1):
        messages = [{"role": role, "content": text} for role, text in turns[:count]]
        if turns[count - 1][0] == "assistant":
            expected = render({"messages": messages})
            assert tokenizer.apply_chat_template(messages, tokenize=False) == expected + "<|endoftext|>"
        else:
            answered = [*messages, {"role": "assistant", "content": "!"}]
            rendered = tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=True)
            assert rendered == render({"messages": answered}).removesuffix("!")
    ours = loaded(variant("chat"))[1]
    ids = tokenizer.apply_chat_template([{"role": "user", "content": "Où ?"}], add_generation_prompt=True)["input_ids"]
    assert ids == [ours.markers["<|user|>"], *ours.encode("Où ?"), ours.markers["<|assistant|>"]]
    generation = json.loads((folder("chat") / hf.GENERATION).read_text(encoding="utf-8"))
    assert generation["eos_token_id"] == [ours.end_of_text, ours.markers["<|user|>"], ours.markers["<|assistant|>"]]
    assert AutoTokenizer.from_pretrained(folder("qwen3")).chat_template is None


def test_the_model_card_names_texts_licence_and_loss(variant: Variant, folder: Callable[[str], Path]) -> None:
    card = (folder("chat") / hf.CARD).read_text(encoding="utf-8")
    fields = yaml.safe_load(card.split("---")[1])
    assert fields["license"] == "cc-by-4.0" and fields["language"] == "en"
    assert "- stories-en (" in card and "- chat (" in card and "bits/byte" in card and "LLM Studio" in card
    assert "may reproduce passages" in card


@pytest.mark.parametrize("changes, parts", [
    ({"positions": "sinusoidal"}, "sinusoidal positions + RMSNorm + SwiGLU"),
    ({"activation": "relu2"}, "ReLU²"), ({"norm": "layernorm"}, "LayerNorm"), ({"bias": True}, "query/key norm + bias"),
    ({"positions": "learned", "norm": "layernorm", "activation": "gelu", "qk_norm": False, "n_kv_heads": 1}, "shared"),
])  # fmt: skip
def test_what_has_no_home_there_is_refused_and_says_what_to_train(
    changes: dict[str, object], parts: str, variant: Variant, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = variant("qwen3")
    settings = model.settings().replaced({f"model.{name}": value for name, value in changes.items()})
    monkeypatch.setattr(type(model), "settings", lambda _self: settings)
    with pytest.raises(ProjectError) as caught:
        hf.write(model, tmp_path / "out", {}, Job())
    assert parts in caught.value.what and "train a model with RoPE" in caught.value.to_do
    assert not list(tmp_path.iterdir())


def test_progress_is_in_bytes_and_ends_full(variant: Variant, tmp_path: Path) -> None:
    heard: list[object] = []
    made = hf.write(variant("qwen3"), tmp_path / "out", {}, Job(heard.append))
    last = [event for event in heard if isinstance(event, Progress)][-1]
    assert last.done == last.total and abs(made.bytes - (last.total or 0)) < 0.2 * made.bytes
