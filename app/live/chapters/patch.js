// The view of interventions that copies vectors from the run on one text into the run on another; as app/chapters/patched.py.
import { filled, formatted, quoted, runs, strip as trimmed } from "../format.js";
import { grid, mark, strip } from "../figures.js";
import { rows, transposed } from "../methods.js";
import { Refused, counterparts, fitting, makeSwap, positionOf, suggestedWord, wordAt } from "../swaps.js";
import { movesFigure } from "./cut.js";

const AT_ONCE = 12; // cells, before others are let in

export async function* explainPatch(context, at, typed, cell) {
  const { book, engine, reading, kept } = context;
  let swap, other;
  try {
    swap = await kept(`swap ${at} ${typed}`, () => makeSwap(book, engine, reading, at, typed));
    other = await kept(`other ${swap.text}`, () => engine.read(swap.text, { gradient: false }));
  } catch (problem) {
    if (!(problem instanceof Refused || problem.name === "TextError")) throw problem;
    yield unswapped(book, reading, problem instanceof Refused ? problem.message : filled(book.errors[problem.kind], problem));
    return;
  }
  if (other.tokens.length !== reading.tokens.length) {
    yield unequal(context, swap, other);
    return;
  }
  const caption = book.words.interventions["caption patch"];
  const chosen = readCell(cell, book.n_layer + 1, reading.tokens.length);
  for await (const { margins, done, goesOn } of grids(context, other)) {
    const moves = margins.map((row) => row.map((margin) => margin - other.margin));
    const best = transposed(moves).map((column) => column.reduce((most, move) => (Math.abs(move) > Math.abs(most) ? move : most), 0));
    yield {
      figure: figure(book, reading, other, moves, done, chosen),
      strip: swapStrip(book, reading, other, swap, best, caption),
      takeaway: said(book, reading, other, swap, margins, done, chosen, goesOn),
    };
  }
}

/** A cell as a press gives it ("layer-position"), if the grid has it. */
function readCell(raw, layers, positions) {
  const [layer, position] = String(raw).split("-");
  const cell = [positionOf(layer, layers), positionOf(position ?? "", positions)];
  return cell.includes(null) ? null : cell;
}

/** The margins after copying each cell, from the top down; kept, so that pressing a cell is quick. */
async function* grids({ book, engine, reading, kept, progress }, other) {
  const { limits, n_layer } = book;
  const n = reading.tokens.length;
  const finished = await kept(`patch ${other.text}`, () => ({}));
  if (finished.margins) {
    yield finished;
    return;
  }
  const margins = Array.from({ length: n_layer + 1 }, () => new Float32Array(n).fill(NaN));
  const began = performance.now();
  let shown = began;
  let done = 0;
  const first = reading.ids.findIndex((id, i) => id !== other.ids[i]); // before it both runs are the same
  for (let layer = n_layer; layer >= 0; layer--) {
    const row = new Float32Array(n).fill(other.margin);
    if (layer === n_layer) row[n - 1] = reading.margin;
    const positions = layer === n_layer || first < 0 ? [] : differing(reading.states, other.states, layer, first);
    for (let start = 0; start < positions.length; start += AT_ONCE) {
      const some = positions.slice(start, start + AT_ONCE);
      const found = await engine.patchRow(reading.text, other.text, { layer, positions: some });
      some.forEach((position, i) => { row[position] = found[i]; });
      await progress?.(done, n_layer + 1);
      const now = performance.now();
      if (now - began > 1000 * limits.most_seconds) {
        yield Object.assign(finished, { margins, done, goesOn: false });
        return;
      }
      if (now - shown > 1000 * limits.partial_seconds) {
        shown = now;
        yield { margins, done, goesOn: true };
      }
    }
    margins[layer] = row;
    done++;
  }
  yield Object.assign(finished, { margins, done, goesOn: false });
}

/** Positions from `first` on at which two residual streams [layer+1][pos][d] hold different vectors in this layer. */
function differing(a, b, layer, first) {
  const [, n, d] = a.shape;
  const positions = [];
  for (let position = first; position < n; position++) {
    const start = (layer * n + position) * d;
    if (a.subarray(start, start + d).some((value, i) => value !== b[start + i])) positions.push(position);
  }
  return positions;
}

function figure(book, reading, other, moves, done, chosen) {
  const [margin_a, margin_b] = [reading.margin, other.margin];
  const tokens = reading.tokens.map((a, i) => (a === other.tokens[i] ? a : `${trimmed(a)}→${trimmed(other.tokens[i])}`));
  const alt = filled(book.words.interventions["alt patch"], { margin_a, margin_b, done, rows: moves.length });
  const made = grid(book, "patch", moves, tokens, { alt, limit: Math.max(book.limits.pale, Math.abs(margin_a - margin_b)) });
  if (chosen) mark(book, made, chosen[1], chosen[0]);
  return made;
}

/** The second text's tokens by a row of moves; a press on one means the word that stands there in the first text. */
function swapStrip(book, reading, other, swap, row, caption) {
  const words = book.words.interventions;
  const keys = counterparts(reading, other).map((i) => (i === null ? swap.word.start : reading.words[wordAt(reading.words, i)].start));
  const scores = Array.from(row, (move) => (Number.isNaN(move) ? null : move));
  return strip(other.tokens, scores, {
    caption,
    scale: "signed",
    unit: ` ${words.unit}`,
    limit: scores.reduce((most, score) => Math.max(most, Math.abs(score)), book.limits.pale),
    marks: keys.flatMap((key, i) => (key === swap.word.start ? [i] : [])),
    keys,
  });
}

