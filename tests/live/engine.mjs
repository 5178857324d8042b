// The engine in node: reads a job { files, model, calls: [[method, …arguments]] } from stdin, writes the results as JSON.
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import * as ort from "../../app/live/node_modules/onnxruntime-web/dist/ort.wasm.bundle.min.mjs";
import { opener } from "../../app/live/engine.js";

export function openerOf(folder) {
  const bytes = (name) => new Uint8Array(readFileSync(`${folder}/${name}`));
  const json = (name) => JSON.parse(readFileSync(`${folder}/${name}`, "utf8"));
  const card = json("card.json");
  const deltas = Object.fromEntries(card.deltas.map((model) => [model, bytes(`${model}.safetensors`)]));
  const given = { graph: bytes("graph.onnx"), weights: bytes("weights.safetensors"), tokenizer: json("tokenizer.json") };
  return opener({ ort, ...given, deltas, card });
}

/** JSON with tensors as { shape, data }; numbers that JSON has no word for as strings. */
export function plain(value) {
  if (ArrayBuffer.isView(value)) return { shape: value.shape, data: Array.from(value, plain) };
  if (typeof value === "number" && !Number.isFinite(value)) return String(value);
  if (Array.isArray(value)) return value.map(plain);
  if (value && typeof value === "object") return Object.fromEntries(Object.entries(value).map(([key, part]) => [key, plain(part)]));
  return value;
}

async function answer(engine, [method, ...args]) {
  try {
    return await engine[method](...args);
  } catch (problem) {
    return { problem: problem.message, ...problem };
  }
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const { files, jobs } = JSON.parse(readFileSync(0, "utf8"));
  const open = openerOf(files);
  const results = [];
  for (const { model, calls } of jobs) {
    const engine = await open(model);
    for (const call of calls) results.push(plain(await answer(engine, call)));
    await engine.close();
  }
  process.stdout.write(JSON.stringify(results));
}
