"""What each rule of cleaning changes or removes, before it is applied."""

from collections import Counter
from collections.abc import Mapping
from typing import TYPE_CHECKING

from llm_studio.config import DataSettings
from llm_studio.i18n import N_, ngettext, number
from llm_studio.jobs import Job
from llm_studio.project import Project
from llm_studio.workflows.data.corpus import open_corpus

if TYPE_CHECKING:
    from llm_studio.data.corpus.cleaning_preview import CleaningPreview

SAMPLE = 50_000_000
"""Characters that give a good estimate in a minute."""

NAMES = {
    "repair_mojibake": N_("Repair wrongly decoded text"),
    "remove_controls": N_("Remove control characters"),
    "remove_invisible": N_("Remove invisible characters"),
    "normalize_unicode": N_("Normalise Unicode (NFC)"),
    "remove_html": N_("Remove leftover HTML"),
    "remove_licence": N_("Remove the Gutenberg licence"),
    "remove_repeated_lines": N_("Remove headers and page numbers"),
    "tidy_spaces": N_("Clean up white space"),
    "min_characters": N_("Minimum length, in characters"),
    "max_characters": N_("Maximum length, in characters"),
    "languages": N_("Keep only these languages"),
    "remove_duplicates": N_("Remove exact duplicates"),
    "remove_near_duplicates": N_("Remove near duplicates"),
}
"""The name of each rule, as on the Data tab, in the order in which they are applied."""


def left_out(counts: Mapping[str, int]) -> str:
    """“2 duplicates, 1 too short” of how many documents are left out by reason; "" where there are none."""
    n = Counter(counts)
    sentences = {
        "too_short": ngettext("{n} too short", "{n} too short", n["too_short"]),
        "too_long": ngettext("{n} too long", "{n} too long", n["too_long"]),
        "other_language": ngettext("{n} in another language", "{n} in other languages", n["other_language"]),
        "duplicate": ngettext("{n} duplicate", "{n} duplicates", n["duplicate"]),
        "near_duplicate": ngettext("{n} near duplicate", "{n} near duplicates", n["near_duplicate"]),
    }
    return ", ".join(text.format(n=number(n[reason])) for reason, text in sentences.items() if n[reason])


def preview(
    project: Project, settings: DataSettings | None, job: Job, sample_characters: int | None = None
) -> "CleaningPreview":
    """What each rule would do to the texts with these settings, None: the project's own. Changes nothing.

    Reports Progress, and RuleMeasured for each rule again and again. With `sample_characters` the effect of the rules
    that change texts is estimated from so many, spread over the corpus. Raises ProjectError where there are no texts,
    Cancelled.
    """
    from llm_studio.data.corpus.cleaning_preview import CleaningPreviewer

    corpus = open_corpus(project, settings, job)
    return CleaningPreviewer(corpus, job, sample_characters).run()
