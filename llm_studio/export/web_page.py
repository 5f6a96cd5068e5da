"""A model as one web page that runs it: `resources/web` combined with the weights, the tokenizer and the texts.

The page needs no network and no installation: it can be opened from a folder, on a computer, a tablet or a phone.
"""

import base64
import datetime
import html
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from llm_studio import __version__
from llm_studio.config import SPECIAL_TOKENS
from llm_studio.errors import ProjectError
from llm_studio.events import Progress
from llm_studio.export.facts import Facts, facts
from llm_studio.export.format import Exported, Format, Options
from llm_studio.export.place import exported, new_file
from llm_studio.export.source import Source, read, weights_bytes
from llm_studio.export.web_texts import card, sliders, texts
from llm_studio.export.web_tokenizer import for_page
from llm_studio.export.web_weights import elements, page_bytes
from llm_studio.i18n import N_, _, number
from llm_studio.jobs import Job
from llm_studio.paths import resource
from llm_studio.runs.checkpoint import TOKENIZER
from llm_studio.runs.locate import ModelRef

MOST_PARAMETERS = 300_000_000
"""Limit of parameters of a model on a page: it would be a file of 400 MB, too large for browsers on small devices."""
_MARK = re.compile("@([a-z.]+)@")
_REPORTS = 200
_FLOAT = 4


def sizes(model: ModelRef, options: Options) -> dict[str, int]:
    """Approximate bytes of its parts, by name."""
    del options
    tokenizer = model.config_folder / TOKENIZER
    return {
        "weights": page_bytes(weights_bytes(model) // _FLOAT),
        "tokenizer": tokenizer.stat().st_size if tokenizer.is_file() else 0,
        "page": sum(path.stat().st_size for path in resource("web").iterdir()),
    }


def require(model: ModelRef) -> None:
    """Raise ProjectError for a model that is too large for a page."""
    count = weights_bytes(model) // _FLOAT
    if count > MOST_PARAMETERS:
        raise ProjectError(
            _("A model with {count} parameters is too large for a web page.").format(count=number(count)),
            _("Train one with at most {most}, or export this one in another format.").format(
                most=number(MOST_PARAMETERS)
            ),
        )


def write(model: ModelRef, target: Path, options: Options, job: Job) -> Exported:
    """Write the page that runs a model. Raises Cancelled, StorageError, CheckpointError, ProjectError."""
    source = read(model, job, require)
    known = facts(source)
    data = page_data(source, known)
    needed = sum(sizes(model, options).values())
    done = reported = 0
    task = _("Writing {file}").format(file=target.name)
    with new_file(target, needed) as partial, partial.open("w", encoding="utf-8", newline="\n") as out:
        for part in compose(known.project, data, source):
            job.check()
            done += out.write(part)
            if done - reported >= needed / _REPORTS:
                reported = done
                job.report(Progress(task, min(done, needed), needed, _("bytes")))
    job.report(Progress(task, needed, needed, _("bytes")))
    return exported(target)


def page_data(source: Source, known: Facts) -> dict[str, Any]:
    """The data for the scripts of the page: settings, tokenizer, texts."""
    settings = source.settings.model
    shape = settings.model_dump(include={
        "d_model", "n_heads", "n_layers", "d_ff", "max_seq_len", "positions", "norm", "activation", "qk_norm",
        "rope_theta",
    })  # fmt: skip
    end, user, assistant = (source.tokenizer.markers.get(name, -1) for name in SPECIAL_TOKENS)
    return {
        "settings": shape
        | {"vocab_size": known.vocab_size, "kv_heads": settings.kv_heads, "head_width": settings.head_width},
        "tensors": len(source.weights),
        "end": end,
        "user": user,
        "assistant": assistant,
        "conversations": source.conversations,
        "stop_strings": list(source.settings.generation.stop),
        "sampling": sliders(source.settings.generation),
        "card": {
            "name": known.project,
            "parameters": known.parameters,
            "program": f"LLM Studio {__version__}",
            "lines": card(known, settings, datetime.datetime.now(datetime.UTC).date().isoformat()),
        },
        "texts": texts(),
        "tokenizer": for_page(source.tokenizer),
    }


def compose(title: str, data: dict[str, Any], source: Source) -> Iterator[str]:
    """Yield the page in chunks: `resources/web/page.html` with its placeholders, @...@, replaced."""
    for text, mark in _marked(_resource("page.html")):
        yield text
        if mark == "title":
            yield html.escape(title)
        elif mark == "data":
            # "<" could end the element, or start a comment in it
            yield json.dumps(data, ensure_ascii=False, separators=(",", ":")).replace("<", "\\u003c")
        elif mark == "tensors":
            yield from elements(source.weights)
        elif mark == "products.wasm":
            yield base64.b64encode(resource("web", mark).read_bytes()).decode("ascii")
        elif mark:
            yield _resource(mark)


def _marked(template: str) -> Iterator[tuple[str, str]]:
    """Yield each span of text with the name of the placeholder that follows it, "" at the end."""
    pieces = _MARK.split(template)
    yield from zip(pieces[::2], [*pieces[1::2], ""], strict=True)


def _resource(name: str) -> str:
    return resource("web", name).read_text(encoding="utf-8").rstrip("\n")


FORMAT = Format(
    name="web",
    title=N_("Web page"),
    action=N_("Export as a web page…"),
    summary=N_("For any browser, without a network: on a computer, a tablet or a phone"),
    suffix=".html",
    note=N_("Opens with a double click, without a network: nothing that is written on the page leaves it."),
    files={
        "weights": N_("Weights of the model, in int8"),
        "tokenizer": N_("Tokenizer"),
        "page": N_("The page, with its readable source"),
    },
    sizes=sizes,
    write=write,
    require=require,
)
