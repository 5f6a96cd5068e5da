// The page: lets the model write, and shows how it chooses each token.

"use strict";

const SHOWN = 10; // candidates for the next token
const PAUSE = 20; // milliseconds of work after which the browser may draw and react

const $ = (id) => document.getElementById(id);

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
    $("turns").onkeydown = (event) => {
      const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
      if (step && !this.writing) this.chooseBeside(step);
    };
    this.showTints();
  }

  async load() {
    try {
      this.model = await loadModel(this.data, (fraction) => {
        $("loading-bar").value = fraction;
        $("loading-text").textContent = this.text("loading", { percent: this.percent(fraction, 0) });
      });
    } catch (error) {
      $("loading").classList.add("failed");
      const isCut = error.message === INCOMPLETE || error.name === "InvalidCharacterError"; // half of the base64
      const reason = isCut ? this.text(INCOMPLETE) : error.message;
      $("loading-text").textContent = this.text("failed", { reason });
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
    const least = 10 ** -digits;
    const isTiny = fraction > 0 && 100 * fraction < least / 2;
    return `${isTiny ? "<\u00a0" : ""}${this.number(isTiny ? least : 100 * fraction, digits)}\u00a0%`;
  }

  showLanguage(language = this.language) {
    this.language = document.documentElement.lang = language;
    for (const element of document.querySelectorAll("[data-text]")) {
      element.textContent = this.text(element.dataset.text);
    }
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
    if (this.model) {
      lines.push([this.text("computed_by"), this.model.embedding.products.simd ? "WebAssembly SIMD" : "JavaScript"]);
    }
    fill($("card"), ...lines.flatMap(([name, value, digits = 0, unit = ""]) => {
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
    const { user, assistant } = this.data;
    const ids = turns.flatMap(({ prompt, question, tokens }) => {
      const read = this.tokenizer.encode(question ? prompt.trim() : prompt);
      return [...(question ? [user, ...read, assistant] : read), ...tokens.flatMap(({ id, cut }) => cut || [id])];
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
    const turn = { prompt: this.question ? prompt : joined(before, prompt), question: this.question };
    Object.assign(turn, { tokens: [], text: "", note: "" });
    turn.view = new TurnView(this, turn);
    this.turns.push(turn);
    this.showTurns();
    await this.continueTurn(turn);
  }

  /** Write the last turn again, from its beginning. */
  async writeAgain(turn) {
    if (this.writing) return;
    Object.assign(turn, { tokens: [], text: "" });
    fill(turn.view.written);
    await this.continueTurn(turn);
  }

  async continueTurn(turn) {
    if (this.writing) return;
    turn.seed = $("seed").value === "" ? Math.floor(Math.random() * 1e6) : Number($("seed").value);
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
      if (this.cutAtStopString(turn)) break;
    }
    this.writing = false;
    turn.view.end();
    this.showWriting();
    this.scroll();
    this.showPlace(this.live);
    if (matchMedia("(min-width: 801px)").matches) $("prompt").focus();
  }

  /** End a text before the first stop string in it; whether there was one. */
  cutAtStopString(turn) {
    const places = this.data.stop_strings.map((string) => turn.text.indexOf(string)).filter((place) => place >= 0);
    if (!places.length) return false;
    let left = turn.text.length - Math.min(...places); // characters too many
    turn.text = turn.text.slice(0, Math.min(...places));
    while (left > 0) {
      const token = turn.tokens.pop(), kept = token.text.slice(0, Math.max(0, token.text.length - left));
      left -= token.text.length;
      token.span.textContent = kept;
      if (kept) turn.tokens.push({ ...token, text: kept, cut: this.tokenizer.encode(kept) });
    }
    turn.note = "stopped";
    return true;
  }

  /** The tokens that follow the turns, one by one, with the characters that each completes. */
  async *tokens(turn) {
    const stops = this.stops(turn.question), random = randomNumbers(turn.seed), decoder = this.tokenizer.decoder();
    const before = turn.tokens.length;
    const all = this.idsOf(this.turns);
    turn.cut = all.length > this.data.settings.max_seq_len;
    let since = performance.now(), ids = this.model.begin(all), last = null;
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
      last = { id, text: decoder.push(id), probability: softmax(logits)[id], ...shownOf(logits, probabilities) };
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
    fill($("turns"), ...(views.length ? views.flat() : [empty]));
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

  /** With the keyboard: the token after the one that is shown, or before it. */
  chooseBeside(step) {
    const tokens = this.turns.flatMap((turn) => turn.tokens), place = tokens.indexOf(this.shown);
    const next = place < 0 ? (step < 0 ? tokens.length - 1 : -1) : place + step;
    this.showPlace(tokens[next] || this.live);
  }

  showCandidates() {
    const place = this.shown;
    if (!this.model || !place) return;
    const total = this.data.settings.vocab_size;
    const isLive = Boolean(place.logits); // then the sliders still count
    const { found, kept } = isLive
      ? shownOf(place.logits, distribution(place.logits, place.context, this.sampling()))
      : place;
    const where = isLive
      ? this.text(this.turns.length ? "live" : "beginning")
      : this.text("at_token", { token: this.tokenizer.visible(place.id) });
    $("next-caption").textContent = `${where} ` + this.text(kept === 1 ? "one_possible" : "possible",
      { n: this.number(kept), total: this.number(total) });
    $("live").hidden = isLive || this.writing;
    const widest = Math.max(...found.map(({ model, sampling }) => Math.max(model, sampling)));
    fill($("bars"), ...found.map((candidate) => this.bar(candidate, widest, candidate.id === place.id)));
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

/** What is shown of a distribution: the first candidates, and how many tokens can be drawn. */
function shownOf(logits, probabilities) {
  return { found: candidates(logits, probabilities, SHOWN), kept: probabilities.filter((p) => p > 0).length };
}

let page;
document.addEventListener("DOMContentLoaded", () => {
  page = new Page(JSON.parse($("data").textContent));
  page.load();
});
