// The page: loads the model from the elements below, lets it write, and shows how it chooses each token.

"use strict";

const SHOWN = 10; // candidates for the next token
const SLICE = 1 << 20; // characters of base64 that are decoded at once
const PAUSE = 20; // milliseconds of work after which the browser may draw and react

const $ = (id) => document.getElementById(id);

/** Let the browser draw and react. (setTimeout would wait for at least 4 ms.) */
const channel = new MessageChannel();
function pause() {
  return new Promise((resolve) => {
    channel.port1.onmessage = resolve;
    channel.port2.postMessage(null);
  });
}

// --- Loading -------------------------------------------------------------------------------------------------------

/** The bytes of an element that holds base64. `report` is told how many characters were decoded. */
async function bytesOf(element, report) {
  const text = element.textContent;
  const padding = text.endsWith("==") ? 2 : text.endsWith("=") ? 1 : 0;
  const bytes = new Uint8Array((text.length / 4) * 3 - padding);
  let end = 0;
  for (let start = 0; start < text.length; start += SLICE) {
    const part = atob(text.slice(start, start + SLICE));
    for (let i = 0; i < part.length; i++) bytes[end++] = part.charCodeAt(i);
    report(Math.min(SLICE, text.length - start));
    await pause();
  }
  return bytes;
}

/** The model from the elements of the page. `#javascript` at the end of its address does without WebAssembly. */
async function loadModel(settings, report) {
  const elements = [...document.querySelectorAll("script[data-tensor]")];
  const matrices = elements.filter((element) => element.dataset.columns);
  const size = ({ dataset }) => Products.bytes(Number(dataset.rows), Number(dataset.columns));
  const bytes = matrices.reduce((sum, element) => sum + size(element), Transformer.bytes(settings));
  const wasm = location.hash === "#javascript" ? null : await bytesOf($("products.wasm"), () => {});
  const products = new Products(bytes, wasm);
  const total = elements.reduce((sum, element) => sum + element.textContent.length, 0);
  const tensors = new Map();
  let done = 0;
  for (const element of elements) {
    const { tensor: name, rows, columns } = element.dataset;
    const found = await bytesOf(element, (count) => report((done += count) / total));
    element.remove(); // its text takes memory
    tensors.set(name, columns ? matrixOf(products, Number(rows), Number(columns), found) : new Float32Array(found.buffer));
  }
  return new Transformer(settings, tensors, products);
}

function matrixOf(products, rows, columns, bytes) {
  const matrix = new Matrix(products, rows, columns);
  matrix.scales.set(new Float32Array(bytes.buffer, 0, rows));
  const weights = new Int8Array(bytes.buffer, 4 * rows);
  for (let row = 0; row < rows; row++) {
    products.weights.set(weights.subarray(row * columns, (row + 1) * columns), matrix.weights + row * matrix.width);
  }
  return matrix;
}

// --- The page ------------------------------------------------------------------------------------------------------

class Page {
  constructor(data) {
    this.data = data;
    this.tokenizer = new Tokenizer(data.tokenizer);
    this.model = null;
    this.turns = []; // {prompt, question, ids of the text, ...}
    this.question = data.conversations; // the prompt is asked, not continued
    this.writing = false;
    this.stopped = false;
    this.shown = null; // the place whose candidates are shown: {logits, context}, or a token that was written
    this.sliders = data.sampling.map((declared) => new Slider(declared, () => this.showCandidates()));
    this.language = navigator.language.startsWith("fr") ? "fr" : "en";
    this.dark = matchMedia("(prefers-color-scheme: dark)").matches;
    const wide = matchMedia("(min-width: 801px)").matches;
    for (const id of ["sampling", "next"]) $(id).open = wide;
    this.connect();
    this.showTheme();
    this.showLanguage();
  }

  connect() {
    for (const button of document.querySelectorAll("[data-language]")) {
      button.onclick = () => this.showLanguage(button.dataset.language);
    }
    for (const button of document.querySelectorAll("[data-mode]")) {
      button.onclick = () => this.showMode(button.dataset.mode === "question");
    }
    $("theme").onclick = () => this.showTheme(!this.dark);
    $("composer").onsubmit = (event) => {
      event.preventDefault();
      this.writing ? this.stop() : this.write();
    };
    $("prompt").onkeydown = (event) => {
      if (event.key === "Enter" && !event.shiftKey && !event.isComposing) {
        event.preventDefault();
        if (!this.writing) this.write();
      }
    };
    $("prompt").oninput = () => this.fitPrompt();
    $("clear").onclick = () => this.clear();
    $("live").onclick = () => this.showPlace(this.live);
    $("defaults").onclick = () => this.resetSampling();
    $("tints").checked = true;
    $("tints").onchange = () => this.showTints();
    document.addEventListener("keydown", (event) => event.key === "Escape" && this.stop());
    this.showTints();
  }

