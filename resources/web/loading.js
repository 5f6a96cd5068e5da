// Loading: from the base64 in the elements of the page to a model.

"use strict";

const SLICE = 1 << 20; // characters of base64 that are decoded at once
const INCOMPLETE = "incomplete";

/** Let the browser draw and react. (setTimeout would wait for at least 4 ms.) */
const channel = new MessageChannel();
function pause() {
  return new Promise((resolve) => {
    channel.port1.onmessage = resolve;
    channel.port2.postMessage(null);
  });
}

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
async function loadModel({ settings, tensors: count }, report) {
  const elements = [...document.querySelectorAll("script[data-tensor]")];
  if (elements.length < count) throw new Error(INCOMPLETE);
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
    if (found.length !== (columns ? rows * columns + 4 * rows : 4 * rows)) throw new Error(INCOMPLETE);
    element.remove(); // its text takes memory
    const vector = () => new Float32Array(found.buffer);
    tensors.set(name, columns ? matrixOf(products, Number(rows), Number(columns), found) : vector());
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
