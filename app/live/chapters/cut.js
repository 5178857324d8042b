// The view of interventions that cuts attention to tokens; as app/chapters/removed.py.
import { filled, quoted, runs } from "../format.js";
import { grid, strikeOut, strip } from "../figures.js";
import { argmax, difference, rows, sizes, sum } from "../methods.js";

export async function* explainCut(context, positions, route, layers) {
  const { book, engine, reading, kept, progress } = context;
  const { tokens, text } = reading;
  const effect = positions.length ? await engine.cut(text, { positions, layers, route }) : null;
  const figure = effect ? moved(book, reading, effect, positions) : uncut(book, reading);
  const said = effect ? cutSaid(context, effect, positions, route, layers) : uncutSaid(book, reading);
  if (tokens.length > 1) yield { figure, strip: cutStrip(book, reading, null, positions), takeaway: said };
  const alone = await kept(`cut ${route} ${layers}`, async () => {
    const margins = await engine.cutEach(text, { layers, route, progress });
    return Array.from(margins, (margin) => margin - reading.margin);
  });
  const takeaway = [...said, ...aloneSaid(book, reading, alone, effect, positions)];
  yield { figure, strip: cutStrip(book, reading, alone, positions), takeaway };
}

function moved(book, reading, effect, positions) {
  const cells = difference(rows(effect.lens), rows(reading.lens));
  const alt = filled(book.words.interventions["alt cut"], { change: effect.margin - reading.margin });
  const figure = movesFigure(book, cells, reading.tokens, alt);
  strikeOut(figure, positions);
  return figure;
}

/** The grid of changes of the margin. */
export function movesFigure(book, cells, tokens, alt) {
  const largest = Math.max(...cells.map((row) => row.reduce((most, value) => Math.max(most, Math.abs(value) || 0), 0)));
  return grid(book, "moves", cells, tokens, { alt, limit: Math.max(book.limits.pale, largest) });
}

function uncut(book, reading) {
  return grid(book, "lens", rows(reading.lens), reading.tokens, { alt: book.words.interventions["alt uncut"] });
}

function cutStrip(book, reading, alone, positions) {
  const words = book.words.interventions;
  const n = reading.tokens.length;
  const moves = reading.tokens.map((_, i) => (alone && i < n - 1 ? alone[i] : null));
  return strip(reading.tokens, moves, {
    caption: words[n > 1 ? "caption cut" : "caption one token"],
    scale: "signed",
    unit: ` ${words.unit}`,
    limit: Math.max(book.limits.pale, ...sizes(moves)),
    cut: positions,
    keys: [...reading.tokens.keys()],
  });
}

function uncutSaid(book, { tokens, margin, logits }) {
  const takeaways = book.takeaways.interventions;
  if (tokens.length === 1) return runs(takeaways, ["takeaway one token"], { token: quoted(tokens[0]) });
  return runs(takeaways, ["takeaway uncut"], { label: book.labels[argmax(logits)], margin });
}

function cutSaid({ book, model, reading }, effect, positions, route, layers) {
  const { words: { interventions: words }, limits, labels } = book;
  const { tokens, margin } = reading;
  const [label, label_after] = [reading, effect].map(({ logits }) => labels[argmax(logits)]);
  const everything = positions.length === tokens.length - 1;
  const names = [label !== label_after ? "takeaway cut flips" : "takeaway cut stays"];
  if (Math.abs(effect.margin - margin) < limits.little * Math.abs(margin) && label === label_after) names.push("takeaway cut little");
  if (everything && layers.length === book.n_layer) names.push("takeaway alone", ...(model.measured.texts ? ["takeaway alone measured"] : []));
  let cut = filled(words[everything ? "cut all" : "cut many"], { count: positions.length });
  if (positions.length <= limits.quoted) cut = positions.map((i) => quoted(tokens[i])).join(` ${words.and} `);
  return runs(book.takeaways.interventions, [...names, "takeaway renormalised"], {
    label,
    label_after,
    margin,
    after: effect.margin,
    cut,
    reader: reader(book, route, layers),
    last: quoted(tokens.at(-1)),
    n: tokens.length,
    ...model.measured,
  });
}

/** Who can't read what is cut, and where. */
function reader(book, route, layers) {
  const words = book.words.interventions;
  const who = words[`reader ${route}`];
  if (layers.length === book.n_layer) return who;
  return filled(words[layers.length === 1 ? "within one" : "within"], { reader: who, first: layers[0] + 1, last: layers.at(-1) + 1 });
}

/** What is known of cutting tokens one at a time, beside the verdict. */
function aloneSaid(book, { tokens, margin }, alone, effect, positions) {
  if (tokens.length === 1 || positions.length === 1) return [];
  const takeaways = book.takeaways.interventions;
  if (effect) {
    const total = sum(positions.map((i) => alone[i]));
    return [[" ", false], ...runs(takeaways, ["takeaway sum"], { total, move: effect.margin - margin })];
  }
  const top = argmax(sizes(alone.slice(0, -1)));
  const little = Math.abs(alone[top]) < book.limits.little * Math.abs(margin);
  return [[" ", false], ...runs(takeaways, [little ? "takeaway most little" : "takeaway most"], { top: quoted(tokens[top]), move: alone[top] })];
}
