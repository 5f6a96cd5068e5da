// The model: token ids in, logits out. One token at a time, with a cache of the keys and values of those before it.
//
//     id -> embedding -> block x n_layers -> norm -> head -> logits, one for each token of the vocabulary
//
// Names and formulas are those of a Transformer in PyTorch; a vector is a Float32Array.

"use strict";

const EPS = 1e-5; // under the square root of a norm, against a division by zero

/** The memory of the model, and the product of a matrix and a vector in WebAssembly, or in JavaScript without it. */
class Products {
  /** @param bytes how much memory the model needs  @param wasm the code in products.wat, or null */
  constructor(bytes, wasm) {
    this.end = 0;
    this.multiply = wasm && this.webAssembly(wasm, bytes);
    this.simd = this.multiply !== null;
    if (!this.simd) {
      this.buffer = new ArrayBuffer(bytes);
      this.multiply = (...parts) => this.multiplyInJavaScript(...parts);
    }
    this.weights = new Int8Array(this.buffer);
    this.numbers = new Float32Array(this.buffer);
  }

  /** The compiled product; null where the browser can't do it. */
  webAssembly(wasm, bytes) {
    try {
      const memory = new WebAssembly.Memory({ initial: Math.ceil(bytes / 65536) });
      const instance = new WebAssembly.Instance(new WebAssembly.Module(wasm), { page: { memory } });
      this.buffer = memory.buffer;
      return instance.exports.multiply;
    } catch {
      return null;
    }
  }

  /** The same as products.wat. Addresses are in bytes; a row is `width` weights long. */
  multiplyInJavaScript(weights, scales, x, y, rows, width) {
    const w = this.weights, n = this.numbers;
    scales /= 4, x /= 4, y /= 4;
    for (let row = 0; row < rows; row++) {
      let a = 0, b = 0, c = 0, d = 0;
      for (let i = 0; i < width; i += 4) {
        const at = weights + i;
        a += w[at] * n[x + i];
        b += w[at + 1] * n[x + i + 1];
        c += w[at + 2] * n[x + i + 2];
        d += w[at + 3] * n[x + i + 3];
      }
      n[y + row] = n[scales + row] * (a + b + c + d);
      weights += width;
    }
  }

  /** The address of `bytes` of memory that nothing else uses, zeros as yet. */
  take(bytes) {
    const address = this.end;
    this.end += Math.ceil(bytes / 16) * 16;
    return address;
  }

  /** A vector in this memory, which `multiply` reads and writes. The zeros after it fill the last register. */
  vector(length) {
    return new Float32Array(this.buffer, this.take(4 * padded(length)), length);
  }

  /** How much memory a matrix needs. */
  static bytes(rows, columns) {
    return rows * padded(columns) + 4 * padded(rows);
  }
}

/** The length of a row in memory: a multiple of the 16 weights that are read at once. */
function padded(columns) {
  return Math.ceil(columns / 16) * 16;
}

/** Weights in int8 with one scale a row. */
class Matrix {
  constructor(products, rows, columns) {
    this.products = products;
    this.rows = rows;
    this.columns = columns;
    this.width = padded(columns);
    this.weights = products.take(rows * this.width);
    this.scales = products.vector(rows);
  }

  /** y = W x, for vectors of `products` */
  multiply(x, y) {
    this.products.multiply(this.weights, this.scales.byteOffset, x.byteOffset, y.byteOffset, this.rows, this.width);
  }

  /** Add a row to `x`, or write it there. */
  row(index, x, add) {
    const from = this.weights + index * this.width, scale = this.scales[index], weights = this.products.weights;
    for (let i = 0; i < this.columns; i++) {
      x[i] = (add ? x[i] : 0) + scale * weights[from + i];
    }
  }
}

/** y = W x + b */
class Linear {
  constructor(tensors, name) {
    this.matrix = tensors.get(`${name}.weight`);
    this.bias = tensors.get(`${name}.bias`);
  }

  apply(x, y) {
    this.matrix.multiply(x, y);
    if (this.bias) {
      for (let i = 0; i < this.matrix.rows; i++) y[i] += this.bias[i];
    }
  }
}

/** RMSNorm or LayerNorm, over the `count` numbers of x from `from` on. */
class Norm {
  constructor(tensors, name, centered) {
    this.weight = tensors.get(`${name}.weight`);
    this.bias = tensors.get(`${name}.bias`);
    this.centered = centered;
  }

