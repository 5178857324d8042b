// Figures and strips: the templates that Python made (see templates.py), with other numbers and tokens put in.
import { formatted, plain } from "./format.js";

const range = (n) => Array.from({ length: n }, (_, i) => i);

/** A figure as Python makes it for a text of n tokens. */
function ofLength(figure, { at, leaves }, n) {
  const made = structuredClone(figure);
  const next = at.findIndex((length) => length >= n);
  const [low, high] = at[next] === n ? [next, next] : [next - 1, next];
  for (const [path, values] of leaves) {
    const between = low === high || typeof values[low] !== "number" ? 0 : (n - at[low]) / (at[high] - at[low]);
    const node = path.slice(0, -1).reduce((inner, key) => inner[key], made);
    node[path.at(-1)] = between ? values[low] + between * (values[high] - values[low]) : values[low];
  }
  return made;
}

const largest = (rows) => rows.reduce((most, row) => row.reduce((m, v) => (Math.abs(v) > m ? Math.abs(v) : m), most), 0);

/** The grid of one number per cell [row][token]; NaN leaves a cell empty. */
export function grid(book, name, cells, tokens, { alt, limit }) {
  const made = ofLength(book.figures[name], book.figures.lengths.grid, tokens.length);
  const [heat] = made.data;
  const strongest = limit || largest(cells) || 1;
  const layers = made.layout.yaxis.ticktext;
  heat.z = cells.map((row) => Array.from(row, (value) => (Number.isNaN(value) ? null : value)));
  heat.x = range(tokens.length);
  heat.customdata = layers.map((layer) => tokens.map((token) => [plain(token, book.visible, 40), layer]));
  heat.zmin = heat.zmin === 0 ? 0 : -strongest;
  heat.zmax = strongest;
  const { above, formats } = book.figures.per_cent;
  if (formats.includes(heat.colorbar.tickformat)) heat.colorbar.tickformat = formats[strongest > above ? 1 : 0];
  onTokens(book, made, tokens, alt);
  return made;
}

/** One signed bar over each token or word. */
export function bars(book, scores, tokens, alt) {
  const made = ofLength(book.figures.bars, book.figures.lengths.bars, tokens.length);
  const [bar] = made.data;
  coloured(bar, scores);
  bar.x = range(tokens.length);
  bar.y = scores;
  bar.customdata = tokens.map((token) => plain(token, book.visible, 40));
  onTokens(book, made, tokens, alt);
  return made;
}

/** Summands laid end to end, then their sum. */
export function waterfall(book, names, values, alt) {
  const made = structuredClone(book.figures.products);
  const [bar] = made.data;
  const [total] = bar.customdata.slice(-1);
  let sum = 0;
  bar.base = [...values.map((value) => { const start = sum; sum += value; return start; }), 0];
  coloured(bar, [...values, sum]);
  bar.y = [...values, sum];
  bar.customdata = [...names.map((name) => plain(name, book.visible, 40)), total];
  made.layout.xaxis.ticktext = [...names.map((name) => plain(name, book.visible)), total];
  made.layout.meta.alt = alt;
  return made;
}

/** Outline the cell that the reader has chosen. */
export function mark(book, figure, x, y) {
  const shape = structuredClone(book.figures.mark);
  figure.layout.shapes.push({ ...shape, x0: shape.x0 + x, x1: shape.x1 + x, y0: shape.y0 + y, y1: shape.y1 + y });
}

/** Strike through the names under these columns. */
export function strikeOut(figure, columns) {
  const axis = figure.layout.xaxis;
  axis.ticktext = axis.ticktext.map((name, i) => (columns.includes(i) ? `<s>${name}</s>` : name));
}

function onTokens(book, figure, tokens, alt) {
  figure.layout.xaxis.tickvals = range(tokens.length);
  figure.layout.xaxis.ticktext = tokens.map((token) => plain(token, book.visible));
  figure.layout.meta.alt = alt;
}

/** The template's first bar goes up and its second one down. */
function coloured(bar, scores) {
  const [up, down] = bar.marker.color;
  bar.marker.color = scores.map((score) => (score >= 0 ? up : down));
}

/** What a token strip shows; see `strip_value` in token_strip.py. */
export function strip(texts, scores, { caption, scale, unit = "", marks = [], cut = [], keys = null, read = null, limit = 0, digits = 2 }) {
  const strongest = limit || scores.reduce((most, s) => (s === null ? most : Math.max(most, Math.abs(s))), 0) || 1;
  const specification = `${["signed", "more-or-less"].includes(scale) ? "+" : ""}.${digits}f`;
  const items = texts.map((text, i) => (scores[i] === null
    ? { text, share: 0, label: "" }
    : { text, share: Math.max(-1, Math.min(1, scores[i] / strongest)), label: formatted(scores[i], specification) + unit }));
  return { items, scale, caption, marks, cut, keys, read: read ?? [items.length - 1] };
}
