// The head is one dot product with one vector; as app/chapters/predict.py.
import { filled, runs } from "../format.js";
import { strip, waterfall } from "../figures.js";
import { rows, sum } from "../methods.js";

export async function* explain({ book, reading }) {
  const words = book.words.predict;
  const margin = reading.logits[1] - reading.logits[0];
  const [against, speaking] = rows(reading.head);
  const products = Float32Array.from(reading.final, (value, d) => value * (speaking[d] - against[d]));
  const order = Array.from(products.keys()).sort((a, b) => Math.abs(products[b]) - Math.abs(products[a]));
  const shown = order.slice(0, book.limits.shown);
  const rest = order.slice(book.limits.shown);
  const names = shown.map((index) => filled(words.product, { index }));
  const values = shown.map((d) => products[d]);
  if (rest.length) {
    names.push(filled(words.rest, { count: rest.length }));
    values.push(sum(rest.map((d) => products[d])));
  }
  const d_model = products.length;
  const said = runs(book.takeaways.predict, ["takeaway", "takeaway spread"], {
    ...book.sides,
    d_model,
    up: sum(Array.from(products, (product) => Math.max(product, 0))),
    down: sum(Array.from(products, (product) => Math.min(product, 0))),
    margin,
    label: book.labels[margin > 0 ? 1 : 0],
    largest: values[0],
    half: forHalf(order.map((d) => Math.abs(products[d]))),
  });
  yield {
    figure: waterfall(book, names, values, filled(words.alt, { d_model, margin })),
    strip: strip(reading.tokens, [...reading.tokens.slice(1).map(() => null), margin], {
      caption: words.caption, scale: "signed", unit: ` ${words.unit}`, limit: 4,
    }),
    takeaway: said,
  };
}

/** How many of the largest make half of the sum of all. */
function forHalf(sizes) {
  const half = sum(sizes) / 2;
  let so_far = 0;
  return sizes.findIndex((size) => (so_far += size) >= half) + 1;
}
