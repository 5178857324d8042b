// The lesson without a page: a text comes in, values of the page's components go out. Runs in a worker, on the page's thread, or in node.
import { filled } from "./format.js";
import { unread, verdict } from "./verdict.js";
import * as attribution from "./chapters/attribution.js";
import * as interventions from "./chapters/interventions.js";
import * as lens from "./chapters/lens.js";
import * as predict from "./chapters/predict.js";
import * as rollout from "./chapters/rollout.js";

const CHAPTERS = { predict, lens, rollout, attribution, interventions };
const TEXTS_KEPT = 4; // a long one takes 30 MB

class Superseded extends Error {}

/** What was computed for a text is kept, so that a press or another view is quick; of many texts the last few. */
function memory() {
  const texts = new Map();
  return (model, text) => {
    const key = `${model} ${text}`;
    const kept = texts.get(key) ?? new Map();
    texts.delete(key);
    texts.set(key, kept);
    if (texts.size > TEXTS_KEPT) texts.delete(texts.keys().next().value);
    return async (name, make) => {
      if (!kept.has(name)) kept.set(name, await make());
      return kept.get(name);
    };
  };
}

/** The values of a chapter's components by their ids. */
export const valuesOf = (stem, explained) => Object.fromEntries(Object.entries(explained).map(([part, value]) => [`${stem}-${part}`, value]));

/** What a chapter says of a text, as it comes. */
export async function* explain({ book, engine, model, chapter, options, kept, progress }, text) {
  const gradient = chapter === "rollout"; // the others do without, for half the time
  const reading = await kept(gradient ? "reading with gradient" : "reading", () => engine.read(text, { gradient }));
  yield { verdict: verdict(book, reading) };
  const context = { book, model: book.models[model], engine, reading, kept };
  for await (const explained of CHAPTERS[chapter].explain(context, options, progress)) yield valuesOf(chapter, explained);
}

/**
 * Gives a function that answers messages { id, model, text, chapter, options } by `post`: { id, values }, { id, progress }, at the end { id, done } or { id, problem }.
 * One message at a time; those that were overtaken by a newer one are dropped. `open(model)` gives the engine, set to that model.
 */
export function serve({ book, open, post }) {
  const keptFor = memory();
  let newest = 0;
  let last = Promise.resolve();

  async function answer({ id, model, text, chapter, options }) {
    const letOthersIn = async () => {
      await new Promise((resolve) => { setTimeout(resolve); });
      if (id !== newest) throw new Superseded();
    };
    const progress = async (done, of) => {
      post({ id, progress: [done, of] });
      await letOthersIn();
    };
    try {
      await letOthersIn();
      const work = { book, engine: await open(model), model, chapter, options, kept: keptFor(model, text), progress };
      for await (const values of explain(work, text)) {
        post({ id, values });
        await letOthersIn();
      }
      post({ id, done: true });
    } catch (problem) {
      if (problem instanceof Superseded) return;
      if (problem.name === "TextError") post({ id, values: { verdict: unread(book, filled(book.errors[problem.kind], problem)) }, done: true });
      else post({ id, problem: problem.message });
    }
  }

  return (message) => {
    newest = message.id;
    last = last.then(() => answer(message));
    return last;
  };
}
