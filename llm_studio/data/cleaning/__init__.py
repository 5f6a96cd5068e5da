"""Cleaning a text: what a model should never have to learn.

The rules in their fixed order, each a setting that can be switched off again; the texts on the disk stay as they came.

Within a document, one module each:
1. `remove_controls`, `remove_invisible`, `normalize_unicode` (characters.py): characters first, so that all later rules
   see each character written in one way.
2. `remove_html` (html.py): before lines and spaces, for a tag may end a line and an entity may be a space.
3. `remove_repeated_lines` (lines.py): before spaces, for a removed line leaves blank lines behind.
4. `tidy_spaces` (spaces.py).

Between documents, by the corpus (corpus.py), on the texts cleaned so far: lengths and language first, which cost least;
then exact duplicates; then near duplicates (near.py), of which there are fewer to compare.
"""

from llm_studio.data.cleaning.stream import TEXT_RULES, Cleaner, clean

__all__ = ["TEXT_RULES", "Cleaner", "clean"]
