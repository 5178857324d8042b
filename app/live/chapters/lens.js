// The verdict forms, along the text and up the layers; as app/chapters/lens.py.
import { filled, quoted, runs } from "../format.js";
import { grid, strip } from "../figures.js";
import { flips, probeLens, rows, settledLayer } from "../methods.js";

export async function* explain({ book, model, reading }, { view = "head" } = {}) {
  const words = book.words.lens;
  const { tokens } = reading;
  const margins = rows(reading.lens);
  const turns = flips(margins.at(-1), reading.n_virtual);
  const said = forms(book, reading, margins, turns);
  if (view === "probe" && !model.probes) said.push([" ", false], ...runs(book.takeaways.lens, ["takeaway no probes"]));
  const cells = view === "probe" && model.probes ? probeLens(reading.states, model.probes, model.epsilon) : margins;
  const target = book.labels[1];
  const alt = filled(words.alt, { target, rows: cells.length, n: tokens.length, margin: cells.at(-1).at(-1) });
  yield {
    figure: grid(book, "lens", cells, tokens, { alt }),
    strip: strip(tokens, Array.from(margins.at(-1)), { caption: words.caption, scale: "signed", unit: ` ${words.unit}`, marks: turns }),
    takeaway: [...said, ...model.said.lens],
  };
}

function forms(book, reading, margins, turns) {
  const column = margins.map((row) => row.at(-1));
  const settled = settledLayer(column);
  const margin = column.at(-1);
  const names = [turns.length ? "takeaway flips" : "takeaway no flip", ...(settled ? ["takeaway layers"] : [])];
  return runs(book.takeaways.lens, names, {
    flips: turns.length,
    token: turns.length ? quoted(reading.tokens[turns.at(-1)]) : "",
    margin,
    label: book.labels[margin > 0 ? 1 : 0],
    first: quoted(reading.tokens[reading.n_virtual]),
    bottom: column[0],
    settled,
  });
}
