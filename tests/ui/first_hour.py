"""The first hour of a new user, watched: `python -m tests.ui.first_hour OUT`.

The real program, in a window under Xvfb and in a process of its own, is used with a mouse and a keyboard, from an empty
home folder on: first the example, then a folder of the user's own texts. OUT holds what is printed: the clock of each
stage, pictures of the screen, what the model wrote.

--language fr      the example in one language alone
--journey texts    one of the journeys alone: example, texts
--texts FOLDER     the user's own texts (default: the French novels)
--minutes 0.3      train for so long instead of five minutes, the example for at most so long
--busy 1           beside so many programs that keep a core busy each
"""

import argparse
import contextlib
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Generator
from functools import partial
from pathlib import Path

from llm_studio import i18n, records
from llm_studio.i18n import _
from llm_studio.project import Project
from llm_studio.workflows.generation.verdict import WritingFigures, sentences, verdict_of
from llm_studio.workflows.generation.writing_quality import FILE as WRITING
from llm_studio.workflows.training import runs
from llm_studio.workflows.training.train import PROMPTS
from tests.ui.screen import screen
from tests.ui.user import BUTTON, ENTRY, LABEL, Lost, User

NOVELS = Path(__file__).parents[3] / "shared" / "data" / "french-novels"
MINUTES = 5.0
BARS = {0: 4 * 60, 1: 6 * 60}
"""Seconds from the start to the first text of the example, by the number of busy programs beside it."""
_PREPARATION, _TRAINING = 300.0, 600.0
"""Seconds of patience, the time chosen for the training not counted."""
_A_MOMENT, _RUN_LATER = 2.0, 15.0
"""Seconds after which the picture of something that takes a while is taken, and that of a run."""


class Diary:
    """The stages of a journey: printed with the clock, written to a file, each with a picture."""

    def __init__(self, out: Path, name: str, user: User) -> None:
        self._out, self._name, self._user = out, name, user
        self._began = time.monotonic()
        self._pictures = 0
        self._lines: list[str] = []

    @property
    def seconds(self) -> float:
        """Since the program was started."""
        return time.monotonic() - self._began

    def stage(self, name: str, settle: float = 0.6) -> None:
        """Note the time; take a picture a moment later, when the window has drawn itself."""
        self.say(f"{self.seconds:7.1f} s  {name}")
        time.sleep(settle)
        self.picture(name)

    def picture(self, name: str) -> None:
        """Take a picture of the whole screen."""
        self._pictures += 1
        words = name.replace(" ", "-")
        self._user.screen.picture(self._out / f"{self._name}-{self._pictures:02}-{words}.png")

    def say(self, text: str) -> None:
        """Print a line and keep it."""
        print(text, flush=True)
        self._lines.append(text)
        (self._out / f"clock-{self._name}.txt").write_text("\n".join(self._lines) + "\n", encoding="utf-8")


# --- The journeys ---------------------------------------------------------------------------------------------


def example(user: User, diary: Diary, language: str, minutes: float) -> float:
    """From the start page to a text of the example's model, by the primary buttons; the seconds to its first word."""
    user.start()
    diary.stage("window")
    user.click(_("Try the example"))
    diary.stage("example wanted", _A_MOMENT)
    user.wait(lambda: bool(user.look(_("Start training"), BUTTON)), "the example", _PREPARATION)
    diary.stage("example ready")
    user.click(_("Start training"))
    _watch_run(user, diary, min(2.0, minutes))
    first = _write(user, diary, language)
    _verdict(user, diary)
    user.quit()
    diary.stage("closed")
    return first


def own_texts(user: User, diary: Diary, language: str, texts: Path, minutes: float) -> float:
    """From the start page to a model of the user's texts, whose first word comes after the seconds that are returned.

    Then five more minutes, and a restart: it is there and writes.
    """
    user.start()
    diary.stage("window")
    user.click(_("New project…"))
    user.see(_("Create the project"), BUTTON)
    user.type("romans" if language == "fr" else "novels")
    diary.stage("new project")
    user.click(_("Create the project"))
    _add_folder(user, diary, texts)
    user.click(_("Prepare and train…"), seconds=_PREPARATION)
    _choose_time(user, diary, minutes)
    user.click(_("Start"), seconds=_PREPARATION)
    titles = {"tokenizer": _("1/3 Training the tokenizer"), "tokens": _("2/3 Preparing the tokens"),
              "training": _("3/3 Training")}  # fmt: skip
    for name, title in titles.items():
        user.see(title, BUTTON, _PREPARATION, part=True)  # at the bottom of the window
        diary.stage(name)
    _watch_run(user, diary, minutes)
    first = _write(user, diary, language)
    _verdict(user, diary)
    user.click(_("5 more minutes"))
    diary.stage("more minutes")
    _watch_run(user, diary, minutes)
    _verdict(user, diary)
    user.quit()
    diary.stage("closed")
    user.start()
    if user.look(_("Try the example"), BUTTON):
        raise Lost("the start page is shown instead of the project")
    diary.stage("window again")
    user.click(_("Generation"), "RailItem")
    _write_again(user, diary, language)
    user.quit()
    diary.stage("closed again")
    return first


