"""What each rule of cleaning does, before it is applied."""

from pathlib import Path

import pytest

from llm_studio.config import DataSettings
from llm_studio.data.chunks import CHUNK_CHARACTERS, Chunk
from llm_studio.data.cleaning import TEXT_RULES
from llm_studio.data.corpus import cleaning_preview
from llm_studio.data.corpus.cleaning_preview import DOCUMENT_RULES, CleaningPreview, CleaningPreviewer
from llm_studio.data.corpus.corpus import Corpus
from llm_studio.data.corpus.selection import Verdict
from llm_studio.data.sources.store import write_source
from llm_studio.errors import Cancelled
from llm_studio.events import Event, Progress, RuleMeasured
from llm_studio.jobs import Job

from .test_corpus import plan_of, sentences
from .test_languages import SENTENCES

ALL_ON = DataSettings.model_validate(
    {**dict.fromkeys(TEXT_RULES, True), "remove_near_duplicates": True, "languages": ["en"], "max_characters": 5000}
)
NOTHING = DataSettings.model_validate({**dict.fromkeys(TEXT_RULES, False), "min_characters": 0})


def measured(
    folder: Path,
    sources: dict[str, list[str]],
    settings: DataSettings,
    sample: int | None = None,
    job: Job | None = None,
) -> tuple[CleaningPreview, dict[str, RuleMeasured]]:
    for name, texts in sources.items():
        write_source(folder, name, "", [Chunk(text, True) for text in texts], Job())
    found = CleaningPreviewer(Corpus(folder, settings), job or Job(), sample).run()
    return found, {rule.rule: rule for rule in found.rules}


def texts() -> list[str]:
    page = [f"The Daily\n\n{sentences(8, seed)}" for seed in range(40)]
    return [
        *page,
        "One\x00 text with a control character in it: it is long enough to stay in the end.",
        "Une lettre accentue\u0301e qui s'e\u0301crit de deux manie\u0300res differentes dans ce texte-la.",
        "<p>This paragraph is still wrapped in its tags &amp; has an entity too, as you see.</p>",
        "Some  words   are further apart than others are in this line of text. \n\n\n\n\n\nEnd.",
        "too short",
        sentences(900, 77),
        page[3],
        page[5] + " And so on.",
    ]


def test_each_rule_counts_what_it_does_after_those_before(tmp_path: Path) -> None:
    found, rules = measured(tmp_path, {"a": texts()}, ALL_ON)
    assert [rule.rule for rule in found.rules] == [*TEXT_RULES, *DOCUMENT_RULES.values()]
    assert {name: rule.documents for name, rule in rules.items()} == {
        "repair_mojibake": 0, "remove_controls": 1, "remove_invisible": 0, "normalize_unicode": 1, "remove_html": 1,
        "remove_licence": 0, "remove_repeated_lines": 42, "tidy_spaces": 45, "min_characters": 1, "max_characters": 1,
        "languages": 1, "remove_duplicates": 1, "remove_near_duplicates": 1,
    }  # fmt: skip
    assert rules["remove_controls"].characters == 1
    assert rules["remove_html"].characters == len("<p></p>" + "amp;") - 2  # two line ends come
    assert rules["min_characters"].characters == len("too short")
    assert all(rule.final and rule.on and not rule.estimated for rule in found.rules)


@pytest.mark.parametrize("settings", [ALL_ON, DataSettings(), NOTHING])
def test_what_is_left_is_what_the_plan_keeps(tmp_path: Path, settings: DataSettings) -> None:
    found, rules = measured(tmp_path, {"a": texts(), "b": texts()[:10]}, settings)
    plan = plan_of(tmp_path, {}, settings)
    assert (found.kept_documents, found.kept_characters) == (plan.documents, plan.characters)
    for verdict, name in DOCUMENT_RULES.items():
        assert plan.removed[verdict] == (rules[name].documents if rules[name].on else 0)
    removed = sum(rule.characters for rule in found.rules if rule.on)
    assert found.characters - removed == found.kept_characters


def test_a_rule_that_is_off_tells_what_it_would_do_and_does_nothing(tmp_path: Path) -> None:
    found, rules = measured(tmp_path, {"a": texts()}, NOTHING)
    assert rules["remove_controls"].documents == 1
    assert rules["remove_html"].documents == 1
    assert rules["remove_near_duplicates"].documents == 1
    assert not any(rules[name].on for name in TEXT_RULES)
    assert found.kept_documents == found.documents - 1  # exact duplicates are removed


def test_examples_show_the_place_of_the_change(tmp_path: Path) -> None:
    _found, rules = measured(tmp_path, {"a": ["word " * 200 + "<b>here</b>" + " word" * 200, *texts()]}, ALL_ON)
    example = rules["remove_html"].examples[0]
    assert (example.source, "<b>here</b>" in example.before, "here" in example.after) == ("a", True, True)
    assert example.after != example.before
    assert max(len(example.before), len(example.after)) <= cleaning_preview.SNIPPET
    assert rules["min_characters"].examples[0].before == "too short"
    [near] = rules["remove_near_duplicates"].examples
    assert "And so on." in near.after and "And so on." not in near.before
    assert SENTENCES["fr"][:0] == rules["languages"].examples[0].after


def test_a_long_document_counts_once(tmp_path: Path) -> None:
    long = "a line with  two blanks\r\n" * (CHUNK_CHARACTERS // 8)
    _found, rules = measured(tmp_path, {"a": [long, "b" * 60]}, DataSettings(tidy_spaces=True))
    lines = CHUNK_CHARACTERS // 8
    assert (rules["remove_controls"].documents, rules["remove_controls"].characters) == (1, lines)
    assert (rules["tidy_spaces"].documents, rules["tidy_spaces"].characters) == (1, lines + 1)


def test_a_sample_gives_estimates_of_the_rules_for_texts(tmp_path: Path) -> None:
    many = [f"<p>{sentences(3, seed)}</p>" for seed in range(400)]
    found, rules = measured(tmp_path, {"a": many}, DataSettings(), sample=sum(map(len, many)) // 10)
    assert 30 <= found.sampled_documents <= 50
    assert rules["remove_html"].estimated
    assert rules["remove_html"].documents == 400
    assert not rules["remove_duplicates"].estimated
    assert found.kept_documents == found.documents == 400


def test_figures_come_while_it_runs_and_it_can_be_stopped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cleaning_preview, "_REPORT_SECONDS", 0)
    events: list[Event] = []
    measured(tmp_path, {"a": texts()}, ALL_ON, job=Job(events.append))
    html = [event for event in events if isinstance(event, RuleMeasured) and event.rule == "remove_html"]
    assert [event.documents for event in html] == sorted(event.documents for event in html)
    assert (html[0].final, html[-1].final) == (False, True)
    assert any(isinstance(event, Progress) and event.total for event in events)

    job = Job(lambda event: job.request_stop())
    with pytest.raises(Cancelled):
        measured(tmp_path, {}, ALL_ON, job=job)


def test_every_verdict_has_its_rule() -> None:
    assert {*DOCUMENT_RULES, Verdict.KEPT} == set(Verdict)
