// Where the model runs: a worker, so that the page never freezes; or the page's own thread, where a worker is forbidden.
import * as ort from "onnxruntime-web/wasm";
import { opener } from "./engine.js";
import { serve } from "./lesson.js";
import { merged, unpacked } from "./unpack.js";

/**
 * Gives what takes, in this order, { part, packed } of every file, { model } to open first, { book }, and then messages for the lesson;
 * answers go to `post`.
 */
function begin(post) {
  const parts = {};
  let open = null;
  let handle = null;
  return async (data) => {
    if (data.part) parts[data.part] = unpacked(data.packed);
    else if (data.book) handle = serve({ book: data.book, open: (model) => open(model), post });
    else if ("id" in data) handle(data);
    else {
      open = one(assembled(parts));
      await open(data.model).catch(() => {}); // whoever asks for it next is told
    }
  };
}

async function assembled(parts) {
  const files = await Promise.all(Object.entries(parts).map(async ([name, bytes]) => [name, await bytes]));
  const { wasm, graph, low, high, texts, ...deltas } = Object.fromEntries(files);
  return opener({ ort, wasm, graph, weights: merged(low, high), deltas, ...JSON.parse(new TextDecoder().decode(texts)) });
}

/** Opens a model and closes the one before: one at a time is in memory. */
function one(opening) {
  let model = null;
  let engine = Promise.resolve(null);
  return (asked) => {
    if (model !== asked) {
      const before = engine.catch(() => null);
      model = asked;
      engine = before.then((old) => old?.close()).then(() => opening).then((open) => open(asked));
    }
    return engine;
  };
}

if (typeof document === "undefined") {
  const take = begin((answer) => globalThis.postMessage(answer));
  globalThis.onmessage = ({ data }) => take(data);
  globalThis.postMessage("here");
} else {
  globalThis.gpt2clsBegin = begin;
}
