"""Events as JSON lines, and requests to a job."""

import json
from dataclasses import FrozenInstanceError

import pytest

from llm_studio import events
from llm_studio.errors import Cancelled
from llm_studio.jobs import Job


def test_a_line_of_json_holds_version_kind_and_fields() -> None:
    line = events.to_json(events.Evaluated(step=3, loss=2.5, best=True))
    assert line == '{"v": 1, "event": "evaluation", "step": 3, "loss": 2.5, "best": true, "bits_per_byte": null}'


def test_what_is_no_number_is_null_and_letters_stay_letters() -> None:
    line = events.to_json(events.SampleWritten(step=1, prompt="Il était", text="\n“é”"))
    assert "était" in line and "\n" not in line
    assert json.loads(events.to_json(events.Evaluated(1, float("nan"), False)))["loss"] is None


def test_each_event_has_a_kind_of_its_own_and_is_frozen() -> None:
    kinds = [kind.kind for kind in events.Event.__subclasses__()]
    assert len(set(kinds)) == len(kinds) and "event" not in kinds
    with pytest.raises(FrozenInstanceError):
        events.Notice("a").text = "b"  # pyright: ignore[reportAttributeAccessIssue]


def test_a_save_is_requested_for_once_and_a_stop_stays() -> None:
    job = Job()
    job.check()
    job.request_save()
    assert job.take_save_request() and not job.take_save_request()
    job.request_stop()
    assert job.stop_requested
    with pytest.raises(Cancelled):
        job.check()
