"""Displays of a job's events: a live line on a terminal, plain lines otherwise, JSON lines with `--json`."""

import contextlib
import os
import sys
import time
from collections.abc import Callable, Generator
from typing import TextIO

from rich.console import Console
from rich.progress import BarColumn, Progress, ProgressColumn, SpinnerColumn, Task, TaskID, TextColumn
from rich.text import Text

from llm_studio import events
from llm_studio.cli.explained import explanation
from llm_studio.cli.terminal import unwrapped, visible
from llm_studio.i18n import _, bits_per_byte, duration, number, short_number, size

_QUIET_SECONDS = 5.0
"""Seconds between two plain lines if there is no terminal."""


class Reader:
    """The reader of our output. When it closes the pipe (`| head`), `when_gone` is called once and output is
    discarded."""

    def __init__(self) -> None:
        self.here = True
        self.when_gone: Callable[[], None] = lambda: None

    @contextlib.contextmanager
    def writing(self) -> Generator[None]:
        """A context for everything that writes output."""
        try:
            yield
        except OSError:  # on Windows its error number isn't that of a broken pipe
            write_nowhere()
            if self.here:
                self.here = False
                self.when_gone()


def write_nowhere() -> None:
    """Redirect standard streams that can no longer be written to the null device, also for Python's shutdown."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except OSError:
            with contextlib.suppress(OSError, ValueError):
                nowhere = os.open(os.devnull, os.O_WRONLY)
                os.dup2(nowhere, stream.fileno())
                os.close(nowhere)


class _Console(Console):
    """A standard stream: on a terminal, text is styled and control characters are visible; otherwise it is
    unchanged."""

    def __init__(self, stream: TextIO) -> None:
        super().__init__(file=unwrapped(stream), highlight=False, soft_wrap=True)

    def say(self, *parts: tuple[str, str]) -> None:
        """Print one line of (text, style) parts."""
        if self.is_terminal:
            self.print(Text.assemble(*((visible(text), style) for text, style in parts)))
        else:  # rich would remove some control characters
            self.file.write("".join(text for text, _style in parts) + "\n")
            self.file.flush()

    def on_broken_pipe(self) -> None:
        """Called while the error is handled. rich's implementation would end the program."""
        raise  # noqa: PLE0704


def explain(what: str, detail: str = "") -> None:
    """Print an error and its technical detail to standard error."""
    errors = _Console(sys.stderr)
    errors.say((what, "red"))
    if detail:
        errors.say((detail, "dim"))


def print_styled(*parts: tuple[str, str]) -> None:
    """Print (text, style) parts to standard output, unstyled if it isn't a terminal."""
    _Console(sys.stdout).say(*parts)


class JsonDisplay:
    """Prints each event as one line of JSON to standard output."""

    def __init__(self) -> None:
        self.reader = Reader()

    def report(self, event: events.Event) -> None:
        """Print `event`."""
        with self.reader.writing():
            print(events.to_json(event), flush=True)

    def __enter__(self) -> "JsonDisplay":
        return self

    def __exit__(self, *_error: object) -> None:
        pass


class _Amount(ProgressColumn):
    """The amount done, the total, and the estimated remaining time."""

    def render(self, task: Task) -> Text:
        return Text(task.fields.get("amount", ""), style="dim")


