"""The tokens of a project, opened for training."""

import contextlib
from collections.abc import Generator
from typing import TYPE_CHECKING

from llm_studio import files, records
from llm_studio.errors import BusyError, DamagedTokensError, ProjectError, StorageError
from llm_studio.i18n import _
from llm_studio.paths import quoted
from llm_studio.project import Project

if TYPE_CHECKING:
    from llm_studio.data.tokenizer.tokenizer import Tokenizer
    from llm_studio.data.tokens.dataset import Tokens


@contextlib.contextmanager
def open_training_data(project: Project) -> "Generator[tuple[Tokens, Tokenizer, str]]":
    """Open the tokens; yields them, the tokenizer that made them, and the tokens' fingerprint."""
    from llm_studio.data.tokenizer.tokenizer import Tokenizer
    from llm_studio.data.tokens.dataset import open_tokens

    again = _("Prepare them again: “llm-studio prepare {path}”.").format(path=quoted(project.root))
    if not project.tokens_meta.exists():
        raise ProjectError(
            _("This project has no tokens yet."),
            _("Make them first: “llm-studio prepare {path}”.").format(path=quoted(project.root)),
            "tokens",
        )
    if not project.tokenizer_file.exists():
        raise ProjectError(
            _("The tokenizer of this project is gone."),
            _("Train it again: “llm-studio train-tokenizer {path}”.").format(path=quoted(project.root)),
            "tokenizer",
        )
    tokenizer = Tokenizer.load(project.tokenizer_file)
    with open_tokens(project.processed) as tokens:
        if (tokens.tokenizer, tokens.vocab_size) != (tokenizer.fingerprint, tokenizer.vocab_size):
            raise ProjectError(_("The tokens were made with another tokenizer."), again, "tokens")
        if tokens.suspect:
            _verify(project, tokens)
        yield tokens, tokenizer, tokens.fingerprint


def mark_damaged(project: Project, error: DamagedTokensError) -> None:
    """Record that the tokens are damaged: they are out of date until they are prepared again."""
    _record(project, error.file)


def _verify(project: Project, tokens: "Tokens") -> None:
    """Raise DamagedTokensError if the tokens are still damaged: they may have been restored from a backup."""
    for file in tokens.files:
        for _block in file.verify():
            pass
    _record(project, "")


def _record(project: Project, damaged: str) -> None:
    with contextlib.suppress(BusyError, StorageError), project.writing("tokens"):
        meta = records.recall_plain(project.tokens_meta)
        if meta:
            meta.pop("damaged", None)
            files.write_json(project.tokens_meta, {**meta, **({"damaged": damaged} if damaged else {})})
