"""The translation catalogue: `python -m tests.catalogue` updates the .po files from the source and compiles them;
`--check` only reports what is missing."""

import io
import re
import sys
from pathlib import Path

from babel.messages import Catalog
from babel.messages.extract import extract_from_dir
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po, write_po

ROOT = Path(__file__).parents[1]
MISPLACED = re.compile("[ \u00a0][;!?]|\\w[;!?](?= |$)|[ \u202f][:»]|\\S»|«(?!\u00a0)")
"""Wrong spaces in French: it has U+202F before ; ! ?, and U+00A0 before : and inside « »."""
KEYWORDS = {"_": None, "N_": None, "ngettext": (1, 2)}


def source_messages() -> Catalog:
    """Every string marked for translation in the source."""
    found = Catalog(domain="llm_studio", charset="utf-8")
    rows = extract_from_dir(ROOT / "llm_studio", method_map=[("**.py", "python")], keywords=KEYWORDS)
    for file, line, message, comments, context in sorted(rows, key=lambda row: (row[0], row[1])):
        found.add(
            message, None, [(f"llm_studio/{Path(file).as_posix()}", line)], auto_comments=comments, context=context
        )
    return found


def catalogues() -> list[Path]:
    """The .po file of each language."""
    return sorted((ROOT / "resources" / "i18n").glob("*/LC_MESSAGES/llm_studio.po"))


def compiled(catalogue: Catalog) -> bytes:
    """The .mo file of a catalogue."""
    out = io.BytesIO()
    write_mo(out, catalogue)
    return out.getvalue()


def faults(path: Path) -> list[str]:
    """Messages about what is missing, fuzzy, stale, wrongly spaced or not compiled in the .po file at `path`."""
    with path.open("rb") as stream:
        catalogue = read_po(stream)
    wanted = source_messages()
    found: list[str] = []
    for message in wanted:
        if not message.id:
            continue
        here = catalogue.get(message.id)
        texts = here.string if here and isinstance(here.string, tuple | list) else [here.string if here else ""]
        if not here or not all(texts):
            found.append(f"not translated: {message.id!r}")
        elif here.fuzzy:
            found.append(f"fuzzy: {message.id!r}")
        elif any(error for error in here.check()):
            found.append(f"placeholders differ: {message.id!r}")
        elif path.parts[-3] == "fr" and any(map(MISPLACED.search, texts)):
            found.append(f"spaces before ; : ! ? or inside « »: {message.id!r}")
    found += [f"stale: {m.id!r}" for m in catalogue if m.id and wanted.get(m.id) is None]
    machine = path.with_suffix(".mo")
    if not machine.exists() or machine.read_bytes() != compiled(catalogue):
        found.append(f"not compiled: {machine.name}")
    return found


def update(path: Path) -> None:
    """Add new strings to the .po file at `path`, remove obsolete ones, and compile it."""
    with path.open("rb") as stream:
        catalogue = read_po(stream, locale=path.parts[-3], domain="llm_studio")
    catalogue.update(source_messages(), no_fuzzy_matching=True)
    catalogue.obsolete.clear()
    with path.open("wb") as stream:
        write_po(stream, catalogue, width=110, sort_by_file=True, include_lineno=False)
    with path.open("rb") as stream:
        path.with_suffix(".mo").write_bytes(compiled(read_po(stream)))


def main() -> int:
    """Check or update every catalogue."""
    missing = 0
    for path in catalogues():
        if "--check" not in sys.argv:
            update(path)
        for fault in faults(path):
            missing += 1
            print(f"{path.parts[-3]}: {fault}")
    return 1 if missing else 0


if __name__ == "__main__":
    sys.exit(main())
