"""Asking the hub: every question can be stopped at once, is asked again where that helps, and ends in one sentence.

The libraries' own calls can't be interrupted. They run in a thread of their own, which is left alone when the job is
to stop; it ends by itself when its time is over.
"""

import queue
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from llm_studio.data.sources.hub import libraries
from llm_studio.errors import DownloadError
from llm_studio.i18n import _
from llm_studio.jobs import Job

RETRY_DELAYS = (1.0, 3.0, 10.0, 30.0)
"""Seconds before each further try."""
READ_TIMEOUT = 20.0
"""Seconds without a byte after which a connection is made anew."""
POLL_SECONDS = 0.2
_LONGEST_WAIT = 300.0
_CONNECTION_TEST = 3.0
_ANSWER_TIME = 120.0
"""Seconds that a library's whole call may take."""

T = TypeVar("T")


@dataclass(frozen=True)
class RequestFailure:
    """What went wrong with a request: an HTTP status (0: none came), in words; seconds that the hub asks to wait."""

    status: int
    reason: str
    retry_after: float = 0.0

    @property
    def transient(self) -> bool:
        """Whether another try may help."""
        return self.status in (0, 408, 429) or self.status >= 500


class HubError(DownloadError):
    """A DownloadError that knows the HTTP status behind it (0: none)."""

    def __init__(self, what: str, to_do: str, status: int) -> None:
        super().__init__(what, to_do)
        self.status = status


def run_in_thread(job: Job, action: Callable[[], T], seconds: float = _ANSWER_TIME) -> T:
    """What `action` gives, while the job stays ready to stop. Raises TimeoutError, Cancelled, what `action` raises."""
    answer: queue.SimpleQueue[tuple[bool, T | None, BaseException | None]] = queue.SimpleQueue()

    def run() -> None:
        try:
            answer.put((True, action(), None))
        except BaseException as error:  # it is raised where the answer is awaited
            answer.put((False, None, error))

    threading.Thread(target=run, name="hub", daemon=True).start()
    limit = time.monotonic() + seconds
    while True:
        job.check()
        try:
            done, value, error = answer.get(timeout=POLL_SECONDS)
        except queue.Empty:
            if time.monotonic() > limit:
                raise TimeoutError(_("no answer came")) from None
            continue
        if done:
            return value  # pyright: ignore[reportReturnType]  the action's own
        assert error is not None
        raise error


def call(job: Job, what: str, action: Callable[[], T], seconds: float = _ANSWER_TIME) -> T:
    """The answer to a question about the data set `what`, asked again where the trouble is a passing one.

    Raises HubError, Cancelled.
    """
    tries = 0
    while True:
        try:
            return run_in_thread(job, action, seconds)
        except (OSError, *_http_errors()) as error:
            trouble = failure_of(error)
            if isinstance(error, TimeoutError):  # the time was long enough for many tries
                raise hub_error(trouble, what) from error
            if trouble.status == 0 and tries == 1:
                require_connection(job)
            if not trouble.transient or tries >= len(RETRY_DELAYS):
                raise hub_error(trouble, what) from error
            wait_before_retry(job, trouble, tries)
            tries += 1


def wait_before_retry(job: Job, trouble: RequestFailure, tries: int) -> None:
    """Wait before try number `tries` + 1, as long as the hub asks for where it does."""
    job.wait(
        min(
            _LONGEST_WAIT,
            max(RETRY_DELAYS[min(tries, len(RETRY_DELAYS) - 1)] if not trouble.retry_after else 0, trouble.retry_after),
        )
    )


def _http_errors() -> tuple[type[BaseException], ...]:
    """The base of all errors of the HTTP library under the hub's client, which has changed its name before."""
    libraries.set_up()
    from huggingface_hub.errors import HfHubHTTPError

    return tuple(kind for kind in HfHubHTTPError.__mro__ if kind.__name__ == "HTTPError")


def failure_of(error: BaseException) -> RequestFailure:
    """What an error of the libraries means. The status may be that of an error that it was raised from."""
    inner: BaseException | None = error
    seen: list[BaseException] = []
    while inner is not None and inner not in seen:
        response = getattr(inner, "response", None)
        if response is not None:
            return failure_of_response(response.status_code, response.headers)
        seen.append(inner)
        inner = inner.__cause__ or inner.__context__
    first = str(error).strip().splitlines()
    return RequestFailure(0, libraries.mask_token(first[0] if first else type(error).__name__))


def failure_of_response(status: int, headers: "object") -> RequestFailure:
    """What an answer of the hub that isn't the content means."""
    get: Callable[[str], str | None] = getattr(headers, "get", lambda _name: None)
    after = get("retry-after") or ""
    return RequestFailure(status, f"HTTP {status}", float(after) if after.isdigit() else 0.0)


def hub_error(trouble: RequestFailure, what: str) -> HubError:
    """The sentence for the user. `what`: the data set, or what else was asked for."""
    page = f"{libraries.endpoint()}/datasets/{what}"
    if trouble.status in (401, 403):
        if libraries.token():
            return HubError(
                _("The hub doesn't give “{name}” to this login: it is private, or its conditions haven't been accepted."
                  ).format(name=what),
                _("Look at {page}, accept its conditions there, then try again.").format(page=page), trouble.status,
            )  # fmt: skip
        return HubError(
            _("The hub gives “{name}” only to who is logged in, or there is no such data set.").format(name=what),
            _("Look at {page}. With an account, log in with “hf auth login”, or set HF_TOKEN; then try again.").format(
                page=page),
            trouble.status,
        )  # fmt: skip
    if trouble.status == 404:
        return HubError(_("There is no data set “{name}” on the hub.").format(name=what),
                        _("Look for it with “llm-studio search”."), trouble.status)  # fmt: skip
    if trouble.status == 429:
        return HubError(_("The hub asks for patience: too many requests have come from this connection."),
                        _("Try again in some minutes: what has come is kept."), trouble.status)  # fmt: skip
    return HubError(
        _("The hub can't give “{name}” at the moment: {reason}.").format(name=what, reason=trouble.reason),
        _("Look at the connection, then start again: what has come is kept, and it goes on from there."),
        trouble.status,
    )


def require_connection(job: Job) -> None:
    """Raise HubError within three seconds where the hub can't be reached."""
    libraries.set_up()
    from huggingface_hub import constants
    from huggingface_hub.utils import get_session

    def knock() -> None:
        get_session().head(libraries.endpoint(), timeout=_CONNECTION_TEST, follow_redirects=False)

    try:
        if constants.is_offline_mode():
            raise OSError("HF_HUB_OFFLINE")
        run_in_thread(job, knock, _CONNECTION_TEST)
    except (OSError, *_http_errors()) as error:
        raise HubError(
            _("{address} can't be reached: this computer seems to be offline.").format(address=libraries.endpoint()),
            _("What works offline: the built-in stories, and your own files. Anything already downloaded is "
              "kept."), 0,
        ) from error  # fmt: skip