def _add_folder(user: User, diary: Diary, texts: Path) -> None:
    user.click(_("Choose files or a folder to add"))
    user.click(_("Folder…"), ENTRY)
    user.fill(user.see("fileNameEdit", "QLineEdit"), str(texts))  # Qt's own dialog
    diary.stage("folder chosen")
    user.screen.key("Return")
    user.see(_("Add texts"), "QDialog", part=True)
    user.wait(lambda: any(b.enabled for b in user.look(_("Add"), BUTTON)), "the look at the folder", _PREPARATION)
    diary.stage("folder inspected")
    user.click(_("Add"))
    user.wait(lambda: any(b.enabled for b in user.look(_("Prepare and train…"), BUTTON)), "the texts", _PREPARATION)
    diary.stage("texts added")


def _watch_run(user: User, diary: Diary, minutes: float) -> None:
    """Wait until the run that begins has ended."""
    user.wait(lambda: any(b.enabled for b in user.look(_("Save now"), BUTTON)), "the first step", _PREPARATION)
    diary.stage("first step", _RUN_LATER if minutes > 1 else 1.0)
    user.see(_("Your model is ready"), LABEL, _TRAINING + 60 * minutes)
    diary.stage("model ready")


def _write(user: User, diary: Diary, language: str) -> float:
    """Let the model continue the first beginning that it offers; the seconds at which its first token was shown."""
    user.click(_("Let it write"))
    user.click(PROMPTS[language][0])
    diary.stage("beginning chosen")
    user.click(_("Generate"))
    user.wait(lambda: any(_written(thing.text) for thing in user.look(kind="TintedText")), "a text")
    first = diary.seconds
    diary.stage("first words of its own")
    user.see(_("Generate"), BUTTON)
    diary.stage("text complete")
    return first


def _write_again(user: User, diary: Diary, language: str) -> None:
    """Type a beginning into the chat that is there, and send it with the Enter key."""
    box = user.see(_("The beginning of a text"), "QPlainTextEdit")
    before = len(user.look(kind="TintedText"))
    user.wait(lambda: any(b.enabled for b in user.look(_("Generate"), BUTTON)), "the model")
    diary.stage("model still there")
    user.fill(box, "Le vieil homme" if language == "fr" else "The old man")
    user.screen.key("Return")
    user.wait(lambda: len(user.look(kind="TintedText")) > before, "an answer")
    user.see(_("Generate"), BUTTON)
    diary.stage("it writes again")


def _written(text: str) -> bool:
    return bool(text.strip("\u258d \n"))


def _verdict(user: User, diary: Diary) -> None:
    """Back to the end of the run, until the program has measured what it writes; then its details."""
    user.click(_("Training"), "RailItem")
    user.click(_("Details"), seconds=_PREPARATION)
    diary.stage("verdict")


def _choose_time(user: User, diary: Diary, minutes: float) -> None:
    """Drag the slider to its first stop, or type a shorter time; see the plan."""
    user.see(_("Start"), BUTTON)
    diary.stage("planning", _A_MOMENT)
    user.wait(lambda: any(b.enabled for b in user.look(_("Start"), BUTTON)), "a plan", _PREPARATION)
    diary.stage("plan for the usual time")
    if minutes == MINUTES:
        slider = user.see(_("How long may the model train?"), "QSlider")
        handle = slider.x + slider.width // 3, slider.middle[1]  # the second of four stops
        user.screen.drag(handle, (slider.x, slider.middle[1]))
    else:
        box = user.see(_("Minutes of training"), "QAbstractSpinBox")
        user.fill(box, f"{minutes:g}".replace(".", "," if i18n.language() == "fr" else "."))
        user.screen.key("Tab")
    user.wait(lambda: not any(b.enabled for b in user.look(_("Start"), BUTTON)), "the plan to be dropped")
    user.wait(lambda: any(b.enabled for b in user.look(_("Start"), BUTTON)), "a plan", _PREPARATION)
    diary.stage("plan")


