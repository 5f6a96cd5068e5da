"""Train a new tokenizer on the texts in data/raw:  python scripts/train_tokenizer.py

A new model has to be trained then: this one knows other tokens.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from scripts.prepare_data import RAW, texts
from src import load_config
from src.data.tokenizer import TOKENIZER, Tokenizer, train_tokenizer


def main() -> None:
    """Write tokenizer.json."""
    config = load_config()
    if TOKENIZER.exists():
        raise SystemExit(f"There is a tokenizer already. Move {TOKENIZER} to another place first, and the checkpoints.")
    files = sorted(path for path in RAW.iterdir() if path.suffix in (".txt", ".jsonl"))
    everything = (text for path in files for text in texts(path))
    train_tokenizer(everything, config.model.vocab_size, config.tokenizer.min_frequency)
    print(f"{Tokenizer().vocab_size:,} tokens; write this number into config/config.yaml, as model.vocab_size")


if __name__ == "__main__":
    main()
