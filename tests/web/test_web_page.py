"""What a pupil sees of the page: it writes, its sliders and languages work, and it needs nothing but itself."""

import json
import re
from pathlib import Path

import pytest

from llm_studio.config import GenerationSettings, Settings
from llm_studio.config.controls import Slider
from llm_studio.config.presets import load_preset
from llm_studio.data.tokenizer.tokenizer import Tokenizer
from llm_studio.errors import CheckpointError, ProjectError, StorageError
from llm_studio.events import Event, Progress
from llm_studio.export import web_page
from llm_studio.export.web_texts import TEXTS
from llm_studio.i18n import translator
from llm_studio.jobs import Job
from llm_studio.paths import resource
from llm_studio.workflows.generation.chats import Turn
from llm_studio.workflows.generation.generate import TextGenerator
from tests.runs.models import damage
from tests.tokenizers import of_pairs
from tests.web.browser import Browser
from tests.web.conftest import settings
from tests.web.models import checkpoint, page_of, reference

_NO_BREAK = re.compile("[\u00a0\u202f]")


def write(page: Browser, prompt: str, tokens: int = 12, seed: int = 5) -> str:
    """Type a prompt, press the button, and return what is written."""
    page.run(f"page.sliders.find((slider) => slider.name === 'max_tokens').set({tokens})")
    page.run(f"$('seed').value = '{seed}'; $('prompt').value = {json.dumps(prompt)}; $('prompt').oninput()")
    page.run("$('write').click()")
    page.wait_for("!page.writing")
    return page.run("page.turns[page.turns.length - 1].text")


def seen(page: Browser, selector: str) -> str:
    """The text of an element as it is shown."""
    return _NO_BREAK.sub(" ", page.run(f"document.querySelector({json.dumps(selector)}).innerText"))


def test_a_text_is_written_token_by_token_and_its_tokens_are_tinted(page: Browser, plain: Path) -> None:
    page.open(plain)
    text = write(page, "Il était une fois")
    assert seen(page, ".prompt") == "Il était une fois"
    assert page.run("document.querySelector('.answer .text').textContent") == re.sub("^ ", "", text)
    tints = page.run("page.turns[0].tokens.map(({ span, probability }) => [span.className, probability])")
    assert len(tints) <= 12
    for name, probability in tints:
        assert name == f"token p{sum(probability >= least for least in (0.05, 0.2, 0.5))}"
    assert re.search(r"\d+ tokens · [\d,]+ tok/s · seed 5", seen(page, ".answer .foot"))


def test_the_same_seed_gives_the_same_text_and_another_one_another(page: Browser, plain: Path) -> None:
    page.open(plain)
    texts = []
    for seed in (5, 5, 6):
        texts.append(write(page, "Once", seed=seed))
        page.run("$('clear').click()")
        page.wait_for("!page.writing")
    assert texts[0] == texts[1] != texts[2]
    assert page.run("page.turns.length") == 0


def test_a_prompt_longer_than_the_context_is_said_to_be_cut(page: Browser, plain: Path) -> None:
    page.open(plain)
    write(page, "Il", tokens=1)
    assert "longer than the context" not in seen(page, ".answer .foot")
    page.run("$('clear').click()")
    page.wait_for("!page.writing")
    write(page, "Il était une fois une bien trop longue histoire", tokens=1)
    assert "longer than the context" in seen(page, ".answer .foot")


def test_writing_can_be_stopped_and_continued_and_done_again(page: Browser, plain: Path) -> None:
    page.open(plain)
    page.run("$('seed').value = '1'; page.sliders.find((slider) => slider.name === 'max_tokens').set(1000)")
    page.run("$('write').click()")
    assert seen(page, "#write") == "Stop"
    page.wait_for("page.turns[0].tokens.length > 3")
    page.run("document.dispatchEvent(new KeyboardEvent('keydown', { key: 'Escape' }))")
    page.wait_for("!page.writing")
    count = page.run("page.turns[0].tokens.length")
    assert seen(page, "#write") == "Generate"
    page.run("page.sliders.find((slider) => slider.name === 'max_tokens').set(5)")
    page.run("[...document.querySelectorAll('.foot button')].find((one) => one.innerText === 'Continue').click()")
    page.wait_for("!page.writing")
    assert count < page.run("page.turns[0].tokens.length") <= count + 5
    page.run("[...document.querySelectorAll('.foot button')].find((one) => one.innerText === 'Regenerate').click()")
    page.wait_for("!page.writing")
    assert page.run("page.turns[0].tokens.length") <= 5