# --- What came of it ------------------------------------------------------------------------------------------


def report(project: Project, out: Path, name: str, diary: Diary) -> None:
    """Print what the program measured of each model; write its ten samples, as they came, into a file."""
    for run in runs.listed(project):
        settings, bits = run.settings, run.best_bits_per_byte
        diary.say(f"{run.name}: {run.parameters / 1e6:.2f} M parameters, vocabulary {settings['model']['vocab_size']}, "
                  f"context {settings['model']['max_seq_len']}, {run.step} steps in {run.seconds:.0f} s, "
                  f"{bits or 0:.3f} bits/byte")  # fmt: skip
        measured = (records.load(runs.folder(project, run.name) / WRITING, newest=None) or {}).get("measured", {})
        for entry in measured.values():
            own, held_out = WritingFigures(**entry["own"]), WritingFigures(**entry["held_out"])
            verdict = verdict_of(own, held_out)
            diary.say(f"{entry['checkpoint']}: real words {own.real_words:.1%} of {own.words} (unseen texts "
                      f"{held_out.real_words:.1%}), copied {own.copied:.1%} ({held_out.copied:.1%}); {verdict}: "
                      f"{sentences(verdict, copies=False)}")  # fmt: skip
            texts = [f"[{sample['prompt']}]{sample['text']}" for sample in entry["samples"]]
            path = out / f"samples-{name}-{entry['checkpoint'].replace('/', '-')}.txt"
            path.write_text("\n\n———\n\n".join(texts) + "\n", encoding="utf-8")


def journey(out: Path, name: str, language: str, go: Callable[[User, Diary], float], short: float, bar: str) -> bool:
    """One journey, in an empty home folder; whether it came to its end without a problem.

    `short`: minutes of short runs, 0 for the usual ones; `bar`: of the time to the first text.
    """
    print(f"--- {name}", flush=True)
    i18n.activate(language)
    with tempfile.TemporaryDirectory() as folder, screen() as shown:
        user = User(shown, Path(folder), language, short)
        diary = Diary(out, name, user)
        problems: list[str] = []
        try:
            first = go(user, diary)
            diary.say(f"start to the first text of its own model: {first:.0f} s{bar}")
        except Lost as lost:
            problems.append(str(lost))
            diary.stage("lost")
        finally:
            user.kill()
        for made in sorted((Path(folder) / "LLM Studio").glob("*")):
            report(Project.open(made), out, name, diary)
        problems += user.problems()
        for problem in problems:
            diary.say(f"PROBLEM: {problem}")
    return not problems


@contextlib.contextmanager
def busy(count: int) -> Generator[None]:
    """So many programs that do nothing but compute."""
    processes = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _number in range(count)]
    try:
        yield
    finally:
        for process in processes:
            process.kill()
            process.wait()


def main() -> int:
    """The journeys that are wanted, one after the other."""
    parser = argparse.ArgumentParser(usage=__doc__)
    parser.add_argument("out", type=Path)
    parser.add_argument("--language", choices=i18n.LANGUAGES)
    parser.add_argument("--journey", choices=("example", "texts"))
    parser.add_argument("--texts", type=Path, default=NOVELS)
    parser.add_argument("--minutes", type=float, default=MINUTES)
    parser.add_argument("--busy", type=int, default=0)
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda _number, _frame: sys.exit(1))  # nothing is left running
    options.out.mkdir(parents=True, exist_ok=True)
    languages = [options.language] if options.language else sorted(i18n.LANGUAGES)
    mark, minutes = f"-busy{options.busy}" if options.busy else "", float(options.minutes)
    short = 0.0 if minutes == MINUTES else minutes
    bar = f" (bar: {BARS[options.busy]})" if options.busy in BARS and not short else ""
    fine = True
    with busy(options.busy):
        for language in languages if options.journey != "texts" else ():
            go = partial(example, language=language, minutes=minutes)
            fine &= journey(options.out, f"example-{language}{mark}", language, go, short, bar)
        if options.journey != "example" and options.texts.is_dir():
            language = options.language or "fr"
            go = partial(own_texts, language=language, texts=options.texts.absolute(), minutes=minutes)
            fine &= journey(options.out, f"texts-{language}{mark}", language, go, short, "")
    return 0 if fine else 1


if __name__ == "__main__":
    sys.exit(main())
