"""Cleaning of texts: removal of what a model should not have to learn.

The rules are applied in a fixed order, and each is a setting; the texts on the disk are never changed.

Within a document, one module each:
1. `repair_mojibake` (data/mojibake.py): before the rules for characters, which would remove some that it needs.
2. `remove_controls`, `remove_invisible`, `normalize_unicode` (characters.py): characters first, so that all later rules
   see one spelling of each character.
3. `remove_html` (html.py): before lines and spaces, because a tag can end a line and an entity can be a space.
4. `remove_licence` (licence.py): before its lines could count as repeated ones.
5. `remove_repeated_lines` (lines.py): before spaces, because a removed line leaves blank lines behind.
6. `tidy_spaces` (spaces.py).

Between documents (data/corpus), on the cleaned texts: length and language first, which cost least; then exact
duplicates; then near duplicates (near_duplicates.py), when fewer documents are left to compare.

The rules that are on by default remove nothing that a model could learn from: control characters, NFC normalisation,
exact duplicates, documents under 50 characters, and in new projects (the presets) invisible characters and white space.
The last two are off if config.yaml doesn't name them: such a file is older than these rules, and its corpus must stay
the same. The other rules are off because what they remove may be wanted: texts about HTML have tags, songs have
refrains, collections have several versions of a text; and a language or a maximum length is a choice.
"""

from llm_studio.data.cleaning.pipeline import TEXT_RULES, Cleaner, clean

__all__ = ["TEXT_RULES", "Cleaner", "clean"]