  apply(x, y, from = 0) {
    const count = this.weight.length;
    let mean = 0, squares = 0;
    if (this.centered) {
      for (let i = 0; i < count; i++) mean += x[from + i];
      mean /= count;
    }
    for (let i = 0; i < count; i++) squares += (x[from + i] - mean) ** 2;
    const scale = 1 / Math.sqrt(squares / count + EPS);
    for (let i = 0; i < count; i++) {
      y[from + i] = this.weight[i] * (x[from + i] - mean) * scale + (this.bias ? this.bias[i] : 0);
    }
  }
}

/** Rotary positions: the pair (j, j + K/2) of a head turns by an angle that grows with the position. */
class Rotation {
  constructor(settings) {
    this.half = settings.head_width / 2;
    this.speeds = Float32Array.from({ length: this.half }, (_, j) => settings.rope_theta ** (-j / this.half));
    this.cos = new Float32Array(this.half);
    this.sin = new Float32Array(this.half);
  }

  turnTo(position) {
    for (let j = 0; j < this.half; j++) {
      const angle = Math.fround(position * this.speeds[j]);
      this.cos[j] = Math.cos(angle);
      this.sin[j] = Math.sin(angle);
    }
  }

  apply(x, from) {
    for (let j = 0; j < this.half; j++) {
      const a = x[from + j], b = x[from + this.half + j];
      x[from + j] = a * this.cos[j] - b * this.sin[j];
      x[from + this.half + j] = b * this.cos[j] + a * this.sin[j];
    }
  }
}

/** softmax(q k^T / sqrt(K)) v, for one new token: its query with the keys and values of all tokens so far. */
class Attention {
  constructor(settings, tensors, name, products) {
    this.settings = settings;
    this.qkv = new Linear(tensors, `${name}.qkv`);
    this.output = new Linear(tensors, `${name}.output`);
    this.queryNorm = settings.qk_norm ? new Norm(tensors, `${name}.query_norm`, false) : null;
    this.keyNorm = settings.qk_norm ? new Norm(tensors, `${name}.key_norm`, false) : null;
    const width = settings.kv_heads * settings.head_width;
    this.keys = new Float32Array(settings.max_seq_len * width);
    this.values = new Float32Array(settings.max_seq_len * width);
    this.made = products.vector((settings.n_heads + 2 * settings.kv_heads) * settings.head_width);
    this.gathered = products.vector(settings.d_model);
    this.scores = new Float32Array(settings.max_seq_len);
  }

  apply(x, y, position, rotation) {
    const { n_heads: heads, kv_heads: kvHeads, head_width: width } = this.settings;
    const made = this.made; // queries of all heads, then keys, then values
    this.qkv.apply(x, made);
    for (let head = 0; head < heads + kvHeads; head++) {
      const norm = head < heads ? this.queryNorm : this.keyNorm;
      if (norm) norm.apply(made, made, head * width);
      if (rotation) rotation.apply(made, head * width);
    }
    const keys = heads * width, values = keys + kvHeads * width;
    this.keys.set(made.subarray(keys, values), position * kvHeads * width);
    this.values.set(made.subarray(values), position * kvHeads * width);
    for (let head = 0; head < heads; head++) this.gather(head, position);
    this.output.apply(this.gathered, y);
  }

  /** What one head gathers from the tokens at 0 to `position`. Several heads may share keys and values. */
  gather(head, position) {
    const { n_heads: heads, kv_heads: kvHeads, head_width: width } = this.settings;
    const shared = Math.floor(head / (heads / kvHeads)) * width, step = kvHeads * width;
    const { keys, values, scores, made, gathered } = this;
    const query = head * width, scale = 1 / Math.sqrt(width);
    let largest = -Infinity, total = 0;
    for (let t = 0, at = shared; t <= position; t++, at += step) {
      let score = 0;
      for (let i = 0; i < width; i++) score += made[query + i] * keys[at + i];
      scores[t] = score * scale;
      if (scores[t] > largest) largest = scores[t];
    }
    for (let t = 0; t <= position; t++) total += scores[t] = Math.exp(scores[t] - largest);
    gathered.fill(0, query, query + width);
    for (let t = 0, at = shared; t <= position; t++, at += step) {
      const weight = scores[t] / total;
      for (let i = 0; i < width; i++) gathered[query + i] += weight * values[at + i];
    }
  }
}

/** The network that works on each token alone. */
class FeedForward {
  constructor(settings, tensors, name, products) {
    this.activation = settings.activation;
    this.width = settings.d_ff;
    const gated = this.activation === "swiglu";
    this.up = new Linear(tensors, `${name}.${gated ? "gate_up" : "up"}`);
    this.down = new Linear(tensors, `${name}.down`);
    this.features = products.vector(gated ? 2 * this.width : this.width);
    this.active = products.vector(this.width);
  }

