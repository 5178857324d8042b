// Unpacks what packing.py packed: base64 within a page, or scripts that stand beside one.
import { readFileSync } from "node:fs";
import { merged, unpacked } from "../../app/live/unpack.js";

const { within, beside } = JSON.parse(readFileSync(0, "utf8"));
const parts = { ...within };
globalThis.gpt2clsEngine = { here: (name, packed) => { parts[name] = packed; } };
for (const file of beside) (0, eval)(new TextDecoder("utf-16le").decode(readFileSync(file))); // as a browser runs them
const files = {};
for (const [name, packed] of Object.entries(parts)) files[name] = await unpacked(packed);
const bytes = Object.entries({ ...files, merged: merged(files.low, files.high) });
process.stdout.write(JSON.stringify(Object.fromEntries(bytes.map(([name, each]) => [name, Buffer.from(each).toString("base64")]))));