class TextDisplay:
    """Progress on standard error, results and generated text on standard output."""

    def __init__(self) -> None:
        self.reader = Reader()
        self._errors = _Console(sys.stderr)
        self._out = _Console(sys.stdout)
        self._live = Progress(
            SpinnerColumn(), TextColumn("{task.description}", markup=False), BarColumn(bar_width=24), _Amount(),
            console=self._errors, transient=True, refresh_per_second=8,
            redirect_stdout=False, redirect_stderr=False,  # rich would interpret escape sequences in output
        )  # fmt: skip
        self._task: TaskID | None = None
        self._name = ""
        self._began = 0.0
        self._last_line = 0.0
        self._max_steps = 0
        self._evaluated: events.Evaluated | None = None
        self._writing = False

    def __enter__(self) -> "TextDisplay":
        return self

    def __exit__(self, *_error: object) -> None:
        with self.reader.writing():
            self._end_line()
            self._end_live()

    def report(self, event: events.Event) -> None:
        """Show `event`."""
        with self.reader.writing():
            self._show_event(event)

    def _show_event(self, event: events.Event) -> None:
        match event:
            case events.Progress():
                self._progress(event)
            case events.StepDone():
                self._step(event)
            case events.TextWritten():
                self._write(event.text)
            case events.TokenExplained():
                self._end_line()
                self._write(explanation(event))
            case events.RunStarted():
                self._max_steps = event.max_steps
                self._say((_run_line(event), "bold"))
            case events.EndMoved():
                self._max_steps = event.max_steps
            case events.Evaluated():
                self._evaluated = event
                self._say(*_evaluation_line(event))
            case events.SampleWritten():
                self._say((f"    {event.prompt}", "dim"), (_one_line(event.text), "italic"))
            case events.CheckpointSaved():
                pass  # follows each evaluation: a line for it would be noise
            case events.Notice():
                text = f"! {event.text} {event.to_do}".rstrip()
                self._say((text, "yellow" if event.level == "warning" else "cyan"))
            case events.Failed():
                self._say((event.text, "red"))
            case events.Done():
                self._done(event)
            case _:
                pass

    def _progress(self, event: events.Progress) -> None:
        if event.task != self._name:
            self._end_live()
            self._name, self._began = event.task, time.monotonic()
        self._show(event.task, event.done, event.total, _progress_amount(event, time.monotonic() - self._began))

    def _step(self, event: events.StepDone) -> None:
        if self._name != "train":
            self._end_live()
            self._name, self._began = "train", time.monotonic()
        parts = [
            f"{number(event.step)} / {number(self._max_steps)}",
            _("loss {loss}").format(loss=number(event.loss, 3)),
            *([] if self._evaluated is None else [_("validation {loss}").format(loss=_losses(self._evaluated))]),
            _("{speed}\u00a0tokens/s").format(speed=short_number(event.tokens_per_second)),
            _("{time} left").format(time=duration(event.seconds_left)),
        ]
        self._show(_("Training"), event.step, self._max_steps, " · ".join(parts))

    def _show(self, name: str, done: float, total: float | None, amount: str) -> None:
        if not self._errors.is_terminal:
            if time.monotonic() - self._last_line >= _QUIET_SECONDS:
                self._last_line = time.monotonic()
                self._errors.say((f"{name} · {amount}", ""))
            return
        name, amount = visible(name), visible(amount)
        if self._task is None:
            self._task = self._live.add_task(name, total=total)
            self._live.start()
        self._live.update(self._task, description=name, completed=done, total=total, amount=amount)

    def _end_live(self) -> None:
        if self._task is not None:
            self._live.stop()
            self._live.remove_task(self._task)
            self._task = None

    def _say(self, *parts: tuple[str, str]) -> None:
        self._end_line()
        self._errors.say(*parts)

    def _write(self, text: str) -> None:
        self._end_live()
        self._writing = True
        sys.stdout.write(text)
        sys.stdout.flush()

    def _end_line(self) -> None:
        if self._writing:
            self._writing = False
            sys.stdout.write("\n")
            sys.stdout.flush()

    def _done(self, event: events.Done) -> None:
        self._end_line()
        self._end_live()
        if event.text:
            self._out.say((event.text, ""))
        if event.next:
            self._out.say((f"→ {event.next}", "cyan"))


def _fetched_amount(event: events.Fetched) -> str:
    total = f" / {number(event.total)}" if event.total else ""
    parts = [f"{number(event.done)}{total} {event.unit}"]
    if event.unit != _("documents"):
        parts.append(_("{n} documents").format(n=number(event.documents)))
    parts += [_("{size} of text").format(size=size(event.bytes)), _("{size}/s").format(size=size(event.speed))]
    if event.seconds_left is not None:
        parts.append(_("{time} left").format(time=duration(event.seconds_left)))
    return " · ".join(parts)


def _progress_amount(event: events.Progress, seconds: float) -> str:
    if isinstance(event, events.Fetched):
        return _fetched_amount(event)
    if event.total is None:
        return f"{number(event.done)} {event.unit}"
    amount = f"{number(event.done)} / {number(event.total)} {event.unit}"
    if seconds > 1 and event.done > 0.02 * event.total:  # earlier, the estimate would be unreliable
        left = seconds * (event.total - event.done) / event.done
        amount += " · " + _("{time} left").format(time=duration(left))
    return amount


def _run_line(event: events.RunStarted) -> str:
    line = _("Run “{run}”: {parameters} parameters, {device}, {precision}, {threads} threads").format(
        run=event.run, parameters=short_number(event.parameters), device=event.device,
        precision=event.precision, threads=event.threads,
    )  # fmt: skip
    if event.step:
        line += ", " + _("from step {step}").format(step=number(event.step))
    return line


def _evaluation_line(event: events.Evaluated) -> list[tuple[str, str]]:
    line = _("step {step}: validation loss {loss}").format(step=number(event.step), loss=_losses(event))
    return [(line, ""), ("  " + _("best so far"), "green")] if event.best else [(line, "")]


def _losses(event: events.Evaluated) -> str:
    """The validation loss in nats per token and in bits per byte."""
    loss = number(event.loss, 3)
    return loss if event.bits_per_byte is None else f"{loss} ({bits_per_byte(event.bits_per_byte)})"


def _one_line(text: str, width: int = 240) -> str:
    flat = " ".join(text.split())
    space = " " if text[:1].isspace() else ""
    return space + (flat if len(flat) <= width else flat[: width - 1] + "…")
