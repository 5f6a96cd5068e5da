"""What is measured and written without some parts of a model."""

from collections.abc import Callable

import pytest

from llm_studio.errors import Cancelled, StudioError
from llm_studio.events import Event
from llm_studio.jobs import Job
from llm_studio.project import Project
from llm_studio.workflows.inside.ablation import AblationStudy, parse_parts
from llm_studio.workflows.inside.results import ModelPart, all_parts
from llm_studio.workflows.inside.session import InsideSession, open_session
from llm_studio.workflows.training.evaluate import evaluate

TOKENS = 500


@pytest.fixture(scope="module")
def study(session: InsideSession) -> AblationStudy:
    return AblationStudy(session, Job(), TOKENS)


def test_the_whole_model_has_the_loss_of_evaluate(session: InsideSession, study: AblationStudy) -> None:
    measured = evaluate(session.project, Job(), session.ref.reference(session.project), max_tokens=TOKENS)
    assert study.intact == measured.bits_per_byte and study.tokens == measured.tokens


def test_switching_nothing_off_changes_nothing(study: AblationStudy) -> None:
    found = study.effect([], Job(), "Once")
    assert found.bits_per_byte == found.intact_bits_per_byte == study.intact
    assert found.text == found.intact_text and found.text


def test_parts_switched_off_change_loss_and_text(session: InsideSession, study: AblationStudy) -> None:
    found = study.effect(all_parts(2, 2), Job(), "Once")
    assert found.bits_per_byte != found.intact_bits_per_byte and found.text != found.intact_text
    assert found.off == ("L1.attention", "L1.feed_forward", "L1H1", "L1H2",
                         "L2.attention", "L2.feed_forward", "L2H1", "L2H2")  # fmt: skip
    without = session.without(all_parts(2, 2))
    assert without.facts.off == found.off and session.facts.off == ()
    lens = without.lens("Once upon", Job())
    assert (lens.guesses[0] == lens.guesses[-1]).all()  # nothing is added to the embeddings


def test_every_part_is_measured_alone_the_most_important_first(study: AblationStudy) -> None:
    found = study.importance(Job())
    assert {one.part for one in found} == {part.name for part in all_parts(2, 2)}
    assert [one.change for one in found] == sorted((one.change for one in found), reverse=True)
    one = found[0]
    alone = study.effect(parse_parts([one.part], 2, 2), Job())
    assert alone.bits_per_byte == one.bits_per_byte
    assert study.intact is not None and one.change == pytest.approx(one.bits_per_byte - study.intact)


def test_a_study_can_be_cancelled(inside_project: Project, stopped: Callable[[int], Job]) -> None:
    session = open_session(inside_project, Job(), "rope")
    with pytest.raises(Cancelled):
        AblationStudy(session, stopped(1))
    study = AblationStudy(session, Job(), TOKENS)
    job = stopped(10**9)
    job.request_stop()
    for run in (lambda: study.importance(job), lambda: study.effect([ModelPart(0, "attention")], job)):
        with pytest.raises(Cancelled):
            run()


def test_what_is_written_is_in_the_result_and_not_reported_meanwhile(study: AblationStudy) -> None:
    events: list[Event] = []
    study.effect([ModelPart(0, "head")], Job(events.append), "By the sea")
    assert {event.kind for event in events} <= {"progress"}


def test_parts_have_names() -> None:
    named = parse_parts(["L1H2", "l2.attention", "L2.feed_forward", " L1"], 2, 2)
    assert named == [ModelPart(0, "head", 1), ModelPart(1, "attention"), ModelPart(1, "feed_forward"),
                     ModelPart(0, "attention"), ModelPart(0, "feed_forward")]  # fmt: skip
    for part in all_parts(2, 2):
        assert parse_parts([part.name], 2, 2) == [part]


def test_all_wrong_names_are_reported_at_once() -> None:
    with pytest.raises(StudioError, match=r"no “L3”, “L1H3”, “head 1”, “L0”.*L1 to L2.*H1 to H2"):
        parse_parts(["L3", "L1H1", "L1H3", "head 1", "L0"], 2, 2)
