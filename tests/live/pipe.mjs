// Runs the live lesson's chapters in node; the engine is Python, asked line by line over stdin and stdout (see pipe.py).
import { readSync, writeSync } from "node:fs";
import * as format from "../../app/live/format.js";
import { serve } from "../../app/live/lesson.js";
import * as interventions from "../../app/live/chapters/interventions.js";

let rest = Buffer.alloc(0);
function receive() {
  let end;
  while ((end = rest.indexOf(10)) < 0) {
    const chunk = Buffer.alloc(1 << 16);
    const size = readSync(0, chunk);
    if (!size) process.exit();
    rest = Buffer.concat([rest, chunk.subarray(0, size)]);
  }
  const line = rest.subarray(0, end).toString();
  rest = rest.subarray(end + 1);
  return JSON.parse(line, (_, value) => (value?.f32 === undefined ? value : tensor(value)));
}
function tensor({ f32, shape }) {
  const bytes = Uint8Array.from(Buffer.from(f32, "base64"));
  return Object.assign(new Float32Array(bytes.buffer), { shape });
}
function send(message) {
  const bytes = Buffer.from(`${JSON.stringify(message, (_, value) => (value === Infinity ? "inf" : value))}\n`);
  for (let done = 0; done < bytes.length;) done += writeSync(1, bytes, done);
}
function ask(call, ...given) {
  send({ call, given });
  const answer = receive();
  if (answer?.problem) throw Object.assign(new Error(answer.problem), answer);
  return answer;
}

const calls = ["tokenize", "read", "integrate", "cut", "cutEach", "patchRow"];
const engine = Object.fromEntries(calls.map((call) => [call, (...given) => ask(call, ...given)]));
const book = receive();
let shown;
const handle = serve({ book, open: async () => engine, post: ({ values, problem }) => Object.assign(shown, values, problem && { problem }) });
for (let id = 1; ; id++) {
  const { call, given, ...message } = receive();
  if (call) {
    send({ answer: { ...format, ...interventions }[call](...(call.startsWith("press") ? [book, ...given] : given)) });
    continue;
  }
  shown = {};
  await handle({ id, ...message });
  send({ values: shown });
}
