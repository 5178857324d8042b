// The verdict's words, as header.py makes them.
import { filled } from "./format.js";
import { softmax } from "./methods.js";

/** What the verdict shows of a text that was read. */
export function verdict(book, reading) {
  const { labels, verdict: words, sides } = book;
  const probability = softmax(reading.logits)[1];
  const margin = reading.logits[1] - reading.logits[0];
  const n = reading.tokens.length - reading.n_virtual;
  const count = filled(words[n > 1 ? "count" : "count one"], { n });
  return {
    label: labels[margin > 0 ? 1 : 0],
    sign: margin > 0 ? "positive" : "negative",
    place: probability,
    facts: filled(words.margin, { margin, label: labels[1], probability }),
    count: reading.n_virtual ? filled(words.virtual, { count, n_virtual: reading.n_virtual }) : count,
    notice: reading.tokens_cut ? filled(words.cut, { n, cut: reading.tokens_cut }) : "",
    stale: false,
    sides,
  };
}

/** What it shows of one that could not be read. */
export function unread(book, notice) {
  return { label: book.verdict.nothing, sign: "", place: null, facts: "", count: "", notice, stale: true };
}
