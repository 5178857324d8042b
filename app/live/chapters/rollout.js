// How attention carries the past to the last position; as app/chapters/rollout.py.
import { filled, quoted, runs } from "../format.js";
import { grid, strip } from "../figures.js";
import { argmax, difference, gradientFlow, headMean, rollout, sum, transposed } from "../methods.js";

export async function* explain({ book, model, reading }, { view = "beyond", without_sink = false, head = 0 } = {}) {
  const rolled = rollout(reading.attention, without_sink);
  const relevance = gradientFlow(reading.useful);
  const words = book.words.rollout;
  const { cells, row = cells[0], scale, caption, unit, limit, per_cent } = picture(book, reading, rolled, relevance, view, head);
  const alt = filled(words.alt, { rows: cells.length, n: reading.tokens.length, unit });
  yield {
    figure: grid(book, `rollout ${view}`, cells, reading.tokens, { alt, limit }),
    strip: strip(reading.tokens, Array.from(row, (value) => value * (per_cent ? 100 : 1)), {
      caption, scale, unit: per_cent ? " %" : "", digits: per_cent ? 1 : 2,
    }),
    takeaway: [...said(book, reading, rolled, relevance), ...model.said.rollout],
  };
}

function picture(book, reading, rolled, relevance, view, head) {
  const words = book.words.rollout;
  if (view === "attention") {
    const cells = lastRows(reading.attention, head);
    const row = transposed(cells).map((column) => sum(column) / column.length);
    const caption = filled(words[head ? "caption attention head" : "caption attention"], { head });
    return { cells, row, scale: "attention", unit: words.attention, caption };
  }
  if (view === "gradient") {
    const caption = filled(words["caption gradient"], { target: book.labels[1] });
    return { cells: relevance, scale: "attention", unit: words.gradient, caption, limit: belowTop(relevance) };
  }
  if (view === "beyond") {
    const cells = difference(rolled.flow, rolled.nullFlow);
    return { cells, scale: "more-or-less", unit: words.beyond, caption: words["caption beyond"], per_cent: true };
  }
  const cells = view === "null" ? rolled.nullFlow : rolled.flow;
  return { cells, scale: "attention", unit: words.share, caption: words[`caption ${view}`], limit: belowTop(cells), per_cent: true };
}

/** Where the last token looks in each layer [layer][key], with one head (from 1) or on average (0). */
function lastRows(attention, head) {
  const [layers, heads, n] = attention.shape;
  if (!head) return headMean(attention).map((layer) => layer.at(-1));
  const start = (layer) => ((layer * heads + head - 1) * n + n - 1) * n;
  return Array.from({ length: layers }, (_, layer) => attention.subarray(start(layer), start(layer) + n));
}

const belowTop = (cells) => Math.max(...cells.slice(0, -1).map((row) => Math.max(...row))) || 1;

function said(book, reading, rolled, relevance) {
  const { tokens } = reading;
  const first = quoted(tokens[0]);
  if (tokens.length === 1) return runs(book.takeaways.rollout, ["takeaway one token"], { first });
  const beyond = Array.from(rolled.weights, (value, i) => value - rolled.nullWeights[i]);
  const [gained, lost] = [argmax(beyond), argmax(beyond.map((value) => -value))];
  const firsts = headMean(reading.attention).map((layer) => layer.at(-1)[0]);
  const [sink, even] = [sum(firsts) / firsts.length, 1 / tokens.length];
  const rest = sink > book.limits.sink * even ? "takeaway sink" : "takeaway no sink";
  return runs(book.takeaways.rollout, ["takeaway", rest, "takeaway gradient"], {
    first,
    raw_first: rolled.weights[0],
    null_first: rolled.nullWeights[0],
    gained: quoted(tokens[gained]),
    gain: 100 * beyond[gained],
    lost: quoted(tokens[lost]),
    loss: 100 * beyond[lost],
    sink,
    even,
    target: book.labels[1],
    useful: quoted(tokens[argmax(relevance[0].slice(0, -1))]),
  });
}
