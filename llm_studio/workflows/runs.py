"""The runs of a project: listed, read, compared, renamed, deleted. The work is done in `training/runs.py`."""

from llm_studio.training.runs import Run, delete, differences, listed, read, rename

__all__ = ["Run", "delete", "differences", "listed", "read", "rename"]
