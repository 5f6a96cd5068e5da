"""The run that a project would resume."""

from typing import TYPE_CHECKING

from llm_studio.i18n import _, duration, number
from llm_studio.project import Project, State
from llm_studio.workflows.projects import steps
from llm_studio.workflows.training.runs import is_set_aside

if TYPE_CHECKING:
    from llm_studio.runs.record import Run


def unfinished_run(project: Project) -> "Run | None":
    """The newest run that can be resumed on the tokens of the current texts.

    None if a later one is finished or was set aside, or if texts were added or changed since: a resumed run would not
    learn from them.
    """
    from llm_studio.data.tokens.dataset import open_tokens
    from llm_studio.runs import checkpoint, registry

    listed = registry.listed(project)
    if not listed or steps(project).tokens is not State.READY:
        return None
    with open_tokens(project.processed) as tokens:
        data = tokens.fingerprint
    for run in reversed(listed):
        if run.state == "finished" or is_set_aside(project, run.name):
            return None
        saved, _damaged = checkpoint.newest_intact(registry.folder(project, run.name))
        if saved and saved.step < run.max_steps and run.data == data:
            return run
    return None


def unfinished_text(run: "Run") -> str:
    """Facts about the run, for window and command line."""
    done = {"run": run.name, "step": number(run.step), "last": number(run.max_steps)}
    if run.state == "stopped":
        text = _("“{run}” was stopped at step {step} of {last}; it resumes exactly there.")
    elif run.state == "failed":
        text = _("“{run}” ended with a problem; it resumes from its last checkpoint, at step {step} of {last}.")
    else:
        text = _("“{run}” was interrupted; it resumes from its last checkpoint, at step {step} of {last}.")
    left = seconds_left(run)
    about = "" if left is None else " " + _("About {time} of training are left.").format(time=duration(max(1.0, left)))
    return text.format(**done) + about


def seconds_left(run: "Run") -> float | None:
    """Approximate seconds for the rest of a run; None if unknown."""
    minutes = run.settings.get("training", {}).get("minutes") or 0.0
    if minutes:
        return max(0.0, 60 * minutes - run.seconds)
    return (run.max_steps - run.step) * run.seconds / run.step if run.step else None
