"""The background tasks of the tab Training."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from llm_studio.i18n import N_
from llm_studio.jobs import Job
from llm_studio.ui import forecasts
from llm_studio.ui.tabs.training import curve_store
from llm_studio.ui.tasks import OVERVIEW, TRAINING, BackgroundJob, Query, Task, Write

if TYPE_CHECKING:
    from llm_studio.config import Settings
    from llm_studio.workflows.generation.favourites import Favourite
    from llm_studio.workflows.generation.writing_quality import WritingQuality
    from llm_studio.workflows.overview import Overview, Project
    from llm_studio.workflows.training.baselines import Baselines
    from llm_studio.workflows.training.curves import Curves, Place
    from llm_studio.workflows.training.forecast import Fit, Forecast
    from llm_studio.workflows.training.train import TrainResult

CURVES, BASELINES, FAVOURITES = "training/curves", "training/baselines", "training/favourites"
FORECAST, PROBE, FIT = forecasts.TRAINING_FORECAST, forecasts.TRAINING_PROBE, "training/fit"
RENAME, DELETE, EXPORT, ASIDE = "training/rename", "training/delete", "training/export", "training/aside"
WRITING = "training/writing"


def train(
    project: "Project", run: str = "", changes: Mapping[str, object] = {}, like: str | None = None, title: str = "",
    continue_from: str | None = None,
) -> BackgroundJob:  # fmt: skip
    """Train a new run, with the settings of the run `like` or the weights of `continue_from`; or resume `run`."""
    return BackgroundJob(TRAINING, lambda job: _train(project, run, changes, like, continue_from, job),
                         title or N_("Training"), tab="training", changes_project=True, keep_awake=True)  # fmt: skip


def _train(
    project: "Project", run: str, changes: Mapping[str, object], like: str | None, continue_from: str | None, job: Job
) -> "TrainResult":
    from llm_studio.workflows.training import runs
    from llm_studio.workflows.training import train as training

    if not run:
        return training.train(project, job, changes=changes, like=like, continue_from=continue_from)
    runs.unset_aside(project, run)
    return training.train(project, job, run=run, resume=True, changes=changes)


def train_longer(project: "Project", run: str, minutes: float) -> Task:
    """Resume a run for `minutes` more."""
    return BackgroundJob(TRAINING, lambda job: _train_longer(project, run, minutes, job), N_("Training"),
                         tab="training", changes_project=True, keep_awake=True)  # fmt: skip


def _train_longer(project: "Project", run: str, minutes: float, job: Job) -> "TrainResult":
    from llm_studio.workflows.training import runs
    from llm_studio.workflows.training import train as training

    runs.unset_aside(project, run)
    return training.train(project, job, run=run, resume=True, minutes=minutes)


def writing(project: "Project", run: str) -> Task:
    """Measure how well the model of a run writes. Errors are ignored: the page then shows no result."""
    return Query(WRITING, lambda job: _writing(project, run, job), page_shows_errors=True)


def _writing(project: "Project", run: str, job: Job) -> "WritingQuality":
    from llm_studio.workflows.generation.writing_quality import writing_quality

    return writing_quality(project, job, f"{run}/best")


def overview(project: "Project") -> Task:
    """Read the overview, including the run that has just started or continued."""
    return Query(OVERVIEW, lambda job: _overview(project), page_shows_errors=True)


def _overview(project: "Project") -> "Overview":
    from llm_studio.workflows.overview import overview

    return overview(project)


def set_aside(project: "Project", run: str) -> Task:
    """Mark a run as set aside, so that resuming it isn't offered."""
    return Write(ASIDE, lambda job: _set_aside(project, run))


def _set_aside(project: "Project", run: str) -> None:
    from llm_studio.workflows.training import runs

    runs.set_aside(project, run)


def curves(project: "Project", main: str, places: "Mapping[str, Place | None]") -> Task:
    """Read the logs of runs, or the additions to them."""
    return Query(CURVES, lambda job: curve_store.read(project, main, places, job))


def baselines(project: "Project") -> Task:
    """Compute the reference losses on the project's tokens. Errors are ignored: the page then shows none."""
    return Query(BASELINES, lambda job: _baselines(project, job), page_shows_errors=True)


def _baselines(project: "Project", job: Job) -> "Baselines | None":
    from llm_studio.workflows.training import baselines

    return baselines.baselines(project, job)


def forecast(project: "Project", settings: "Settings") -> Task:
    """Compute the forecast of a run. Errors are ignored: the page then shows none."""
    return Query(FORECAST, lambda job: forecasts.forecast(project, settings), page_shows_errors=True)


def probe(project: "Project", settings: "Settings") -> Task:
    """Measure the forecast with a few real steps."""
    return BackgroundJob(PROBE, lambda job: forecasts.measured(project, settings, job), N_("Measuring a few steps"),
                         tab="training")  # fmt: skip


def fit(project: "Project", settings: "Settings") -> Task:
    """Find the micro-batch that fits this machine, and the forecast of a run with it."""
    return BackgroundJob(FIT, lambda job: _fit(project, settings, job), N_("Finding what fits"), tab="training")


def _fit(project: "Project", settings: "Settings", job: Job) -> "tuple[Fit, Forecast]":
    from llm_studio.workflows.training import forecast

    return forecast.fit_and_forecast(project, settings, job)


def favourites(project: "Project") -> Task:
    """Read the favourite samples."""
    return Query(FAVOURITES, lambda job: _favourites(project))


def _favourites(project: "Project") -> "tuple[Favourite, ...]":
    from llm_studio.workflows.generation import favourites

    return favourites.listed(project)


def keep(project: "Project", favourite: "Favourite", kept: bool) -> Task:
    """Add or remove a favourite; its result is like that of `favourites`."""
    return Write(FAVOURITES, lambda job: _keep(project, favourite, kept))


def _keep(project: "Project", favourite: "Favourite", kept: bool) -> "tuple[Favourite, ...]":
    from llm_studio.workflows.generation import favourites

    return favourites.change(project, favourite, kept)


def rename(project: "Project", old: str, new: str) -> Task:
    """Rename a run; the result contains both names."""
    return Write(RENAME, lambda job: _rename(project, old, new), changes_project=True)


def _rename(project: "Project", old: str, new: str) -> tuple[str, str]:
    from llm_studio.workflows.training import runs

    runs.rename(project, old, new)
    return old, new


def delete(project: "Project", run: str) -> Task:
    """Delete a run; the result is its name and the bytes freed."""
    return BackgroundJob(
        DELETE, lambda job: _delete(project, run), N_("Deleting a run"), tab="training", changes_project=True
    )


def _delete(project: "Project", run: str) -> tuple[str, int]:
    from llm_studio.workflows.training import runs

    return run, runs.delete(project, run)


def export(shown: "Curves", path: Path) -> Task:
    """Write curves as CSV."""
    return BackgroundJob(EXPORT, lambda job: _export(shown, path, job), N_("Exporting the curves"), tab="training")


def _export(shown: "Curves", path: Path, job: Job) -> Path:
    from llm_studio.workflows.training import curves_csv

    return curves_csv.export_csv(shown, path, job)
