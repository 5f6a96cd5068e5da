"""Preview of what each cleaning rule would change or remove."""

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
"""Number of characters that gives a good estimate within a minute."""

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
    """The numbers of documents left out by reason, as “1 too short, 2 duplicates”; "" if there are none."""
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
    """Measure the effect of each rule on the texts, with these settings or (None) the project's. Changes nothing.

    Reports Progress, and at intervals a RuleMeasured for each rule. With `sample_characters`, the effect of the rules
    that change texts is estimated from about that many characters, spread over the corpus. Raises ProjectError if there
    are no texts, Cancelled.
    """
    from llm_studio.data.corpus.cleaning_preview import CleaningPreviewer

    corpus = open_corpus(project, settings, job)
    return CleaningPreviewer(corpus, job, sample_characters).run()
