// The model in the reader's browser: what the lesson asks of the graph (see graph.py). No fetch and no page: bytes come in, numbers go
// out, as Float32Array in row-major order with a `shape`. Methods are named and defined as in gpt2cls_core.
import { integrated } from "./integrals.js";
import { Network, shaped } from "./network.js";
import { encoder } from "./tokens.js";
import { readTensors, withDelta } from "./weights.js";

/**
 * Makes `open(model)`, which resolves with an engine.
 *
 * ort: onnxruntime-web; wasm: its bytes (not needed in node); graph: the ONNX file; weights: a safetensors file; tokenizer: what
 * tokenizer.json holds; deltas: model → the safetensors file of what it changes of the weights; card: see `model.py`.
 */
export function opener({ ort, wasm, graph, weights, tokenizer, deltas = {}, card }) {
  ort.env.wasm.numThreads = 1; // more would need headers that no file has
  if (wasm) ort.env.wasm.wasmBinary = wasm;
  const encode = encoder(tokenizer);
  return async (model) => {
    if (!(model in card.models)) throw new Error(`There is no model ${model} here.`);
    const base = readTensors(weights);
    const tensors = deltas[model] ? withDelta(base, readTensors(deltas[model]), card.models[model].scale) : base;
    return new Engine(await Network.load({ ort, graph, tensors, card }), encode, card);
  };
}

class Engine {
  #pairs = {}; // states of the last two texts that were patched

  constructor(network, encode, card) {
    Object.assign(this, { network, encode, card });
    const { prompt, vocabulary } = network;
    this.limits = { context: card.context, nVirtual: prompt.shape[0], firstVirtual: vocabulary };
  }

  close() {
    return this.network.close();
  }

  /** As `Classifier.encode`: { text, ids, tokens, offsets, words, tokens_cut, n_virtual }. Throws a TextError. */
  tokenize(text) {
    return this.encode(text, this.limits);
  }

  /** As `trace`, with what lens and rollout need; without the gradient there is no `useful`, and it costs half. */
  read(text, { gradient = true } = {}) {
    return this.#reading(this.tokenize(text), { gradient });
  }

  /** As `integrated_gradients`. */
  integrate(text, options = {}) {
    return integrated(this.network, this.tokenize(text).ids, { ...this.card, ...options });
  }

  /** As `cut_attention`: attention to `positions` is forbidden in `layers` (blocks, from 0; all if none are given). */
  cut(text, { positions, layers = null, route = "every" }) {
    return this.#reading(this.tokenize(text), { cut: { positions, layers, route } });
  }

  /** As `cut_each`: margins after cutting each token alone [pos]; the last entry is the margin as it is. */
  cutEach(text, { layers = null, route = "every", progress } = {}) {
    const { ids } = this.tokenize(text);
    const changes = ids.map((_, i) => (i < ids.length - 1 ? { cut: { positions: [i], layers, route } } : {}));
    return this.#margins(ids, changes, progress);
  }

  /** As `patch_states`: one state of the run on `clean` is put into the run on `corrupted`, whose reading comes back. */
  async patch(clean, corrupted, { layer, position }) {
    const pair = await this.#pair(clean, corrupted);
    return this.#reading(pair.corrupted, { patch: { ...pair, layer, position } });
  }

  /** A part of a row of `patch_grid`: margins after patching each of the positions (all if none are given) of a layer alone. */
  async patchRow(clean, corrupted, { layer, positions = null, progress }) {
    const pair = await this.#pair(clean, corrupted);
    const asked = positions ?? Array.from(pair.corrupted.ids.keys());
    return this.#margins(pair.corrupted.ids, asked.map((position) => ({ patch: { ...pair, layer, position } })), progress);
  }

  async #pair(clean, corrupted) {
    const key = JSON.stringify([clean, corrupted]);
    if (this.#pairs.key !== key) {
      const [a, b] = [this.tokenize(clean), this.tokenize(corrupted)];
      if (a.ids.length !== b.ids.length) throw new Error("Patching needs two texts with as many tokens.");
      const [from, to] = [await this.network.states(a.ids), await this.network.states(b.ids)];
      this.#pairs = { key, corrupted: b, from, to };
    }
    return this.#pairs;
  }

  async #margins(ids, changes, progress) {
    const margins = shaped(new Float32Array(changes.length), [changes.length]);
    for (const [i, change] of changes.entries()) {
      margins[i] = await this.network.margin(this.network.stream(ids), change);
      await progress?.(i + 1, changes.length);
    }
    return margins;
  }

  async #reading(encoding, changes) {
    const found = await this.network.read(this.network.stream(encoding.ids), changes);
    return { ...encoding, ...found, head: this.network.head, target: this.network.target };
  }
}
