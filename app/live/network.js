// Runs of the graph on one stream of vectors, with attention cut or a state patched. graph.py says what goes in and comes out.

export const shaped = (numbers, shape) => Object.assign(numbers, { shape });
const SIDES = Float32Array.of(-1, 1); // of two classes the second is explained: the margin's sign is the verdict

export class Network {
  /** tensors: the model's, by name; card: see model.py. */
  static async load({ ort, graph, tensors, card }) {
    const session = await ort.InferenceSession.create(graph, {
      executionProviders: ["wasm"],
      externalData: [{ path: card.weights_file, data: joined(tensors, card.weight_names) }],
      logSeverityLevel: 3, // errors
    });
    return new Network(ort, session, tensors, card);
  }

  constructor(ort, session, tensors, card) {
    const { shape: [vocabulary, width], data } = tensors["transformer.wte.weight"];
    const head = tensors["score.weight"];
    Object.assign(this, { ort, session, width, vocabulary, tokenRows: data, n_layer: card.n_layer, target: 1 });
    this.positionRows = tensors["transformer.wpe.weight"].data;
    this.prompt = tensors.prompt_embeddings ?? { shape: [0, width], data: new Float32Array(0) };
    this.head = shaped(head.data, head.shape);
  }

  close() {
    return this.session.release();
  }

  /** Token embeddings [pos d_model]; ids beyond the vocabulary are a soft prompt's. */
  embeddings(ids) {
    const vectors = new Float32Array(ids.length * this.width);
    ids.forEach((id, place) => {
      const [rows, row] = id < this.vocabulary ? [this.tokenRows, id] : [this.prompt.data, id - this.vocabulary];
      vectors.set(rows.subarray(row * this.width, (row + 1) * this.width), place * this.width);
    });
    return vectors;
  }

  /** The mean of all token embeddings [d_model]. */
  meanEmbedding() {
    const sums = new Float64Array(this.width);
    this.tokenRows.forEach((value, i) => { sums[i % this.width] += value; });
    return Float32Array.from(sums, (sum) => sum / this.vocabulary);
  }

  /** The stream that the first block reads. */
  stream(ids) {
    return this.placed(this.embeddings(ids));
  }

  /** Token embeddings with those of their positions added. */
  placed(vectors) {
    return vectors.map((value, i) => value + this.positionRows[i]);
  }

  /** The margin alone. */
  async margin(stream, changes) {
    const top = `logits.${this.n_layer}`;
    const found = await this.#run(stream, changes, [top]);
    return marginsOf(found[top]).at(-1);
  }

  /** The margin, and its slope by the stream [pos d_model]. */
  async slope(stream) {
    const top = `logits.${this.n_layer}`;
    const found = await this.#run(stream, { gradient: true }, [top, "slope"]);
    return { margin: marginsOf(found[top]).at(-1), slope: found.slope.data };
  }

  /** The residual stream's states [layer+1 pos d_model]. */
  async states(ids) {
    const names = this.#names("state", 1);
    const found = await this.#run(this.stream(ids), {}, names);
    return stacked(names.map((name) => found[name]));
  }

  /** All that a reading holds beside its text. */
  async read(stream, changes) {
    const parts = { states: this.#names("state", 1), attention: this.#names("attention"), logits: this.#names("logits", 1) };
    if (changes.gradient) parts.useful = this.#names("useful");
    const found = await this.#run(stream, changes, [...Object.values(parts).flat(), "final"]);
    const [states, attention, logits, useful] = ["states", "attention", "logits", "useful"].map(
      (part) => parts[part] && stacked(parts[part].map((name) => found[name])),
    );
    const lens = shaped(marginsOf({ data: logits, dims: logits.shape }), logits.shape.slice(0, 2));
    const classes = logits.shape[2];
    return {
      states, attention, useful, lens,
      final: shaped(found.final.data, found.final.dims),
      logits: shaped(logits.slice(-classes), [classes]),
      prefix_margins: shaped(lens.slice(-lens.shape[1]), [lens.shape[1]]),
      margin: lens.at(-1),
    };
  }

  #names(part, more = 0) {
    return Array.from({ length: this.n_layer + more }, (_, layer) => `${part}.${layer}`);
  }

  /** changes: { gradient, cut: { positions, layers, route }, patch: { from, to, layer, position } }, each only if wanted. */
  #run(stream, { gradient = false, cut = null, patch = null }, outputs) {
    const n = stream.length / this.width;
    const tensor = (data, shape) => new this.ort.Tensor("float32", data, shape);
    const causal = tensor(allowed(n), [n, n]);
    const nothing = tensor(new Float32Array(stream.length), [n, this.width]);
    const feeds = { stream: tensor(stream, [n, this.width]), head: tensor(this.head, this.head.shape), sides: tensor(SIDES, [2]) };
    feeds.with_slopes = new this.ort.Tensor("bool", Uint8Array.of(gradient), []);
    for (const name of this.#names("mask")) feeds[name] = causal;
    for (const name of this.#names("delta", 1)) feeds[name] = nothing;
    if (cut) {
      const mask = tensor(allowed(n, cut.positions, cut.route), [n, n]);
      for (const layer of cut.layers ?? Array(this.n_layer).keys()) feeds[`mask.${layer}`] = mask;
    }
    if (patch) feeds[`delta.${patch.layer}`] = tensor(this.#delta(patch, stream.length), [n, this.width]);
    return this.session.run(feeds, outputs);
  }

  /** What has to be added to the stream of one run so that one of its states becomes the other run's. */
  #delta({ from, to, layer, position }, size) {
    const delta = new Float32Array(size);
    const start = position * this.width;
    for (let i = start; i < start + this.width; i++) delta[i] = from[layer * size + i] - to[layer * size + i];
    return delta;
  }
}

/** What is added to attention's scores [query key]: 0 where a query may read a key, −∞ elsewhere; as `allowed_attention`. */
function allowed(n, sources = [], route = "every") {
  const mask = new Float32Array(n * n);
  for (let query = 0; query < n; query++) {
    mask.fill(-Infinity, query * n + query + 1, (query + 1) * n);
    if (route === "direct" && query < n - 1) continue;
    for (const source of sources) if (source !== query) mask[query * n + source] = -Infinity;
  }
  return mask;
}

/** Margins of logits [… class]. */
function marginsOf({ data, dims }) {
  const classes = dims.at(-1);
  return Float32Array.from({ length: data.length / classes }, (_, i) => data[i * classes + 1] - data[i * classes]);
}

function stacked(tensors) {
  const { data: { length }, dims } = tensors[0];
  const all = new Float32Array(tensors.length * length);
  tensors.forEach(({ data }, i) => all.set(data, i * length));
  return shaped(all, [tensors.length, ...dims]);
}

/** The named tensors one behind the other, as the graph's file of weights has them. */
function joined(tensors, names) {
  const all = new Float32Array(names.reduce((size, name) => size + tensors[name].data.length, 0));
  let place = 0;
  for (const name of names) {
    all.set(tensors[name].data, place);
    place += tensors[name].data.length;
  }
  return new Uint8Array(all.buffer);
}
