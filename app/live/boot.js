// Runs before all else, so that the model is opened while the page is still being drawn: makes the worker, and hands it every file as
// it comes. Where a frame or a course site forbids workers, the model runs on the page's own thread.
import { unpacked } from "./unpack.js";

const TINY = Uint8Array.of(0, 97, 115, 109, 1, 0, 0, 0); // the smallest module of WebAssembly
let post = null;

const { files, model } = window.gpt2clsNeeds; // names, and the model that is opened first
const arrived = Object.fromEntries(["worker", ...files].map((name) => [name, resolvers()]));
const send = allowed() ? began() : Promise.reject(Object.assign(new Error("WebAssembly is not allowed here."), { what: "wasm" }));
send.catch(() => {}); // `start` tells

window.gpt2clsEngine = {
  /** A file is there: within the page, or as a script beside it gives it. */
  here: (name, packed = within(name)) => arrived[name].resolve(packed),
  missing: (name) => arrived[name].reject(new Error(`The file ${name}.js is missing beside this page.`)),
  /** Resolves with what sends messages to the lesson; rejects with an error whose `what` names what is missing. */
  async start(given) {
    post = given.post;
    (await send)({ book: given.book });
    return send;
  },
};

async function began() {
  const code = new TextDecoder().decode(await unpacked(await arrived.worker.promise));
  const take = await inWorker(code).catch(() => onThisThread(code));
  await Promise.all(files.map(async (name) => take({ part: name, packed: await arrived[name].promise })));
  for (const name in arrived) delete arrived[name]; // megabytes that are the worker's now
  take({ model });
  return take;
}

function inWorker(code) {
  return new Promise((resolve, reject) => {
    const address = URL.createObjectURL(new Blob([code], { type: "text/javascript" }));
    const worker = new Worker(address);
    worker.onerror = reject;
    worker.onmessage = ({ data }) => {
      if (data !== "here") {
        post(data);
        return;
      }
      URL.revokeObjectURL(address);
      resolve((message) => worker.postMessage(message));
    };
  });
}

function onThisThread(code) {
  const script = document.createElement("script");
  script.textContent = code;
  document.head.append(script);
  return window.gpt2clsBegin((answer) => post(answer));
}

function within(name) {
  const element = document.getElementById(`packed-${name}`);
  const text = element.textContent;
  element.remove();
  return text;
}

function allowed() {
  try {
    return Boolean(new WebAssembly.Module(TINY));
  } catch {
    return false;
  }
}

function resolvers() {
  const made = {};
  made.promise = new Promise((resolve, reject) => Object.assign(made, { resolve, reject }));
  made.promise.catch(() => {}); // a file may be missing before it is asked for
  return made;
}
