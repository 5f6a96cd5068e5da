// Choosing the next token from the logits of all tokens:
//
//     penalty -> temperature -> top-k -> top-p -> min-p -> softmax -> draw
//
// A filter sets the logits of the tokens that it removes to minus infinity.

"use strict";

function repetitionPenalty(logits, context, penalty) {
  if (penalty === 1) return;
  for (const id of new Set(context)) {
    logits[id] = logits[id] > 0 ? logits[id] / penalty : logits[id] * penalty;
  }
}

/** 0 is greedy: it keeps only the most likely token. */
function temperature(logits, value) {
  const best = argmax(logits), largest = logits[best];
  if (value === 0) {
    logits.fill(-Infinity);
    logits[best] = 0;
    return;
  }
  for (let i = 0; i < logits.length; i++) logits[i] = (logits[i] - largest) / value;
}

function topK(logits, k) {
  if (k > 0 && k < logits.length) keep(logits, k, logits.slice().sort()[logits.length - k]);
}

/** Keep the fewest most likely tokens whose probabilities reach p. */
function topP(logits, p) {
  if (p >= 1) return;
  const sorted = logits.filter((logit) => logit > -Infinity).sort().reverse();
  const probabilities = softmax(sorted);
  let count = 0, reached = 0;
  while (count < sorted.length && reached < p) reached += probabilities[count++];
  keep(logits, count, sorted[count - 1]);
}

/** Keep the tokens at least p times as likely as the most likely one. */
function minP(logits, p) {
  if (p === 0) return;
  const least = logits[argmax(logits)] + Math.log(p);
  for (let i = 0; i < logits.length; i++) if (logits[i] < least) logits[i] = -Infinity;
}

/** Keep the `count` largest logits, of which `least` is the smallest; the first ones of those that are equal to it. */
function keep(logits, count, least) {
  for (const logit of logits) if (logit > least) count--;
  for (let i = 0; i < logits.length; i++) {
    if (logits[i] < least || (logits[i] === least && count-- <= 0)) logits[i] = -Infinity;
  }
}

function argmax(values) {
  let best = 0;
  for (let i = 1; i < values.length; i++) if (values[i] > values[best]) best = i;
  return best;
}

function softmax(logits) {
  const largest = logits[argmax(logits)], found = new Float32Array(logits.length);
  let total = 0;
  for (let i = 0; i < logits.length; i++) total += found[i] = Math.exp(logits[i] - largest);
  for (let i = 0; i < logits.length; i++) found[i] /= total;
  return found;
}

/** The probabilities with which the next token is drawn. */
function distribution(logits, context, sampling) {
  logits = logits.slice();
  repetitionPenalty(logits, context, sampling.repetition_penalty);
  temperature(logits, sampling.temperature);
  if (sampling.temperature > 0) {
    topK(logits, sampling.top_k);
    topP(logits, sampling.top_p);
    minP(logits, sampling.min_p);
  }
  return softmax(logits);
}

/** Draw a token; `random` gives numbers from 0 up to 1. */
function draw(probabilities, random) {
  let left = random(), last = 0;
  for (let i = 0; i < probabilities.length; i++) {
    if (probabilities[i] === 0) continue;
    last = i;
    left -= probabilities[i];
    if (left < 0) return i;
  }
  return last; // the rounded probabilities may sum to a little less than 1
}

/** A random generator: the same numbers for the same seed ("mulberry32"). */
function randomNumbers(seed) {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let bits = Math.imul(state ^ (state >>> 15), 1 | state);
    bits = (bits + Math.imul(bits ^ (bits >>> 7), 61 | bits)) ^ bits;
    return ((bits ^ (bits >>> 14)) >>> 0) / 4294967296;
  };
}

/** The first tokens that might follow, with both probabilities: those that can be drawn, then others by the model's. */
function candidates(logits, probabilities, count) {
  const model = softmax(logits), order = [];
  const score = (id) => (probabilities[id] > 0 ? probabilities[id] + 2 : model[id]);
  for (let id = 0; id < model.length; id++) {
    if (order.length === count && score(id) <= score(order[count - 1])) continue;
    let place = order.length;
    while (place > 0 && score(id) > score(order[place - 1])) place--;
    order.splice(place, 0, id);
    if (order.length > count) order.pop();
  }
  return order.map((id) => ({ id, model: model[id], sampling: probabilities[id] }));
}
