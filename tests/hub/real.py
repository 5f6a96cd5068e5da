"""Downloads 100 documents each of TinyStories and French Wikipedia from the real hub: `python -m tests.hub.real DIR`.

The tests use a hub on loopback. This command, which `.github/workflows/linux.yml` runs every week, notices when the
real hub or one of the two datasets has changed. It uses the command line as a user would; `HF_ENDPOINT` selects
another hub.
"""

import json
import subprocess
import sys
from pathlib import Path

DOCUMENTS = 100
SOURCES = (("tinystories", "en"), ("wikipedia", "fr"))


def llm_studio(*arguments: str) -> None:
    """Run the command line; its output is shown. Raises CalledProcessError if it fails."""
    print("+ llm-studio", *arguments, flush=True)
    subprocess.run([sys.executable, "-m", "llm_studio", *arguments], check=True)


def main(folder: Path) -> int:
    """Create a project in `folder` and download into it; 0 if every source has all its documents."""
    llm_studio("new", str(folder), "--preset", "nano")
    for name, language in SOURCES:
        llm_studio("download", str(folder), "--dataset", name, "--lang", language, "--max-samples", str(DOCUMENTS))
    llm_studio("stats", str(folder))
    manifests = [json.loads(path.read_text(encoding="utf-8")) for path in (folder / "data" / "raw").rglob("*meta.json")]
    found = {manifest["name"]: manifest["documents"] for manifest in manifests}
    print(found)
    return 0 if list(found.values()) == [DOCUMENTS] * len(SOURCES) else 1


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
