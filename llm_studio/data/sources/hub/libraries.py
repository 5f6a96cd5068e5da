"""Set-up of the two Hugging Face libraries: no telemetry, no progress bars, a temporary cache, the current endpoint.

The access token is read when a request is made; it is sent in the header of that request and used nowhere else.
"""

import atexit
import functools
import os
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from huggingface_hub import HfApi

_QUIET = {
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "HF_HUB_DISABLE_PROGRESS_BARS": "1",
    "HF_HUB_DISABLE_SYMLINKS": "1",
    "HF_HUB_DISABLE_XET": "1",
    "HF_DATASETS_DISABLE_PROGRESS_BARS": "1",
    "HF_UPDATE_DOWNLOAD_COUNTS": "0",
}
_DEFAULT = "https://huggingface.co"


def endpoint() -> str:
    """The address of the hub: HF_ENDPOINT if set, otherwise the public one."""
    return os.environ.get("HF_ENDPOINT", "").rstrip("/") or _DEFAULT


def token() -> str | None:
    """The access token from `hf auth login` or HF_TOKEN."""
    set_up()
    from huggingface_hub import get_token

    return get_token()


def mask_token(text: str) -> str:
    """Return `text` without the access token, in case a library or a server included it."""
    secret = token()
    return text.replace(secret, "…") if secret else text


def set_up() -> None:
    """Import and configure the hub client, without output or telemetry.

    It reads its settings from the environment on import; later changes of HF_ENDPOINT are passed to it here.
    """
    os.environ.update(_QUIET)
    import huggingface_hub.constants as constants
    from huggingface_hub.utils import logging

    logging.set_verbosity_error()  # problems are reported by our own messages
    address = endpoint()
    if address != constants.ENDPOINT:
        constants.ENDPOINT = address
        constants.HUGGINGFACE_CO_URL_TEMPLATE = address + "/{repo_id}/resolve/{revision}/{filename}"
    constants.HF_HUB_DISABLE_TELEMETRY = True
    constants.HF_HUB_DISABLE_XET = True
    constants.HF_HUB_DISABLE_SYMLINKS = True  # on Windows, only some users may create symlinks, and not in every folder
    constants.HF_HUB_DISABLE_PROGRESS_BARS = True
    constants.HF_HUB_CACHE = str(cache_folder())
    _keep_client_open()


@functools.cache
def _keep_client_open() -> None:
    """Keep one HTTP client open for as long as the program runs.

    If a connection fails, the hub library closes the client that all threads share, even while others are reading a
    response. Abandoned requests can fail long after their job was stopped.
    """
    from huggingface_hub import get_session, set_client_factory

    client = get_session()
    atexit.register(client.close)
    client.close = lambda: None
    set_client_factory(lambda: client)


def set_up_datasets() -> None:
    """Import and configure `datasets`, without output. This takes two seconds and imports pandas."""
    set_up()
    import datasets
    from datasets import config

    config.HF_ENDPOINT = endpoint()
    datasets.disable_progress_bars()
    datasets.logging.set_verbosity_error()


def api() -> "HfApi":
    """The API client of the hub for the current endpoint."""
    set_up()
    from huggingface_hub import HfApi

    return HfApi(endpoint=endpoint(), token=token() or False, library_name="llm-studio")


@functools.cache
def cache_folder() -> Path:
    """The libraries' cache folder for README files, removed when the program ends. No texts are stored in it."""
    folder = tempfile.mkdtemp(prefix="llm-studio-hub-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return Path(folder)
