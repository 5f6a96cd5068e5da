"""Requests to the hub: they can be stopped at any time, are retried if that may help, and fail with one message.

Calls of the libraries can't be interrupted: they run in a thread, which is abandoned if the job should stop and ends
when the call does.
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
"""Seconds before each retry."""
READ_TIMEOUT = 20.0
"""Seconds without a byte after which a connection is reopened."""
POLL_SECONDS = 0.2
_MAX_WAIT = 300.0
_CONNECTION_TIMEOUT = 3.0
_CALL_TIMEOUT = 120.0
"""Seconds that a library call may take in all."""

T = TypeVar("T")


@dataclass(frozen=True)
class RequestFailure:
    """Why a request failed: the HTTP status (0: no response), a reason, and the seconds the hub asks to wait."""

    status: int
    reason: str
    retry_after: float = 0.0

    @property
    def transient(self) -> bool:
        """Whether a retry may help."""
        return self.status in (0, 408, 429) or self.status >= 500


class HubError(DownloadError):
    """A DownloadError with the HTTP status that caused it (0: no response)."""

    def __init__(self, what: str, to_do: str, status: int) -> None:
        super().__init__(what, to_do)
        self.status = status


def run_in_thread(job: Job, action: Callable[[], T], seconds: float = _CALL_TIMEOUT) -> T:
    """Run `action` in a thread and return its result; the job can be stopped meanwhile.

    Raises TimeoutError, Cancelled, and what `action` raises.
    """
    result: queue.SimpleQueue[tuple[bool, T | None, BaseException | None]] = queue.SimpleQueue()

    def run() -> None:
        try:
            result.put((True, action(), None))
        except BaseException as error:  # raised again in the calling thread
            result.put((False, None, error))

    threading.Thread(target=run, name="hub", daemon=True).start()
    limit = time.monotonic() + seconds
    while True:
        job.check()
        try:
            done, value, error = result.get(timeout=POLL_SECONDS)
        except queue.Empty:
            if time.monotonic() > limit:
                raise TimeoutError(_("no response")) from None
            continue
        if done:
            return value  # pyright: ignore[reportReturnType]  the action returned it
        assert error is not None
        raise error


def call(job: Job, what: str, action: Callable[[], T], seconds: float = _CALL_TIMEOUT) -> T:
    """Return the result of `action`, a request about the dataset `what`. Transient failures are retried.

    Raises HubError, Cancelled.
    """
    tries = 0
    while True:
        try:
            return run_in_thread(job, action, seconds)
        except (OSError, *_http_errors()) as error:
            failure = failure_of(error)
            if isinstance(error, TimeoutError):  # the timeout was long enough for several tries
                raise hub_error(failure, what) from error
            if failure.status == 0 and tries == 1:
                require_connection(job)
            if not failure.transient or tries >= len(RETRY_DELAYS):
                raise hub_error(failure, what) from error
            wait_before_retry(job, failure, tries)
            tries += 1


def wait_before_retry(job: Job, failure: RequestFailure, tries: int) -> None:
    """Wait before retry number `tries` + 1: as long as the hub asks, if it does, up to five minutes."""
    job.wait(
        min(
            _MAX_WAIT,
            max(RETRY_DELAYS[min(tries, len(RETRY_DELAYS) - 1)] if not failure.retry_after else 0, failure.retry_after),
        )
    )


def _http_errors() -> tuple[type[BaseException], ...]:
    """The base class of the hub client's HTTP errors. It is found by name, since its module has changed before."""
    libraries.set_up()
    from huggingface_hub.errors import HfHubHTTPError

    return tuple(kind for kind in HfHubHTTPError.__mro__ if kind.__name__ == "HTTPError")


def failure_of(error: BaseException) -> RequestFailure:
    """The failure behind an error of the libraries. Its status may come from the error that caused it."""
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
    """The failure that a response with an error status indicates."""
    get: Callable[[str], str | None] = getattr(headers, "get", lambda _name: None)
    after = get("retry-after") or ""
    return RequestFailure(status, f"HTTP {status}", float(after) if after.isdigit() else 0.0)


def hub_error(failure: RequestFailure, what: str) -> HubError:
    """The error to show to the user. `what`: the dataset or whatever else was requested."""
    page = f"{libraries.endpoint()}/datasets/{what}"
    if failure.status in (401, 403):
        if libraries.token():
            return HubError(
                _("The hub denies this account access to “{name}”: it is private, or you haven't accepted its "
                  "conditions.").format(name=what),
                _("Open {page} and accept the conditions there, then try again.").format(page=page), failure.status,
            )  # fmt: skip
        return HubError(
            _("“{name}” is only available when you are logged in, or it doesn't exist.").format(name=what),
            _("Open {page}. If you have an account, log in with “hf auth login” or set HF_TOKEN, then try again."
              ).format(page=page),
            failure.status,
        )  # fmt: skip
    if failure.status == 404:
        return HubError(_("There is no dataset “{name}” on the hub.").format(name=what),
                        _("Search for it with “llm-studio search”."), failure.status)  # fmt: skip
    if failure.status == 429:
        return HubError(_("The hub received too many requests from this connection."),
                        _("Try again in a few minutes: what was downloaded is kept."), failure.status)  # fmt: skip
    return HubError(
        _("The hub can't provide “{name}” at the moment: {reason}.").format(name=what, reason=failure.reason),
        _("Check the connection, then start again: what was downloaded is kept, and the download will resume."),
        failure.status,
    )


def require_connection(job: Job) -> None:
    """Raise HubError if the hub can't be reached within three seconds."""
    libraries.set_up()
    from huggingface_hub import constants
    from huggingface_hub.utils import get_session

    def head() -> None:
        get_session().head(libraries.endpoint(), timeout=_CONNECTION_TIMEOUT, follow_redirects=False)

    try:
        if constants.is_offline_mode():
            raise OSError("HF_HUB_OFFLINE")
        run_in_thread(job, head, _CONNECTION_TIMEOUT)
    except (OSError, *_http_errors()) as error:
        raise HubError(
            _("{address} can't be reached: this computer seems to be offline.").format(address=libraries.endpoint()),
            _("What works offline: the built-in stories, and your own files. Anything already downloaded is "
              "kept."), 0,
        ) from error  # fmt: skip