  apply(x, y) {
    const { features, active, width } = this;
    this.up.apply(x, features);
    for (let i = 0; i < width; i++) {
      const z = features[i];
      if (this.activation === "swiglu") {
        active[i] = (z / (1 + Math.exp(-z))) * features[width + i];
      } else if (this.activation === "gelu") {
        active[i] = 0.5 * z * (1 + Math.tanh(Math.sqrt(2 / Math.PI) * (z + 0.044715 * z ** 3)));
      } else {
        active[i] = Math.max(0, z) ** 2; // relu2
      }
    }
    this.down.apply(active, y);
  }
}

/** x = x + attention(norm(x)), then x = x + feedForward(norm(x)) */
class Block {
  constructor(settings, tensors, name, products) {
    const centered = settings.norm === "layernorm";
    this.attentionNorm = new Norm(tensors, `${name}.attention_norm`, centered);
    this.attention = new Attention(settings, tensors, `${name}.attention`, products);
    this.feedForwardNorm = new Norm(tensors, `${name}.feed_forward_norm`, centered);
    this.feedForward = new FeedForward(settings, tensors, `${name}.feed_forward`, products);
    this.normed = products.vector(settings.d_model);
    this.change = products.vector(settings.d_model);
  }

  apply(x, position, rotation) {
    this.attentionNorm.apply(x, this.normed);
    this.attention.apply(this.normed, this.change, position, rotation);
    for (let i = 0; i < x.length; i++) x[i] += this.change[i];
    this.feedForwardNorm.apply(x, this.normed);
    this.feedForward.apply(this.normed, this.change);
    for (let i = 0; i < x.length; i++) x[i] += this.change[i];
  }
}

/** The whole model, and `context`: the ids of the tokens that it has read, whose keys and values are in the cache. */
class Transformer {
  /** @param tensors by name: a Matrix, or a vector  @param products the memory that they are in */
  constructor(settings, tensors, products) {
    this.settings = settings;
    this.embedding = tensors.get("embeddings.token.weight");
    this.positions = tensors.get("embeddings.position.weight");
    this.rotation = settings.positions === "rope" ? new Rotation(settings) : null;
    this.blocks = Array.from({ length: settings.n_layers }, (_, layer) =>
      new Block(settings, tensors, `blocks.${layer}`, products));
    this.norm = new Norm(tensors, "final_norm", settings.norm === "layernorm");
    this.head = tensors.get("head.weight") || this.embedding; // tied: the table of embeddings predicts, too
    this.x = products.vector(settings.d_model);
    this.hidden = products.vector(settings.d_model);
    this.logits = products.vector(settings.vocab_size);
    this.context = [];
  }

  /** How much memory a model needs beside its weights, in bytes: its vectors. */
  static bytes(settings) {
    const { d_model: d, d_ff: m, n_layers: layers, vocab_size: v } = settings;
    return 4 * (layers * (6 * d + 3 * m + 9 * 32) + 2 * d + v + 256);
  }

  /** Read one token. The logits of the next one are computed only if `wanted`: half of a small model's work. */
  read(id, wanted) {
    const position = this.context.length, x = this.x;
    this.embedding.row(id, x, false);
    if (this.positions) this.positions.row(position, x, true);
    if (this.settings.positions === "sinusoidal") this.addWaves(x, position);
    if (this.rotation) this.rotation.turnTo(position);
    for (const block of this.blocks) block.apply(x, position, this.rotation);
    this.context.push(id);
    if (!wanted) return null;
    this.norm.apply(x, this.hidden);
    this.head.multiply(this.hidden, this.logits);
    return this.logits;
  }

  /** Positions as waves: sines in the even columns, cosines in the odd ones, from fast to slow. */
  addWaves(x, position) {
    const root = Math.sqrt(x.length);
    for (let i = 0; i < x.length; i++) {
      const angle = Math.fround(position * Math.fround(10000 ** (-(i - (i % 2)) / x.length)));
      x[i] = x[i] * root + (i % 2 ? Math.cos(angle) : Math.sin(angle));
    }
  }

  /** What is still to be read of `ids`, or of the end of them that fits in the context, as what it begins with may be
   *  known from the last time. */
  begin(ids) {
    ids = ids.slice(-this.settings.max_seq_len);
    let known = 0;
    while (known < ids.length - 1 && ids[known] === this.context[known]) known++;
    this.context.length = known;
    return ids.slice(known);
  }

  /** What is to be read so that the model has read one token more. When the context is full, its last half is read
   *  again as a new one: what came before is forgotten. */
  next(id) {
    const length = this.settings.max_seq_len;
    if (this.context.length < length) return [id];
    const everything = [...this.context, id];
    this.context = [];
    return everything.slice(-Math.max(Math.floor(length / 2), 1));
  }
}
