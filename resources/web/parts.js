// Parts of the page: a prompt with what the model wrote after it, and a slider.

"use strict";

function element(name, kind, text = "") {
  const made = document.createElement(name);
  if (kind.trim()) made.className = kind.trim();
  made.textContent = text;
  return made;
}

/** Put children into an element, instead of what it has. */
function fill(parent, ...children) {
  parent.textContent = "";
  parent.append(...children);
}

/** `prompt` with the space it needs after the text `before`. */
function joined(before, prompt) {
  const startsWord = /^[\p{L}\p{N}«“"'‘(–—]/u.test(prompt), endsWord = /[^\s«“‘(’']$/u.test(before);
  return startsWord && endsWord ? ` ${prompt}` : prompt;
}

/** A prompt and what the model wrote after it. */
class TurnView {
  constructor(page, turn) {
    this.page = page;
    this.turn = turn;
    this.prompt = element("div", "prompt", turn.prompt.trimStart());
    this.answer = element("div", "answer");
    this.written = element("div", "text");
    this.foot = element("div", "foot");
    this.answer.append(this.written, this.foot);
  }

  show() {
    return this.turn.prompt ? [this.prompt, this.answer] : [this.answer];
  }

  begin() {
    this.answer.classList.add("writing");
    this.showFoot();
  }

  append(token) {
    const turns = $("turns"), atEnd = turns.scrollTop + turns.clientHeight > turns.scrollHeight - 40;
    const kind = [0.05, 0.2, 0.5].filter((least) => token.probability >= least).length;
    const first = !this.written.firstChild;
    token.span = element("span", `token p${kind}`, first ? token.text.replace(/^ /, "") : token.text);
    token.span.onclick = () => this.page.writing || this.page.showPlace(token);
    this.written.append(token.span);
    if (atEnd) this.page.scroll();
  }

  /** Add the rest of a character to the last token. */
  extend(token, rest) {
    token.text += rest;
    token.span.textContent += rest;
    this.turn.text += rest;
  }

  end() {
    this.answer.classList.remove("writing");
  }

  showFoot() {
    const { page, turn } = this, count = turn.tokens.length;
    const figures = [page.text(count === 1 ? "one_token" : "tokens", { n: page.number(count) })];
    if (turn.speed) figures.push(page.text("speed", { rate: page.number(turn.speed) }));
    if (turn.seed !== undefined) figures.push(page.text("seed_was", { seed: turn.seed }));
    const caption = element("span", "caption", figures.join(" · "));
    const parts = [caption];
    if (turn.cut) parts.push(element("span", "caption", page.text("prompt_cut")));
    if (turn.note) parts.push(element("span", "caption", page.text(turn.note)));
    if (!page.writing) {
      if (turn === page.turns[page.turns.length - 1]) {
        const unfinished = !turn.note || turn.note === "at_limit";
        if (unfinished) parts.push(this.button("more", () => page.continueTurn(turn)));
        parts.push(this.button("again", () => page.writeAgain(turn)));
      }
      parts.push(this.button("copy", () => this.copy()));
    }
    fill(this.foot, ...parts);
    this.foot.hidden = this.answer.classList.contains("writing");
  }

  button(name, act) {
    const made = element("button", "small", this.page.text(name));
    made.type = "button";
    made.onclick = act;
    return made;
  }

  /** The clipboard of an old browser, or of a page that isn't allowed to use it, takes what is selected. */
  async copy() {
    const text = (this.turn.question ? "" : this.turn.prompt) + this.turn.text;
    try {
      await navigator.clipboard.writeText(text.trim());
    } catch {
      getSelection().selectAllChildren(this.written);
      document.execCommand("copy");
    }
  }
}

/** A setting of the sampler. `curve` above 1 gives small values more room. */
class Slider {
  constructor(declared, changed) {
    this.declared = declared;
    this.name = declared.name;
    const box = element("div", "slider");
    this.label = element("label", "");
    this.output = element("output", "");
    this.range = element("input", "");
    Object.assign(this.range, { type: "range", min: 0, max: 1000, step: 1, id: this.name });
    this.label.htmlFor = this.output.htmlFor = this.name;
    this.range.oninput = () => {
      this.value = this.valueAt(this.range.value / 1000);
      this.showValue();
      changed();
    };
    box.append(this.label, this.output, this.range);
    $("sliders").append(box);
    this.value = declared.default;
  }

  valueAt(place) {
    const { low, high, step, curve } = this.declared;
    const value = Math.round((low + (high - low) * place ** curve) / step) * step;
    return Number(Math.min(high, Math.max(low, value)).toFixed(4));
  }

  set(value) {
    const { low, high, curve } = this.declared;
    this.value = value;
    this.range.value = 1000 * Math.min(1, Math.max(0, (value - low) / (high - low))) ** (1 / curve);
    this.showValue();
  }

  showLanguage(page) {
    this.page = page;
    const { title, help } = this.declared.texts[page.language];
    this.label.textContent = title;
    this.label.title = this.range.title = help;
    this.set(this.value);
  }

  showValue() {
    const { digits, texts } = this.declared, zero = texts[this.page.language].zero;
    const shown = this.value === 0 && zero ? zero : this.page.number(this.value, digits);
    this.output.textContent = shown;
    this.range.setAttribute("aria-valuetext", shown);
  }
}
