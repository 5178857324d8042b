// What the library computes from one run of the model: rollout, trained lens, sums by word. Tests hold each to Python's.

/** Rows of a tensor [row column], without copying. */
export function rows(tensor) {
  const [count, size] = tensor.shape;
  return Array.from({ length: count }, (_, row) => tensor.subarray(row * size, (row + 1) * size));
}
export const transposed = (cells) => Array.from(cells[0], (_, column) => cells.map((row) => row[column]));
export const difference = (a, b) => a.map((row, i) => Float32Array.from(row, (value, j) => value - b[i][j]));
export const argmax = (values) => values.reduce((best, value, i) => (value > values[best] ? i : best), 0);
export const sizes = (values) => Array.from(values, Math.abs);
export const sum = (values) => values.reduce((total, value) => total + value, 0);

export function softmax(logits) {
  const most = Math.max(...logits);
  const parts = Array.from(logits, (logit) => Math.exp(logit - most));
  return parts.map((part) => part / sum(parts));
}

/** Positions at which the sign of the running verdict changes within the text. */
export function flips(margins, first) {
  const turns = [];
  for (let i = first + 1; i < margins.length; i++) if (margins[i] > 0 !== margins[i - 1] > 0) turns.push(i);
  return turns;
}

/** The layer from which on up a column of margins has the sign that it has at the top. */
export function settledLayer(column) {
  let layer = column.length - 1;
  while (layer > 0 && column[layer - 1] > 0 === column.at(-1) > 0) layer--;
  return layer;
}

/** Every cell read with the probe of its layer: margins for class 1 [layer+1][pos]. */
export function probeLens(states, { weights, bias }, epsilon) {
  const [layers, n, d] = states.shape;
  return Array.from({ length: layers }, (_, layer) => Float32Array.from({ length: n }, (_, position) => {
    const vector = states.subarray((layer * n + position) * d, (layer * n + position + 1) * d);
    const mean = sum(vector) / d;
    const spread = Math.sqrt(vector.reduce((total, value) => total + (value - mean) ** 2, 0) / d + epsilon);
    return vector.reduce((total, value, i) => total + ((value - mean) / spread) * weights[layer][i], bias[layer]);
  }));
}

/** Attention [layer][query][key], averaged over heads. */
export function headMean(attention) {
  const [layers, heads, n] = attention.shape;
  return Array.from({ length: layers }, (_, layer) => square(n, (query, key) => {
    let total = 0;
    for (let head = 0; head < heads; head++) total += attention[((layer * heads + head) * n + query) * n + key];
    return total / heads;
  }));
}

/** Attention rollout, and what the architecture gives by itself; as `attention_rollout`. */
export function rollout(attention, removeSink) {
  const n = attention.shape[2];
  const mean = headMean(attention);
  const even = square(n, (query, key) => (key <= query ? 1 / (query + 1) : 0));
  const seen = removeSink ? mean.map(withoutSink) : mean;
  const uniform = removeSink ? withoutSink(even) : even;
  return { ...rolled(seen, "weights", "flow"), ...rolled(mean.map(() => uniform), "nullWeights", "nullFlow") };
}

/** The way of relevance from the last position down [layer+1][pos]; `useful` [layer][query][key] as `gradient_weighted_rollout` makes it. */
export function gradientFlow(useful) {
  const [layers, n] = useful.shape;
  return flow(Array.from({ length: layers }, (_, layer) => square(n, (q, k) => (q === k ? 1 : 0) + useful[(layer * n + q) * n + k])));
}

/** Scores summed over the tokens of each word. */
export const byWord = (scores, words) => words.map(({ start, stop }) => sum(Array.from(scores.slice(start, stop))));

/** The lowest correlation between lists of scores; 0 where there is no variation. */
export function lowestAgreement(lists) {
  const centred = lists.map((list) => list.map((value) => value - sum(list) / list.length));
  const product = (a, b) => sum(a.map((value, i) => value * b[i]));
  const all = centred.flatMap((a) => centred.map((b) => product(a, b) / Math.sqrt(product(a, a) * product(b, b))));
  return Math.min(...all.map((r) => (Number.isFinite(r) ? Math.max(-1, Math.min(1, r)) : 0)));
}

function square(n, cell) {
  return Array.from({ length: n }, (_, row) => Float64Array.from({ length: n }, (_, column) => cell(row, column)));
}
function withoutSink(attention) {
  return attention.map((row, query) => {
    const kept = row.map((value, key) => (query > 0 && key === 0 ? 0 : value));
    const total = sum(kept);
    return total > 1e-6 ? kept.map((value) => value / total) : kept.map((_, key) => (key === query ? 1 : 0));
  });
}
/** The last position's row of weights, and its way down, with half of each position staying in place. */
function rolled(attention, weights, way) {
  const found = flow(attention.map((layer) => layer.map((row, q) => row.map((value, k) => (q === k ? 0.5 : 0) + value / 2))));
  return { [weights]: found[0], [way]: found };
}
function flow(layers) {
  const n = layers[0].length;
  const found = [Float64Array.from({ length: n }, (_, i) => (i === n - 1 ? 1 : 0))];
  for (const layer of [...layers].reverse()) {
    const above = found[0];
    const below = new Float64Array(n);
    for (let q = 0; q < n; q++) if (above[q]) for (let k = 0; k <= q; k++) below[k] += above[q] * layer[q][k];
    found.unshift(below);
  }
  return found;
}