  async load() {
    try {
      this.model = await loadModel(this.data.settings, (fraction) => {
        $("loading-bar").value = fraction;
        $("loading-text").textContent = this.text("loading", { percent: this.percent(fraction, 0) });
      });
    } catch (error) {
      $("loading").classList.add("failed");
      $("loading-text").textContent = this.text("failed", { reason: error.message });
      return;
    }
    $("loading").hidden = true;
    $("turns").hidden = $("composer").hidden = false;
    $("modes").hidden = !this.data.conversations;
    this.showCard();
    this.showTurns();
    await this.look([this.data.end]);
  }

  // --- Texts: in two languages ---

  text(name, values = {}) {
    return this.data.texts[this.language][name].replace(/\{(\w+)\}/g, (_, value) => values[value]);
  }

  number(value, digits = 0) {
    return value.toLocaleString(this.language, { minimumFractionDigits: digits, maximumFractionDigits: digits });
  }

  percent(fraction, digits = 1) {
    return `${this.number(100 * fraction, digits)}\u00a0%`;
  }

  showLanguage(language = this.language) {
    this.language = document.documentElement.lang = language;
    for (const element of document.querySelectorAll("[data-text]")) element.textContent = this.text(element.dataset.text);
    for (const element of document.querySelectorAll("[data-label]")) {
      element.setAttribute("aria-label", this.text(element.dataset.label));
      if (element.id) element.title = this.text(element.dataset.label);
    }
    for (const button of document.querySelectorAll("[data-language]")) {
      button.setAttribute("aria-pressed", button.dataset.language === language);
    }
    $("seed").placeholder = this.text("random");
    $("prompt").setAttribute("aria-label", this.text("prompt"));
    for (const slider of this.sliders) slider.showLanguage(this);
    this.showCard();
    this.showMode(this.question);
    this.showCandidates();
    if (this.model) this.showTurns();
  }

  showTheme(dark = this.dark) {
    this.dark = dark;
    document.documentElement.dataset.theme = dark ? "dark" : "light";
    $("theme").textContent = dark ? "☀" : "☾";
  }

  showMode(question) {
    this.question = question;
    for (const button of document.querySelectorAll("[data-mode]")) {
      button.setAttribute("aria-pressed", (button.dataset.mode === "question") === question);
    }
    $("prompt").placeholder = this.text(question ? "ask_here" : "begin_here");
    this.showWriting();
  }

  showTints() {
    $("turns").classList.toggle("tinted", $("tints").checked);
    $("legend").hidden = !$("tints").checked;
  }

  showCard() {
    const { card, settings } = this.data;
    $("name").textContent = card.name;
    const millions = `${this.number(card.parameters / 1e6, card.parameters < 1e8 ? 1 : 0)}\u00a0M`;
    $("summary").textContent = this.text("summary", { parameters: millions, program: card.program });
    const lines = card.lines[this.language].slice();
    if (this.model) lines.push([this.text("computed_by"), this.model.embedding.products.simd ? "WebAssembly SIMD" : "JavaScript"]);
    $("card").replaceChildren(...lines.flatMap(([name, value, digits = 0, unit = ""]) => {
      const shown = typeof value === "number" ? this.number(value, digits) + (unit && `\u00a0${unit}`) : value;
      return [element("dt", "", name), element("dd", "", shown)];
    }));
  }

  // --- Writing ---

  /** The settings of the sampler as they are on the page. */
  sampling() {
    return Object.fromEntries(this.sliders.map((slider) => [slider.name, slider.value]));
  }

  resetSampling() {
    for (const slider of this.sliders) slider.set(slider.declared.default);
    $("seed").value = "";
    this.showCandidates();
  }

  /** What the model reads before it continues the last turn: all of them, as it was trained on them. */
  idsOf(turns) {
    const ids = turns.flatMap((turn) => {
      const prompt = this.tokenizer.encode(turn.question ? turn.prompt.trim() : turn.prompt);
      return [...(turn.question ? [this.data.user, ...prompt, this.data.assistant] : prompt), ...turn.tokens.map(({ id }) => id)];
    });
    return ids.length ? ids : [this.data.end];
  }