def test_the_sliders_are_those_of_the_program_and_show_their_effect_at_once(page: Browser, plain: Path) -> None:
    page.open(plain)
    declared = {name: info for name, info in GenerationSettings.model_fields.items()
                if any(isinstance(one, Slider) for one in info.metadata)}  # fmt: skip
    assert page.run("page.sliders.map((slider) => slider.name)") == list(declared)
    assert page.run("page.sampling()") == {name: info.default for name, info in declared.items()}
    page.run("page.resetSampling()")
    assert page.run("page.sampling()") == {name: info.default for name, info in declared.items()}
    for language in ("en", "fr"):
        page.run(f"document.querySelector('[data-language={language}]').click()")
        labels = page.run("[...document.querySelectorAll('#sliders label')].map((one) => one.textContent)")
        assert labels == [translator(language)(info.title or "") for info in declared.values()]
    before = page.run("[...document.querySelectorAll('#bars .share:last-child')].map((one) => one.textContent)")
    page.run("""(() => {
      const range = $('temperature');
      range.value = 0;
      range.dispatchEvent(new Event('input'));
    })()""")
    after = page.run("[...document.querySelectorAll('#bars .share:last-child')].map((one) => one.textContent)")
    assert _NO_BREAK.sub(" ", after[0]) == "100,0 %" and set(after[1:]) == {"–"} and before != after
    assert seen(page, "#next-caption").endswith("1 token possible sur 512")


def test_a_click_on_a_token_shows_what_else_was_possible_there(page: Browser, plain: Path) -> None:
    page.open(plain)
    write(page, "Once")
    live = seen(page, "#bars")
    token, name = page.run("[page.turns[0].tokens[2], page.tokenizer.visible(page.turns[0].tokens[2].id)]")
    page.run("page.turns[0].tokens[2].span.click()")
    assert seen(page, "#next-caption").startswith(f"Where “{name}” was written")
    assert [one["id"] for one in token["found"]] == page.run("page.shown.found.map(({ id }) => id)")
    page.run("$('turns').dispatchEvent(new KeyboardEvent('keydown', { key: 'ArrowRight' }))")
    assert page.run("page.shown === page.turns[0].tokens[3]")
    page.run("$('live').click()")
    assert seen(page, "#bars") == live


def test_both_languages_say_everything_and_only_in_their_own_words(page: Browser, plain: Path) -> None:
    page.open(plain)
    for language in ("en", "fr", "en"):
        page.run(f"document.querySelector('[data-language={language}]').click()")
        assert page.run("document.documentElement.lang") == language
        for name in page.run("[...document.querySelectorAll('[data-text]')].map((one) => one.dataset.text)"):
            shown = page.run(f"document.querySelector('[data-text={name}]').textContent")
            assert shown == translator(language)(TEXTS[name]), name
    used = "".join(
        resource("web", name).read_text(encoding="utf-8") for name in ("page.html", "page.js", "parts.js", "loading.js")
    )
    assert [name for name in TEXTS if f'"{name}"' not in used] == [], "a text that the page doesn't use"


def test_light_and_dark_follow_the_system_until_they_are_chosen(page: Browser, plain: Path) -> None:
    for dark in (True, False):
        page.resize(1280, 800, dark=dark)
        page.open(plain)
        assert page.run("document.documentElement.dataset.theme") == ("dark" if dark else "light")
        page.run("$('theme').click()")
        assert page.run("document.documentElement.dataset.theme") == ("light" if dark else "dark")


@pytest.mark.parametrize(
    "width, height, mobile",
    [(1360, 860, False), (820, 1180, True), (390, 844, True), (320, 568, True)],
)
@pytest.mark.parametrize("language", ["en", "fr"])
def test_nothing_is_cut_off_on_any_screen(
    page: Browser, plain: Path, width: int, height: int, mobile: bool, language: str
) -> None:
    page.resize(width, height, mobile)
    page.open(plain)
    page.run(f"document.querySelector('[data-language={language}]').click()")
    write(page, "Il était une fois une phrase assez longue pour plus d’une ligne sur un petit écran", tokens=40)
    assert page.run("document.documentElement.scrollWidth") <= width
    for name in ("#write", "#prompt", "#theme", "header [lang=fr]"):
        box = page.run(f"document.querySelector('{name}').getBoundingClientRect().toJSON()")
        assert box["left"] >= 0 and box["right"] <= width + 0.5 and box["top"] >= 0, name
    assert page.run("$('write').getBoundingClientRect().bottom") <= height, "the button is in sight"


def test_a_question_has_the_form_of_conversations(page: Browser, tmp_path: Path) -> None:
    made = checkpoint(tmp_path, settings(max_seq_len=64), conversations=True)
    page.open(page_of(made, tmp_path / "chat.html"))
    tokenizer = Tokenizer.from_json(made.tokenizer_json())
    generator = TextGenerator(reference(made), tokenizer, made.settings(), "", conversations=True)
    assert page.run("page.question") and page.run("!$('modes').hidden")
    answers = [write(page, "  Qui es-tu ? "), write(page, "Et toi ?")]
    page.run("document.querySelector('[data-mode=text]').click()")
    answers.append(write(page, "Il dit"))
    written = page.run("page.turns.map((turn) => turn.tokens.map(({ id }) => id))")
    turns = [Turn("Qui es-tu ?", question=True), Turn("Et toi ?", question=True), Turn("Il dit")]
    expected: list[int] = []
    for turn, ids in zip(turns, written, strict=True):
        expected += [*generator._pieces(turn)[0], *ids]
        stops = generator._stop_tokens(turn.question)
        assert set(page.run(f"[...page.stops({json.dumps(turn.question)})]")) == set(stops)
        assert not set(ids) & set(stops)
    prompt = page.run("page.turns[2].prompt")
    assert prompt.strip() == "Il dit"
    if not prompt.startswith(" "):
        assert page.run("page.idsOf(page.turns)") == expected
    assert answers == [tokenizer.decode(ids) for ids in written]


