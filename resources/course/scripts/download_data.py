"""Download texts from the Hugging Face hub:  python scripts/download_data.py roneneldan/TinyStories --count 20000

It needs one library more:  pip install datasets
"""

import argparse
import json
from itertools import islice
from pathlib import Path

RAW = Path(__file__).parents[1] / "data" / "raw"


def main() -> None:
    """Write data/raw/NAME.jsonl."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("name", help="owner/name of the dataset on the hub")
    parser.add_argument("--split", default="train")
    parser.add_argument("--column", default="text", help="the column with the texts")
    parser.add_argument("--count", type=int, default=20_000, help="how many texts")
    given = parser.parse_args()
    from datasets import load_dataset

    rows = load_dataset(given.name, split=given.split, streaming=True)  # only what is used is downloaded
    RAW.mkdir(parents=True, exist_ok=True)
    target = RAW / f"{given.name.replace('/', '-')}.jsonl"
    with target.open("w", encoding="utf-8") as out:
        for row in islice(rows, given.count):
            out.write(json.dumps({"text": row[given.column]}, ensure_ascii=False) + "\n")
    print(f"{target}: {target.stat().st_size / 1e6:,.1f} MB")


if __name__ == "__main__":
    main()
