// Cause, not correlation: cut and patch; as app/chapters/interventions.py.
import { positionOf } from "../swaps.js";
import { explainCut } from "./cut.js";
import { explainPatch } from "./patch.js";

export async function* explain(context, { view = "cut", cut = "", route = "every", low = 1, high = 0, at = "", new: typed = "", cell = "" } = {}, progress) {
  const { book, reading } = context;
  if (view === "patch") {
    yield* explainPatch({ ...context, progress }, at, typed, cell);
    return;
  }
  const inRange = (layer) => Math.min(Math.max(layer || book.n_layer, 1), book.n_layer);
  const [first, last] = [inRange(low), inRange(high)].sort((a, b) => a - b);
  const layers = Array.from({ length: last - first + 1 }, (_, i) => first - 1 + i);
  yield* explainCut({ ...context, progress }, cutPositions(book, cut, reading.tokens.length), route, layers);
}

/** The tokens that are cut; after "all" those that are named are left. Never the last, which nothing comes after. */
function cutPositions(book, raw, n) {
  const named = raw.split(",").map((piece) => positionOf(piece, n - 1));
  const all = raw.startsWith(book.limits.all);
  return Array.from({ length: n - 1 }, (_, i) => i).filter((i) => named.includes(i) !== all);
}

function toggled(book, raw, position) {
  const pieces = new Set(raw.split(",").filter(Boolean));
  if (!pieces.delete(String(position))) pieces.add(String(position));
  const numbers = [...pieces].filter((piece) => /^\d+$/.test(piece)).sort((a, b) => a - b);
  return [...(pieces.has(book.limits.all) ? [book.limits.all] : []), ...numbers].join(",");
}

/** What a press on a token of the strip sets. */
export function pressToken(book, options, { key, back }) {
  if (key === null) return {};
  if (options.view === "cut") return back ? { cut: toggled(book, options.cut, key) } : {};
  return { at: options.at === String(key) ? "" : String(key) };
}

/** What a press on a cell of the figure sets. */
export function pressCell(book, options, { x, y }) {
  if (options.view === "cut") return { cut: toggled(book, options.cut, x) };
  const cell = `${y}-${x}`;
  return { cell: options.cell === cell ? "" : cell };
}
