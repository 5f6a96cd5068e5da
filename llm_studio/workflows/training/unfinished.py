"""The run that a project would go on with."""

from llm_studio.project import Project


def unfinished_run(project: Project) -> str | None:
    """The newest run that can be resumed on the tokens that are there; None where a later one is finished."""
    from llm_studio.data.tokens.dataset import open_tokens
    from llm_studio.runs import checkpoint, registry

    listed = registry.listed(project)
    if not listed or not project.tokens_meta.exists():
        return None
    with open_tokens(project.processed) as tokens:
        data = tokens.fingerprint
    for run in reversed(listed):
        if run.state == "finished":
            return None
        saved, _damaged = checkpoint.newest_intact(registry.folder(project, run.name))
        if saved and saved.step < run.max_steps and run.data == data:
            return run.name
    return None
