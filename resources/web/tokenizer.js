// From text to tokens and back: byte-level byte-pair encoding.
//
// A text is cut into words by a pattern. A word starts as single bytes. Of all neighbouring pairs that were merged when
// the tokenizer was trained, the one learned first is merged, again and again, until no such pair is left.

"use strict";

/** The byte alphabet of GPT-2: a printable byte stands for itself, each other one is a character from U+0100 on. */
function byteAlphabet() {
  const alphabet = [];
  let others = 256;
  for (let byte = 0; byte < 256; byte++) {
    const printable = (byte > 0x20 && byte < 0x7f) || (byte > 0xa0 && byte !== 0xad);
    alphabet.push(String.fromCharCode(printable ? byte : others++));
  }
  return alphabet;
}

class Tokenizer {
  /** @param data the tokens in the order of their ids, the merges as ids (left, right, merged, ...), the patterns that
   *  cut a text into words, one after the other, and the tokens that are whole words of their own (`added`) */
  constructor(data) {
    const alphabet = byteAlphabet();
    const byteOf = new Map(alphabet.map((character, byte) => [character, byte]));
    const named = new Set(data.named);
    this.names = data.tokens;
    this.bytes = data.tokens.map((token, id) => named.has(id)
      ? new TextEncoder().encode(token)
      : Uint8Array.from(token, (character) => byteOf.get(character)));
    const idOf = new Map(data.tokens.map((token, id) => [token, id]));
    this.idOfByte = alphabet.map((character) => idOf.get(character));
    this.idOf = data.ignore_merges ? idOf : null;
    this.alphabet = alphabet;
    this.merges = new Map();
    for (let i = 0; i < data.merges.length; i += 3) {
      const [left, right, merged] = data.merges.slice(i, i + 3);
      this.merges.set(this.pair(left, right), { rank: i, merged });
    }
    this.patterns = data.patterns.map((pattern) => new RegExp(pattern, "gu"));
    this.added = data.added.length ? new RegExp(data.added.map(([token]) => escaped(token)).join("|"), "gu") : null;
    this.idOfAdded = new Map(data.added);
    this.words = new Map(); // those of earlier texts, with their tokens
  }

  pair(left, right) {
    return left * this.names.length + right;
  }

  /** The ids of a text. The names of special tokens in it are text like any other. */
  encode(text) {
    text = text.replace(/\p{Surrogate}/gu, "\ufffd"); // half a character
    const ids = [];
    for (const part of this.added ? pieces(text, this.added) : [text]) {
      if (this.idOfAdded.has(part)) {
        ids.push(this.idOfAdded.get(part));
        continue;
      }
      let words = [part];
      for (const pattern of this.patterns) words = words.flatMap((word) => pieces(word, pattern));
      for (const word of words) ids.push(...this.encodeWord(word));
    }
    return ids;
  }

  encodeWord(word) {
    if (!this.words.has(word)) {
      if (this.words.size > 10000) this.words.clear();
      this.words.set(word, this.merged(new TextEncoder().encode(word)));
    }
    return this.words.get(word);
  }

  merged(bytes) {
    if (this.idOf) {
      const whole = this.idOf.get(Array.from(bytes, (byte) => this.alphabet[byte]).join(""));
      if (whole !== undefined) return [whole];
    }
    const ids = Array.from(bytes, (byte) => this.idOfByte[byte]);
    for (;;) {
      let first = null, place = -1;
      for (let i = 0; i + 1 < ids.length; i++) {
        const merge = this.merges.get(this.pair(ids[i], ids[i + 1]));
        if (merge && (!first || merge.rank < first.rank)) [first, place] = [merge, i];
      }
      if (!first) return ids;
      ids.splice(place, 2, first.merged);
    }
  }

  /** The text of ids; what isn't a whole character becomes U+FFFD. */
  decode(ids) {
    const decoder = this.decoder();
    return ids.map((id) => decoder.push(id)).join("") + decoder.end();
  }

  /** Decodes ids one by one: never half a character. */
  decoder() {
    const utf8 = new TextDecoder("utf-8", { ignoreBOM: true });
    return {
      push: (id) => utf8.decode(this.bytes[id], { stream: true }),
      end: () => utf8.decode(),
    };
  }

  /** A token for people: spaces and line ends visible, bytes that aren't a character as 0xC3. */
  visible(id) {
    const text = this.decode([id]);
    if (text.includes("\ufffd")) {
      return Array.from(this.bytes[id], (byte) => `0x${byte.toString(16).toUpperCase().padStart(2, "0")}`).join(" ");
    }
    return text.replace(/ /g, "·").replace(/\n/g, "⏎").replace(/\t/g, "⇥").replace(/\r/g, "␍");
  }
}

/** The matches of a pattern and what is between them. */
function pieces(text, pattern) {
  const found = [];
  let end = 0;
  pattern.lastIndex = 0;
  for (let match = pattern.exec(text); match; match = pattern.exec(text)) {
    if (match.index > end) found.push(text.slice(end, match.index));
    found.push(match[0]);
    end = match.index + match[0].length;
  }
  if (end < text.length) found.push(text.slice(end));
  return found;
}

function escaped(text) {
  return text.replace(/[\\^$.*+?()[\]{}|/]/g, "\\$&");
}
