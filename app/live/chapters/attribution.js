// Which tokens decided: integrated gradients; as app/chapters/attribution.py.
import { filled, quoted, runs } from "../format.js";
import { bars, strip } from "../figures.js";
import { argmax, byWord, lowestAgreement, sizes, sum } from "../methods.js";

export async function* explain({ book, model, engine, reading, kept }, { baseline = "eos", unit = "words" } = {}, progress) {
  const integrated = (name) => kept(`integrate ${name}`, () => engine.integrate(reading.text, { baseline: name, progress }));
  const chosen = await integrated(baseline);
  const shown = picture(book, reading, chosen, unit);
  const takeaway = said(book, reading, chosen);
  yield { ...shown, takeaway };
  const all = [chosen];
  for (const name of book.limits.baselines) if (name !== baseline) all.push(await integrated(name));
  yield { ...shown, takeaway: [...takeaway, [" ", false], ...comparison(book, reading, all), ...model.said.attribution] };
}

function picture(book, reading, { scores }, unit) {
  const words = book.words.attribution;
  const texts = unit === "words" ? reading.words.map((word) => word.text) : reading.tokens;
  const shown = unit === "words" ? byWord(scores, reading.words) : Array.from(scores);
  const target = book.labels[1];
  return {
    figure: bars(book, shown, texts, filled(words[`alt ${unit}`], { count: texts.length })),
    strip: strip(texts, shown, { caption: filled(words[`caption ${unit}`], { target }), scale: "signed", unit: ` ${words.unit}` }),
  };
}

function said(book, reading, { scores, delta, n_steps, margin_input, margin_baseline }) {
  const { naught, tolerance, noise } = book.limits;
  const change = Math.abs(margin_input - margin_baseline);
  const relative = change ? Math.abs(delta) / change : Infinity;
  const converged = relative < tolerance || Math.abs(delta) < noise;
  const words = byWord(scores, reading.words);
  const top = argmax(sizes(words));
  return runs(book.takeaways.attribution, ["takeaway", ...(converged ? [] : ["takeaway not converged"])], {
    ...book.sides,
    top: quoted(reading.words[top].text),
    top_score: words[top],
    total: sum(Array.from(scores)),
    margin_baseline,
    margin_input,
    delta: filled(book.words.attribution[Math.abs(delta) >= naught ? "delta" : "delta small"], { delta }),
    relative,
    n_steps,
  });
}

function comparison(book, reading, all) {
  const words = book.takeaways.attribution;
  if (reading.words.length < 2) return runs(words, ["takeaway one word"]);
  const lowest = lowestAgreement(all.map(({ scores }) => byWord(scores, reading.words)));
  return runs(words, [lowest >= book.limits.agree ? "takeaway agree" : "takeaway disagree"], { lowest });
}
