"""The forecast of a run, which the tabs Model and Training show: the keys and the functions of their tasks."""

from typing import TYPE_CHECKING

from llm_studio.jobs import Job

if TYPE_CHECKING:
    from llm_studio.config import Settings
    from llm_studio.workflows.overview import Project
    from llm_studio.workflows.training.forecast import Forecast

MODEL_FORECAST, MODEL_PROBE = "model/forecast", "model/probe"
TRAINING_FORECAST, TRAINING_PROBE = "training/forecast", "training/probe"


def forecast(project: "Project", settings: "Settings") -> "Forecast":
    """The forecast for a run: from a cached measurement if there is one, otherwise an estimate."""
    from llm_studio.workflows.training import forecast

    return forecast.forecast(project, settings)


def measured(project: "Project", settings: "Settings", job: Job) -> "Forecast":
    """The forecast with time and memory from a few real steps."""
    from llm_studio.workflows.training import forecast

    return forecast.measured(project, settings, job)


def timed(project: "Project", settings: "Settings", job: Job) -> "Forecast":
    """The forecast with the time from a few real steps and the memory by arithmetic: faster."""
    from llm_studio.workflows.training import forecast

    forecast.seconds_per_step(project, settings, job)
    return forecast.forecast(project, settings)