  /** The tokens that end a text: an answer ends where the next turn of either begins. */
  stops(question) {
    const { end, user, assistant, conversations } = this.data;
    return new Set(question ? [end, user, assistant] : conversations ? [end, user] : [end]);
  }

  /** Read tokens, with pauses in which the page reacts; the logits after the last one, null if it was stopped. */
  async read(ids) {
    let since = performance.now(), logits = null;
    for (let i = 0; i < ids.length; i++) {
      logits = this.model.read(ids[i], i + 1 === ids.length);
      if (performance.now() - since > PAUSE) {
        await pause();
        since = performance.now();
        if (this.stopped) return null;
      }
    }
    return logits;
  }

  /** Show what may follow these ids. */
  async look(ids) {
    this.writing = true;
    this.stopped = false;
    const logits = await this.read(this.model.begin(ids));
    this.writing = false;
    if (logits) this.showPlace((this.live = { logits: logits.slice(), context: this.model.context.slice() }));
  }

  /** Write after the prompt; with none, the last text is continued. */
  async write() {
    if (!this.model || this.writing) return;
    const prompt = $("prompt").value.replace(/ +$/, ""); // a space at the end would be half a token
    if (this.question && !prompt.trim()) return;
    $("prompt").value = "";
    this.fitPrompt();
    const before = this.turns.length ? this.turns[this.turns.length - 1].text : "";
    const turn = { prompt: this.question ? prompt : joined(before, prompt), question: this.question, tokens: [], text: "", note: "" };
    turn.view = new TurnView(this, turn);
    this.turns.push(turn);
    this.showTurns();
    await this.continueTurn(turn);
  }

  /** Write the last turn again, from its beginning. */
  async writeAgain(turn) {
    if (this.writing) return;
    Object.assign(turn, { tokens: [], text: "" });
    turn.view.written.replaceChildren();
    await this.continueTurn(turn);
  }

  async continueTurn(turn) {
    turn.seed = $("seed").value === "" ? Math.floor(Math.random() * 2 ** 32) : Number($("seed").value);
    const began = performance.now();
    this.writing = true;
    this.stopped = false;
    turn.note = "";
    turn.view.begin();
    this.showWriting();
    let count = 0;
    for await (const token of this.tokens(turn)) {
      turn.text += token.text;
      turn.tokens.push(token);
      turn.view.append(token);
      turn.speed = (1000 * ++count) / (performance.now() - began);
    }
    this.writing = false;
    turn.view.end();
    this.showWriting();
    this.showPlace(this.live);
    if (matchMedia("(min-width: 801px)").matches) $("prompt").focus();
  }

  /** The tokens that follow the turns, one by one, with the characters that each completes. */
  async *tokens(turn) {
    const stops = this.stops(turn.question), random = randomNumbers(turn.seed), decoder = this.tokenizer.decoder();
    const before = turn.tokens.length;
    let since = performance.now(), ids = this.model.begin(this.idsOf(this.turns)), last = null;
    while (!this.stopped) {
      const logits = await this.read(ids);
      if (!logits) break;
      const sampling = this.sampling(), context = this.model.context; // a slider that moves counts at once
      const probabilities = distribution(logits, context, sampling);
      this.live = { logits: logits.slice(), context: context.slice() };
      if (turn.tokens.length - before >= sampling.max_tokens) {
        turn.note = "at_limit";
        break;
      }
      const id = draw(probabilities, random);
      if (stops.has(id)) {
        turn.note = turn.tokens.length ? "ended" : "ended_at_once";
        break;
      }
      const found = candidates(logits, probabilities, SHOWN);
      last = { id, text: decoder.push(id), probability: softmax(logits)[id], found, kept: probabilities.filter((p) => p > 0).length };
      yield last;
      ids = this.model.next(id);
      if (performance.now() - since > PAUSE) {
        this.showPlace(last);
        await pause();
        since = performance.now();
      }
    }
    const rest = decoder.end(); // of a character
    if (last && rest) turn.view.extend(last, rest);
  }

  stop() {
    this.stopped = true;
  }

  clear() {
    if (this.writing) return;
    this.turns = [];
    this.showTurns();
    this.look([this.data.end]);
    $("prompt").focus();
  }

  // --- Showing what was written ---