/** The text as it is, and why nothing is swapped in it. */
function unswapped(book, reading, problem) {
  const words = book.words.interventions;
  const { tokens } = reading;
  return {
    figure: grid(book, "lens", rows(reading.lens), tokens, { alt: words["alt unswapped"] }),
    strip: strip(tokens, tokens.map(() => null), {
      caption: words["caption unswapped"], scale: "plain", keys: tokens.map((_, i) => reading.words[wordAt(reading.words, i)].start),
    }),
    takeaway: runs(book.takeaways.interventions, ["takeaway unswapped"], { problem }),
  };
}

/** What the swap moves, and why nothing can be patched: the texts have not as many tokens. */
function unequal({ book, engine, reading }, swap, other) {
  const words = book.words.interventions;
  const moves = swapMoves(book, reading, other);
  const index = reading.words.indexOf(swap.word);
  const offers = fitting(engine, book, reading, index, [suggestedWord(book, engine, reading, index)]);
  const names = ["takeaway patch unequal", ...(offers.length ? ["takeaway patch offer"] : [])];
  return {
    figure: movesFigure(book, moves, other.tokens, filled(words["alt swap"], { change: moves.at(-1).at(-1) })),
    strip: swapStrip(book, reading, other, swap, moves.at(-1), words["caption swap"]),
    takeaway: runs(book.takeaways.interventions, names, { problem: pairProblem(book, reading, other), suggestion: offers.map((word) => quoted(word)).join("") }),
  };
}

/** Margin after minus margin before in every cell of the second text; NaN where it has no counterpart. */
function swapMoves(book, before, after) {
  const [old, found] = [rows(before.lens), counterparts(before, after)];
  return rows(after.lens).map((row, layer) => Float32Array.from(row, (value, i) => {
    const move = found[i] === null ? NaN : value - old[layer][found[i]];
    return Math.abs(move) < book.limits.rounding ? 0 : move;
  }));
}

function pairProblem(book, reading, other) {
  const [a, b] = [reading, other].map((read) => read.words.filter((word) => trimmed(word.text)));
  const size = (word) => word.stop - word.start;
  const place = a.length === b.length ? a.findIndex((word, i) => size(word) !== size(b[i])) : -1;
  const lengths = { n_a: reading.tokens.length, n_b: other.tokens.length };
  if (place < 0) return filled(book.errors.pair, lengths);
  const sizes = { old: a[place].text, new: b[place].text, a: size(a[place]), b: size(b[place]) };
  return filled(book.errors[sizes.a === 1 ? "pair word one" : "pair word"], { ...lengths, ...sizes });
}

function said(book, reading, other, swap, margins, done, chosen, goesOn) {
  const takeaways = book.takeaways.interventions;
  if (other.text === reading.text) return runs(takeaways, ["takeaway swap same"], { new: quoted(swap.new) });
  const [margin_a, margin_b] = [reading.margin, other.margin];
  const values = { old: quoted(swap.word.text), new: quoted(swap.new), margin_a, margin_b, done, rows: margins.length };
  const alike = Math.abs(margin_a - margin_b) < book.limits.alike;
  const sentences = [runs(takeaways, ["takeaway patch"], values)];
  if (goesOn || done < margins.length) sentences.push(runs(takeaways, [goesOn ? "takeaway patch progress" : "takeaway patch stopped"], values));
  else if (alike) sentences.push(runs(takeaways, ["takeaway patch alike"]));
  else sentences.push(travels(book, other, swap, margins, values));
  if (chosen && !Number.isNaN(margins[chosen[0]][chosen[1]])) sentences.push(cellSaid(book, reading, other, chosen, margins, alike));
  else if (!goesOn) sentences.push(runs(takeaways, ["takeaway patch press"]));
  return sentences.flatMap((sentence, i) => (i ? [[" ", false], ...sentence] : sentence));
}

/** From which column the verdict can be brought back, by layer. */
function travels(book, other, swap, margins, values) {
  const takeaways = book.takeaways.interventions;
  const share = (margin) => (margin - values.margin_b) / (values.margin_a - values.margin_b) + 0; // no −0
  const effects = margins.map((row) => Array.from(row, share));
  const last = other.tokens.length - 1;
  const { start, stop } = swap.word;
  if (start <= last && last < stop) return runs(takeaways, ["takeaway patch last"]);
  const layer = (number) => filled(book.words.interventions.layer, { layer: number });
  const half = (found) => (found < 0 ? effects.length : found); // layers from one end without a gap
  const fromWord = half(effects.findIndex((row) => Math.max(...row.slice(start, stop)) < 0.5));
  const fromLast = effects.length - half([...effects].reverse().findIndex((row) => row[last] < 0.5));
  const names = [fromWord ? "takeaway patch travels" : "takeaway patch no half"];
  const best = { share: -Infinity };
  effects.forEach((row, l) => row.forEach((effect, p) => {
    if (p >= stop && p < last && effect > best.share) Object.assign(best, { layer: l, position: p, share: effect });
  }));
  const between = best.share > -Infinity;
  if (between) names.push("takeaway patch between");
  return runs(takeaways, names, {
    ...values,
    word_layer: layer(fromWord - 1),
    last_layer: layer(fromLast),
    ...(between && { token: quoted(other.tokens[best.position]), layer: layer(best.layer), share: percent(best.share) }),
  });
}

/** The numbers of one cell. */
function cellSaid(book, reading, other, [layer, position], margins, alike) {
  const after = margins[layer][position];
  return runs(book.takeaways.interventions, [alike ? "takeaway patch cell" : "takeaway patch share"], {
    token: quoted(reading.tokens[position]),
    layer: filled(book.words.interventions.layer, { layer }),
    margin_b: other.margin,
    after,
    share: alike ? "" : percent((after - other.margin) / (reading.margin - other.margin)),
  });
}

const percent = (share) => formatted(share, ".0%").replace("-0%", "0%");
