"""Let the model write:  python scripts/generate.py --prompt "Once upon a time" --seed 1"""

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

import torch
from safetensors.torch import load

from src import load_config
from src.data.tokenizer import Tokenizer
from src.inference.generate import generate
from src.model.transformer import Transformer
from src.training.trainer import newest_checkpoint


def main() -> None:
    """Write a text to the terminal."""
    config = load_config()
    sampling = config.generation
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--prompt", default="", help="the text to continue; without it, the model begins one")
    # [if conversations]
    parser.add_argument("--chat", help="a question to answer instead")
    # [end]
    # [if stop_strings]
    stop_strings = vars(sampling).pop("stop")
    # [end]
    for name, value in vars(sampling).items():
        kind = int if name in ("top_k", "max_tokens", "seed") else float
        parser.add_argument(f"--{name.replace('_', '-')}", type=kind, default=value)
    given = vars(parser.parse_args())
    for name in vars(sampling):
        setattr(sampling, name, given[name])

    checkpoint = newest_checkpoint()
    if checkpoint is None:
        raise SystemExit("There is no checkpoint yet: train a model first, with scripts/train.py.")
    torch.set_num_threads(config.training.threads)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    tokenizer, model = Tokenizer(), Transformer(config.model).to(device)
    model.load_state_dict(load((checkpoint / "model.safetensors").read_bytes()))

    # [if conversations]
    prompt = tokenizer.question(given["chat"]) if given["chat"] else tokenizer.encode(given["prompt"])
    stop = [tokenizer.end_of_text, tokenizer.user, *([tokenizer.assistant] if given["chat"] else [])]
    # [else]
    prompt, stop = tokenizer.encode(given["prompt"]), [tokenizer.end_of_text]
    # [end]
    sys.stdout.reconfigure(encoding="utf-8")
    print(given["prompt"], end="")
    ids, text, written = [], "", 0
    for token in generate(model, prompt or [tokenizer.end_of_text], sampling, stop):
        ids.append(token)
        text = tokenizer.decode(ids)
        # [if stop_strings]
        ends = [text.index(string) for string in stop_strings if string in text]
        if ends:
            text = text[: min(ends)]
            break
        ready = len(text) - max(map(len, stop_strings)) + 1  # the rest may be the beginning of one of them
        # [else]
        ready = len(text)
        # [end]
        if ready > written and not text.endswith("\ufffd"):  # else a character isn't complete yet
            print(text[written:ready], end="", flush=True)
            written = ready
    print(text[written:])


if __name__ == "__main__":
    main()