def test_a_stop_string_of_the_project_ends_a_text(page: Browser, plain: Path) -> None:
    page.open(plain)
    whole = write(page, "Once", tokens=40)
    place = len(whole) // 2
    stop = whole[place : place + 3]
    page.run(f"$('clear').click(); page.data.stop_strings = ['never there', {json.dumps(stop)}]")
    page.wait_for("!page.writing")
    text = write(page, "Once", tokens=40)
    assert text == whole[: whole.index(stop)]
    assert page.run("page.turns[0].tokens.map(({ text }) => text).join('')") == text
    assert page.run("document.querySelector('.answer .text').textContent") == re.sub("^ ", "", text)
    assert "A stop string ended the text" in seen(page, ".answer .foot")
    ids = page.run("page.idsOf(page.turns)")
    assert page.run(f"page.tokenizer.decode({ids})") == "Once" + text


def test_a_model_of_plain_texts_takes_no_questions(page: Browser, plain: Path) -> None:
    page.open(plain)
    assert page.run("$('modes').hidden && !page.question")


def test_names_that_look_like_html_do_nothing(page: Browser, tmp_path: Path) -> None:
    made = checkpoint(tmp_path, settings())
    config = made.path / "config.yaml"
    bad = "</script><script>document.title = 'broken'</script><!-- é & @data@"
    named = Settings(model=settings()).replaced({"project.name": bad})
    from llm_studio.config.yaml_file import dump
    from tests.web.models import refresh

    config.write_text(dump(named), encoding="utf-8")
    refresh(made.path)
    page.open(page_of(made, tmp_path / "model.html"))
    assert seen(page, "#name") == bad == page.run("document.title")


@pytest.mark.parametrize("fraction", [0.6, 0.9, 0.999])
def test_a_file_that_was_cut_short_says_so(page: Browser, plain: Path, tmp_path: Path, fraction: float) -> None:
    whole = plain.read_text(encoding="utf-8")
    cut = tmp_path / "cut.html"
    cut.write_text(whole[: int(fraction * len(whole))], encoding="utf-8")
    page.call("Page.navigate", url=cut.as_uri())
    page.wait_for("document.querySelector('.loading.failed')")
    assert "the file is incomplete. Copy this file again" in seen(page, "#loading-text")


# --- Writing the file ----------------------------------------------------------------------------------------


def test_the_presets_make_pages_of_the_promised_sizes(tmp_path: Path) -> None:
    for name, most in (("nano", 2e6), ("small", 25e6)):
        shape = load_preset(name).model
        made = checkpoint(tmp_path / name, shape, of_pairs(shape.vocab_size), scale=0.0)
        heard: list[Event] = []
        written = web_page.write(made, tmp_path / f"{name}.html", {}, Job(heard.append))
        assert written.bytes == written.path.stat().st_size < most
        assert sum(web_page.sizes(made, {}).values()) == pytest.approx(written.bytes, rel=0.2)
        assert isinstance(heard[-1], Progress) and heard[-1].done == heard[-1].total


def test_a_page_replaces_a_file_at_the_very_end_or_leaves_it(tmp_path: Path) -> None:
    made = checkpoint(tmp_path, settings())
    target = tmp_path / "page.html"
    target.write_text("before", encoding="utf-8")
    damage(made.path / "model.safetensors")
    with pytest.raises(CheckpointError, match="is damaged"):
        page_of(made, target)
    assert target.read_text(encoding="utf-8") == "before"
    with pytest.raises(StorageError):
        page_of(checkpoint(tmp_path / "other", settings()), tmp_path)
    assert page_of(checkpoint(tmp_path / "third", settings()), target).stat().st_size > 10_000
    assert not list(tmp_path.glob("page.html?*"))


def test_a_full_disk_and_a_model_too_large_are_said_before_writing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = checkpoint(tmp_path, settings())
    with monkeypatch.context() as patch:
        patch.setattr(web_page, "MOST_PARAMETERS", 1000)
        with pytest.raises(ProjectError, match="too large for a web page"):
            web_page.require(made)
    monkeypatch.setattr("shutil.disk_usage", lambda _path: type("Usage", (), {"free": 10})())
    with pytest.raises(StorageError, match="are needed"):
        page_of(made, tmp_path / "page.html")
    assert not list(tmp_path.glob("*.html*"))


def test_the_page_is_readable_source(plain: Path) -> None:
    text = plain.read_text(encoding="utf-8")
    for name in (
        "model.js",
        "tokenizer.js",
        "sampling.js",
        "loading.js",
        "parts.js",
        "page.js",
        "page.css",
        "products.wat",
    ):
        assert resource("web", name).read_text(encoding="utf-8").strip() in text
    assert not re.search(r"https?://", text), "it refers to nothing elsewhere"
