"""What the tests of downloads share."""

from llm_studio.data.sources import store
from llm_studio.data.sources.hub.plan import DownloadRequest
from llm_studio.data.sources.manifest import Source
from llm_studio.events import Event, Notice
from llm_studio.jobs import Job
from llm_studio.project import Project
from llm_studio.workflows.data.download import download

TALES = DownloadRequest("me/tales")


def texts_in(project: Project, name: str = "tales") -> list[str]:
    """The documents that a source holds now."""
    source = next((source for source in store.list_sources(project.raw) if source.name == name), None)
    texts = [""]
    for chunk in store.read_chunks(project.raw, source) if source else ():
        texts[-1] += chunk.text
        if chunk.ends:
            texts.append("")
    return texts[:-1]


def take(project: Project, wanted: DownloadRequest = TALES) -> Source:
    return download(project, wanted, Job())


def take_and_report(project: Project, wanted: DownloadRequest = TALES) -> tuple[Source, list[str]]:
    """The source and the notices."""
    events: list[Event] = []
    source = download(project, wanted, Job(events.append))
    return source, [event.text for event in events if isinstance(event, Notice)]


def stopping_after(reports: int) -> Job:
    """A job that the user stops when it has told so much."""
    summary = 0

    def report(_event: Event) -> None:
        nonlocal summary
        summary += 1
        if summary == reports:
            job.request_stop()

    job = Job(report)
    return job
