"""The hub's two libraries, set up once: no telemetry, no progress bars, no cache of their own, the endpoint of now.

A token is read when a request is made, goes into that request's header and nowhere else.
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
    """The hub's address: HF_ENDPOINT where it is set."""
    return os.environ.get("HF_ENDPOINT", "").rstrip("/") or _DEFAULT


def token() -> str | None:
    """The token of the hub's own login, or of HF_TOKEN."""
    set_up()
    from huggingface_hub import get_token

    return get_token()


def mask_token(text: str) -> str:
    """`text` without the token, should a library or a server have put it there."""
    secret = token()
    return text.replace(secret, "…") if secret else text


def set_up() -> None:
    """Import the hub's client, silenced. It reads its settings from the environment when it is imported.

    A later change of HF_ENDPOINT is brought to it here.
    """
    os.environ.update(_QUIET)
    import huggingface_hub.constants as constants
    from huggingface_hub.utils import logging

    logging.set_verbosity_error()  # what goes wrong is told in our words
    address = endpoint()
    if address != constants.ENDPOINT:
        constants.ENDPOINT = address
        constants.HUGGINGFACE_CO_URL_TEMPLATE = address + "/{repo_id}/resolve/{revision}/{filename}"
    constants.HF_HUB_DISABLE_TELEMETRY = True
    constants.HF_HUB_DISABLE_XET = True
    constants.HF_HUB_DISABLE_SYMLINKS = True  # Windows allows them to some, and not in every folder
    constants.HF_HUB_DISABLE_PROGRESS_BARS = True
    constants.HF_HUB_CACHE = str(cache_folder())
    _keep_client_open()


@functools.cache
def _keep_client_open() -> None:
    """One HTTP client for as long as the program runs.

    Whenever a connection fails, the hub's library closes the client that all threads share, beneath those which are in
    the middle of an answer; questions left alone go on failing long after somebody stopped waiting for them.
    """
    from huggingface_hub import get_session, set_client_factory

    client = get_session()
    atexit.register(client.close)
    client.close = lambda: None
    set_client_factory(lambda: client)


def set_up_datasets() -> None:
    """Import `datasets`, silenced: it takes two seconds and brings pandas."""
    set_up()
    import datasets
    from datasets import config

    config.HF_ENDPOINT = endpoint()
    datasets.disable_progress_bars()
    datasets.logging.set_verbosity_error()


def api() -> "HfApi":
    """The hub's API client for the endpoint of now."""
    set_up()
    from huggingface_hub import HfApi

    return HfApi(endpoint=endpoint(), token=token() or False, library_name="llm-studio")


@functools.cache
def cache_folder() -> Path:
    """Where the libraries keep the READMEs that they read, until the program ends. The texts never pass through it."""
    folder = tempfile.mkdtemp(prefix="llm-studio-hub-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return Path(folder)
