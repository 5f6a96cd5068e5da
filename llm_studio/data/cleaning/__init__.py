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

What is on without being asked for takes nothing from a text that a model could learn from: control characters, NFC,
exact duplicates, documents under 50 characters, and in new projects (the presets) invisible characters and white space.
These two are off where a config.yaml doesn't name them: it is older than they are, and its corpus stays the same.
The rest is off, for somebody wants what it removes: texts about HTML have tags, songs have refrains, collections have
versions of one text; and a language or a longest length is a choice.
"""

from llm_studio.data.cleaning.pipeline import TEXT_RULES, Cleaner, clean

__all__ = ["TEXT_RULES", "Cleaner", "clean"]