  fitPrompt() {
    const prompt = $("prompt");
    prompt.style.height = "auto";
    prompt.style.height = `${prompt.scrollHeight + 2}px`;
    this.showWriting();
  }

  showWriting() {
    const button = $("write");
    button.classList.toggle("stop", this.writing);
    button.textContent = this.text(this.writing ? "stop" : "write");
    $("clear").hidden = this.writing || !this.turns.length;
    for (const turn of this.turns) turn.view.showFoot();
  }

  showTurns() {
    const views = this.turns.map((turn) => turn.view.show());
    const empty = element("p", "empty", this.text(this.question ? "empty_question" : "empty_text"));
    $("turns").replaceChildren(...(views.length ? views.flat() : [empty]));
    this.showWriting();
    this.scroll();
  }

  scroll() {
    $("turns").scrollTop = $("turns").scrollHeight;
  }

  // --- The next token ---

  /** Show the candidates at a place: `live`, after the whole text, or where a token was written. */
  showPlace(place) {
    for (const chosen of document.querySelectorAll(".token.chosen")) chosen.classList.remove("chosen");
    if (place && place.span && !this.writing) place.span.classList.add("chosen");
    this.shown = place;
    this.showCandidates();
  }

  showCandidates() {
    const place = this.shown;
    if (!this.model || !place) return;
    const total = this.data.settings.vocab_size;
    let { found, kept } = place;
    if (place.logits) {
      const probabilities = distribution(place.logits, place.context, this.sampling());
      found = candidates(place.logits, probabilities, SHOWN);
      kept = probabilities.filter((p) => p > 0).length;
    }
    const where = place.logits ? this.text("live") : this.text("at_token", { token: this.tokenizer.visible(place.id) });
    $("next-caption").textContent = `${where} ` + this.text(kept === 1 ? "one_possible" : "possible",
      { n: this.number(kept), total: this.number(total) });
    $("live").hidden = Boolean(place.logits) || this.writing;
    const widest = Math.max(...found.map(({ model, sampling }) => Math.max(model, sampling)));
    $("bars").replaceChildren(...found.map((candidate) => this.bar(candidate, widest, candidate.id === place.id)));
  }

  bar({ id, model, sampling }, widest, drawn) {
    const item = element("li", `${sampling ? "" : "removed"} ${drawn ? "drawn" : ""}`);
    const lines = element("span", "lines");
    for (const [kind, value] of [["of-model", model], ["of-sampling", sampling]]) {
      const line = element("i", kind);
      line.style.width = `${(100 * value) / widest}%`;
      if (!value) line.style.visibility = "hidden";
      lines.append(line);
    }
    const word = element("span", "word", id === this.data.end ? this.text("end_of_text") : this.tokenizer.visible(id));
    item.append(word, lines, element("span", "share", this.percent(model)),
      element("span", "share", sampling ? this.percent(sampling) : "–"));
    return item;
  }
}

function element(name, kind, text = "") {
  const made = document.createElement(name);
  if (kind.trim()) made.className = kind.trim();
  made.textContent = text;
  return made;
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
    this.showFoot();
    this.page.scroll();
  }

  showFoot() {
    const { page, turn } = this, count = turn.tokens.length;
    const figures = [page.text(count === 1 ? "one_token" : "tokens", { n: page.number(count) })];
    if (turn.speed) figures.push(page.text("speed", { rate: page.number(turn.speed) }));
    if (turn.seed !== undefined) figures.push(page.text("seed_was", { seed: turn.seed }));
    const caption = element("span", "caption", figures.join(" · "));
    const parts = [caption];
    if (turn.note) parts.push(element("span", "caption", page.text(turn.note)));
    if (!page.writing) {
      if (turn === page.turns[page.turns.length - 1]) {
        if (!turn.note || turn.note === "at_limit") parts.push(this.button("more", () => page.writing || page.continueTurn(turn)));
        parts.push(this.button("again", () => page.writeAgain(turn)));
      }
      parts.push(this.button("copy", () => this.copy()));
    }
    this.foot.replaceChildren(...parts);
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
    const { step, texts } = this.declared, zero = texts[this.page.language].zero;
    const shown = this.value === 0 && zero ? zero : this.page.number(this.value, step < 1 ? 2 : 0);
    this.output.textContent = shown;
    this.range.setAttribute("aria-valuetext", shown);
  }
}

let page;
document.addEventListener("DOMContentLoaded", () => {
  page = new Page(JSON.parse($("data").textContent));
  page.load();
});
