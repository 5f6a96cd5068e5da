"""A GGUF file, read by llama.cpp: the same ids, probabilities and texts as here."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import torch
from gguf import GGUFReader, quants
from transformers import AutoTokenizer

from llm_studio.data.sources.conversations import render
from llm_studio.data.tokenizer.patterns import LLAMA3, QWEN2
from llm_studio.data.tokenizer.tokenizer import Tokenizer
from llm_studio.errors import ProjectError
from llm_studio.export import gguf, hf
from llm_studio.inference.load import build_model
from llm_studio.jobs import Job
from llm_studio.model.transformer import Transformer
from llm_studio.runs.locate import ModelRef
from tests.export.llama_cpp import LlamaCpp
from tests.export.trained import CONTEXT, NEW_TOKENS, PROMPTS, VARIANTS, assert_greedy, documents, loaded, untrained
from tests.test_older_tokenizers import older

Variant = Callable[[str], ModelRef]
BOUND = {"f32": 1e-4, "f16": 5e-4, "q8_0": 0.01}
"""How far log-probabilities may be from those of our model with the same rounded weights. llama.cpp rounds activations
too: to float16 before a product with F16, to eight bits in blocks of 32 before one with Q8_0."""


@contextmanager
def read_by_llama_cpp(model: ModelRef, folder: Path, precision: str) -> Iterator[tuple[LlamaCpp, Path]]:
    made = gguf.write(model, folder, {"precision": precision}, Job())
    (path,) = made.path.glob("*.gguf")
    yield LlamaCpp(path, CONTEXT), path


def rounded(model: ModelRef, path: Path) -> Transformer:
    """Our model with the weights that the file holds."""
    ours, _tokenizer = loaded(model)
    shape = ours.settings
    found = {
        one.name: torch.from_numpy(quants.dequantize(one.data, one.tensor_type).copy())
        for one in GGUFReader(path).tensors
    }
    weights = {name: tensor.clone() for name, tensor in ours.state_dict().items()}

    def joined(*names: str) -> torch.Tensor:
        return torch.cat([found[name] for name in names])

    if "position_embd.weight" in found:
        weights["embeddings.position.weight"] = found["position_embd.weight"]
    weights["embeddings.token.weight"] = found["token_embd.weight"]
    if "head.weight" in weights:
        weights["head.weight"] = found["output.weight"]
    for layer in range(shape.n_layers):
        here, there = f"blocks.{layer}.", f"blk.{layer}."
        for kind in ("weight", "bias") if shape.bias else ("weight",):
            weights[f"{here}attention.output.{kind}"] = found[f"{there}attn_output.{kind}"]
            weights[f"{here}feed_forward.down.{kind}"] = found[f"{there}ffn_down.{kind}"]
            if there + "attn_qkv.weight" in found:
                weights[f"{here}attention.qkv.{kind}"] = found[f"{there}attn_qkv.{kind}"]
                weights[f"{here}feed_forward.up.{kind}"] = found[f"{there}ffn_up.{kind}"]
                continue
            q, k = found[f"{there}attn_q.{kind}"], found[f"{there}attn_k.{kind}"]
            if not shape.qk_norm:  # Llama's rows, back in our order
                q, k = (x.unflatten(0, (heads, -1, 2)).transpose(1, 2).flatten(0, 2)
                        for x, heads in ((q, shape.n_heads), (k, shape.kv_heads)))  # fmt: skip
            weights[f"{here}attention.qkv.{kind}"] = torch.cat([q, k, found[f"{there}attn_v.{kind}"]])
            weights[f"{here}feed_forward.gate_up.{kind}"] = joined(f"{there}ffn_gate.{kind}", f"{there}ffn_up.{kind}")
    return build_model(shape, weights)


@pytest.mark.parametrize("name", VARIANTS)
def test_float32_writes_the_same_text(name: str, variant: Variant, tmp_path: Path) -> None:
    ours, tokenizer = loaded(variant(name))
    compared = 0
    with read_by_llama_cpp(variant(name), tmp_path / "modèle", "f32") as (theirs, path):
        assert torch.equal(rounded(variant(name), path).head_weight, ours.head_weight)
        forbidden = [tokenizer.end_of_text] if name != "chat" else list(tokenizer.markers.values())
        for prompt in PROMPTS if name in ("qwen3", "gpt2") else PROMPTS[:6]:
            ids = tokenizer.encode(prompt)
            assert theirs.encode(prompt) == ids
            with torch.no_grad():
                expected = ours(torch.tensor([ids]))[0, -1].log_softmax(-1)
            found = torch.tensor(theirs.log_probabilities(ids, tokenizer.vocab_size))
            torch.testing.assert_close(found, expected, atol=BOUND["f32"], rtol=0)
            written = theirs.greedy(ids, NEW_TOKENS)
            compared += assert_greedy(ours, ids, written, forbidden=forbidden)
            assert theirs.decode(written) == tokenizer.decode(written)
    assert compared > 200


@pytest.mark.parametrize("precision", ["f16", "q8_0"])
@pytest.mark.parametrize("name", ["qwen3-untied-grouped", "llama-grouped", "gpt2"])
def test_rounded_weights_give_what_they_give_here(name: str, precision: str, variant: Variant, tmp_path: Path) -> None:
    tokenizer = loaded(variant(name))[1]
    with read_by_llama_cpp(variant(name), tmp_path / "out", precision) as (theirs, path):
        ours = rounded(variant(name), path)
        for prompt in PROMPTS[:6]:
            ids = tokenizer.encode(prompt)
            with torch.no_grad():
                expected = ours(torch.tensor([ids]))[0, -1].log_softmax(-1)
            found = torch.tensor(theirs.log_probabilities(ids, tokenizer.vocab_size))
            torch.testing.assert_close(found, expected, atol=BOUND[precision], rtol=0)
    types = {one.name: one.tensor_type.name for one in GGUFReader(path).tensors}
    assert types["blk.0.attn_norm.weight"] == "F32"
    assert types["token_embd.weight"] == precision.upper()
    # rows of 72 aren't blocks of 32
    assert types["blk.0.ffn_down.weight"] == ("F16" if name == "llama-grouped" else precision.upper())


def trained_with(pattern: str) -> Tokenizer:
    """A tokenizer of today that cuts texts by `pattern`."""
    from tokenizers import Regex, pre_tokenizers, trainers

    library = older(False)
    library.pre_tokenizer = pre_tokenizers.Sequence([
        pre_tokenizers.Split(Regex(pattern), "isolated"),
        pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
    ])  # fmt: skip
    library.train_from_iterator(documents(500), trainers.BpeTrainer(
        vocab_size=900, special_tokens=["<|endoftext|>", "<|user|>", "<|assistant|>"], show_progress=False,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
    ))  # fmt: skip
    return Tokenizer.from_json(library.to_str())


@pytest.mark.parametrize("kind", ["qwen2", "llama3", "older-digits", "older"])
def test_ids_and_decoded_texts_are_ours(kind: str, tmp_path: Path) -> None:
    made = {"qwen2": lambda: trained_with(QWEN2), "llama3": lambda: trained_with(LLAMA3),
            "older-digits": lambda: Tokenizer.from_json(older(True).to_str()),
            "older": lambda: Tokenizer.from_json(older(False).to_str())}  # fmt: skip
    tokenizer = made[kind]()
    with read_by_llama_cpp(untrained(tmp_path / "p", tokenizer), tmp_path / "out", "f16") as (theirs, _path):
        for text in [*documents(1000), "Le <|user|> dit <|endoftext|>", "À 3 h !  — « Où ? »"]:
            ids = tokenizer.encode(text)
            assert theirs.encode(text) == ids, text
            if kind != "llama3":
                assert theirs.decode(ids) == text


def test_a_chat_is_what_it_is_in_transformers_and_its_answer_ends_with_the_turn(
    variant: Variant, tmp_path: Path
) -> None:
    tokenizer = loaded(variant("chat"))[1]
    hf.write(variant("chat"), tmp_path / "hf", {}, Job())
    other = AutoTokenizer.from_pretrained(tmp_path / "hf")
    messages = [{"role": "system", "content": "Be kind."}, {"role": "user", "content": " Où est le “chat” ? "},
                {"role": "assistant", "content": "Là."}, {"role": "user", "content": "Who is Tom?"}]  # fmt: skip
    with read_by_llama_cpp(variant("chat"), tmp_path / "out", "f32") as (theirs, path):
        rendered = theirs.prompt(messages)
    assert rendered == other.apply_chat_template(messages, tokenize=False, add_generation_prompt=True)
    assert rendered == render({"messages": [*messages, {"role": "assistant", "content": "!"}]}).removesuffix("!")
    fields = GGUFReader(path).fields
    assert fields["tokenizer.ggml.eot_token_id"].contents() == tokenizer.markers["<|user|>"]
    assert fields["tokenizer.ggml.eos_token_ids"].contents() == list(tokenizer.markers.values())


def test_every_switch_is_explicit(variant: Variant, tmp_path: Path) -> None:
    tokenizer = loaded(variant("qwen3"))[1]
    with read_by_llama_cpp(variant("qwen3"), tmp_path / "out", "q8_0") as (_theirs, path):
        reader = GGUFReader(path)
    known = {name: field.contents() for name, field in reader.fields.items()}
    assert known["tokenizer.ggml.pre"] == "qwen2" and known["general.architecture"] == "qwen3"
    for switch in ("add_bos_token", "add_eos_token", "add_space_prefix"):
        assert known[f"tokenizer.ggml.{switch}"] is False
    assert known["tokenizer.ggml.bos_token_id"] == known["tokenizer.ggml.eos_token_id"] == tokenizer.end_of_text
    assert known["qwen3.attention.key_length"] == known["qwen3.attention.value_length"] == 16
    types = known["tokenizer.ggml.token_type"]
    assert [token for token, kind in enumerate(types) if kind == 3] == sorted(tokenizer.markers.values())
    assert "output.weight" not in [one.name for one in reader.tensors]


def test_the_modelfile_names_file_prompt_and_stops(variant: Variant, tmp_path: Path) -> None:
    for name in ("qwen3", "chat", "llama-grouped"):
        made = gguf.write(variant(name), tmp_path / f"l'été {name}-gguf", {}, Job())
        assert [path.name for path in made.path.glob("*.gguf")] == [f"l-été-{name}-q8_0.gguf"]
        text = (made.path / "Modelfile").read_text(encoding="utf-8")
        assert f"FROM ./{next(made.path.glob('*.gguf')).name}\n" in text
        assert ('PARAMETER stop "<|user|>"' in text) == (name == "chat") == ("<|user|>{{" in text)
        assert "PARAMETER repeat_penalty 1.0\n" in text and f"PARAMETER num_ctx {CONTEXT}\n" in text
        assert ("Some versions of Ollama" in text) == (name == "llama-grouped")


def test_a_tokenizer_that_llama_cpp_cannot_have_is_refused(tmp_path: Path) -> None:
    content = json.loads(older(False).to_str())
    content["pre_tokenizer"] = {"type": "Sequence", "pretokenizers": [
        {"type": "Split", "pattern": {"Regex": r"\S+|\s+"}, "behavior": "Isolated", "invert": False},
        {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": False}]}  # fmt: skip
    model = untrained(tmp_path / "p", Tokenizer.from_json(json.dumps(content)))
    with pytest.raises(ProjectError, match="no name for the way"):
        gguf.write(model, tmp_path / "out", {}, Job())
    assert not (tmp_path / "out").exists()
