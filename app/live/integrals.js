// Integrated gradients: what gpt2cls_core/attribution.py does, with the same points and the same end.

const FLOAT32_LOST = 2 ** -20; // of the sizes of all scores, lost in their sum

/**
 * Scores [pos], in logits of margin, and how exact they are.
 *
 * quadrature: rules { points, weights }, each with twice the intervals of the one before; eos: id of the end-of-text token;
 * noise: logits of the delta that are too little to matter where the tolerance is `asked`.
 */
export async function integrated(network, ids, { quadrature, eos, noise, asked, baseline = "eos", tolerance = asked, progress }) {
  const end = network.embeddings(ids);
  const start = baselineOf(network, baseline, eos, end.length);
  const push = async (share) => {
    const { margin, slope } = await network.slope(network.placed(end.map((value, i) => start[i] + Math.fround(share) * (value - start[i]))));
    const pushes = new Float64Array(ids.length);
    slope.forEach((value, i) => { pushes[Math.floor(i / network.width)] += value * (end[i] - start[i]); });
    return { margin, pushes };
  };
  let found = [];
  let before = new Float64Array(ids.length);
  for (const [step, { points, weights }] of quadrature.entries()) {
    const old = found;
    found = [];
    for (const [i, point] of points.entries()) {
      found.push(step && i % 2 === 0 ? old[i / 2] : await push(point));
      await progress?.(found.length, points.length);
    }
    const scores = new Float64Array(ids.length);
    found.forEach(({ pushes }, i) => pushes.forEach((value, t) => { scores[t] += weights[i] * value; }));
    const [margin_input, margin_baseline] = [found.at(-1).margin, found[0].margin];
    if (![margin_input, margin_baseline].every(Number.isFinite)) throw new Error("The margin is not a number, so nothing can be attributed.");
    const change = margin_input - margin_baseline;
    const delta = sum(scores) - change;
    const lost = FLOAT32_LOST * sum(scores.map(Math.abs));
    const small = Math.max(lost, tolerance * Math.abs(change), noise * Math.min(1, tolerance / asked));
    const moved = sum(scores.map((value, t) => Math.abs(value - before[t])));
    if (Math.abs(delta) < small || moved < 2 * lost || step === quadrature.length - 1) {
      const numbers = Object.assign(Float32Array.from(scores), { shape: [ids.length] });
      return { scores: numbers, delta, n_steps: points.length, margin_input, margin_baseline };
    }
    before = scores;
  }
}

/** The start of the path [pos d_model]: every token replaced. */
function baselineOf(network, name, eos, length) {
  const rows = { eos: () => network.embeddings([eos]), mean: () => network.meanEmbedding(), zero: () => new Float32Array(network.width) };
  if (!(name in rows)) throw new Error(`There is no baseline ${name}.`);
  const row = rows[name]();
  return Float32Array.from({ length }, (_, i) => row[i % network.width]);
}

const sum = (numbers) => numbers.reduce((total, value) => total + value, 0);
