// The page around the model: what is typed, pressed and chosen goes to the lesson (lesson.js), and what it says is shown.
import { pressCell, pressToken } from "./chapters/interventions.js";
import { filled } from "./format.js";
import { start } from "./start.js";

const TYPING = 20; // milliseconds of rest before a text is read
const PATIENCE = 400; // milliseconds after which the reader is told that something is computed
const { unpack, mount, show, draw, props, hear } = window.gpt2clsPage;
const box = document.querySelector("#text textarea");
const status = document.getElementById("live-status");

async function page() {
  const { book, words, parts, options, presets, models, text, examples } = JSON.parse(await unpack("packed-data"));
  const chosen = {}; // options by chapter and name
  const controls = {}; // elements, by the same
  const defaults = {};
  for (const [id, chapter, name, value] of options) {
    (chosen[chapter] ??= {})[name] = value;
    (defaults[chapter] ??= {})[name] = value;
    (controls[chapter] ??= {})[name] = document.getElementById(id);
  }
  const state = { model: models[0], text, chapter: Object.keys(book.words)[0] };
  const seen = {}; // what each chapter shows, by chapter
  let send = null;
  let newest = 0;
  let asked = null;
  let waiting = 0;

  const wanted = () => JSON.stringify([state.model, state.text, chosen[state.chapter] ?? {}]);
  const tell = (name, template, values = {}) => {
    status.dataset.state = name;
    status.textContent = filled(template, values);
  };

  // ---- options ----

  function put(chapter, changes) {
    for (const [name, value] of Object.entries(changes)) {
      if (!(name in (chosen[chapter] ?? {}))) continue;
      chosen[chapter][name] = typeof defaults[chapter][name] === "number" ? Number(value) : value;
      const control = controls[chapter][name];
      if (!control) continue; // only presses set it
      const input = control.querySelector(`input[value="${CSS.escape(String(value))}"]`) ?? control.querySelector("input, select");
      if (input.type === "radio") input.checked = true;
      else if (input.type === "checkbox") input.checked = value === true;
      else input.value = value;
    }
  }
  function changed(chapter, changes) {
    if (!Object.keys(changes).length) return;
    put(chapter, changes);
    ask();
  }
  for (const [id, chapter, name] of options) {
    document.getElementById(id)?.addEventListener("input", ({ target }) => {
      changed(chapter, { [name]: target.type === "checkbox" ? target.checked : target.value });
    });
  }
  for (const [id, [chapter, changes]] of Object.entries(presets)) document.getElementById(id).onclick = () => changed(chapter, changes);
  document.getElementById("model")?.addEventListener("input", ({ target }) => {
    state.model = target.value;
    ask();
  });

  // ---- components ----

  hear((id, name, data) => {
    const [chapter, part] = id.split("-");
    if (name === "select" && "stem" in data) open(data.stem);
    else if (name === "select") write(data.text);
    else if (send && part === "strip" && chapter === "interventions") changed(chapter, pressToken(book, chosen[chapter], data));
    else if (send && part === "figure" && chapter === "interventions") changed(chapter, pressCell(book, chosen[chapter], data));
  });
  function open(chapter) {
    state.chapter = chapter;
    ask();
  }
  function write(typed) {
    box.value = typed;
    state.text = typed;
    ask();
  }
  let resting = 0;
  box.addEventListener("input", () => {
    clearTimeout(resting);
    resting = setTimeout(() => write(box.value), TYPING);
  });

  // ---- asking and answering ----

  function ask() {
    remember();
    if (!send) {
      showMade();
      return;
    }
    if (seen[state.chapter] === wanted() && asked === wanted()) return;
    asked = wanted();
    newest++;
    waitFor(newest);
    send({ id: newest, model: state.model, text: state.text, chapter: state.chapter, options: chosen[state.chapter] ?? {} });
  }
  /** What belongs to another text is dimmed, but not for a moment only. */
  function waitFor(id) {
    clearTimeout(waiting);
    waiting = setTimeout(() => {
      if (id !== newest) return;
      tell("working", words.waiting);
      if (seen[state.chapter] !== asked) document.documentElement.dataset.stale = true;
    }, PATIENCE);
  }
  function answered({ id, values, progress, done, problem }) {
    if (id !== newest) return;
    if (values) {
      if (values.verdict) document.getElementById("masthead").innerHTML = book.models[state.model].masthead; // our own words
      show(values);
      if (Object.keys(values).some((name) => name.startsWith(`${state.chapter}-`))) {
        seen[state.chapter] = asked;
        document.documentElement.dataset.stale = false;
      }
    }
    if (progress && status.dataset.state === "working") tell("working", words.working, { done: progress[0], of: progress[1] });
    if (done || problem) clearTimeout(waiting);
    if (done) tell("ready", words.ready);
    if (problem) tell("missing", words.failed, { message: problem });
  }
  /** What was computed when the page was made, if it is of this text. */
  function showMade() {
    const made = examples[state.text];
    if (!made || state.model !== models[0]) return false;
    const values = Object.fromEntries(Object.keys(book.words).flatMap((chapter) => {
      const view = chosen[chapter]?.view ?? "";
      return Object.entries(made[chapter][view] ?? {});
    }));
    show({ ...made[""][""], ...values });
    return true;
  }
  /** Without a model: only what was made before can be chosen. */
  function without(what) {
    const count = Object.keys(examples).length;
    tell("missing", `${what} ${words["made before"]}`, { count });
    box.readOnly = true;
    if (!examples[state.text]) write(text);
    for (const input of document.querySelectorAll(".options :is(input, select, button), #model input")) {
      if (!input.closest('[id$="-view"]')) input.disabled = true;
    }
    for (const button of document.querySelectorAll("#examples button")) {
      const texts = props.examples.groups[button.textContent].filter((one) => examples[one]);
      button.hidden = !texts.length;
      button.onclick = () => write(texts[0]);
    }
    for (const chapter of Object.keys(book.words)) {
      const strip = props[`${chapter}-strip`];
      if (strip.value) show({ [`${chapter}-strip`]: { ...strip.value, keys: null } });
    }
  }

  // ---- the address ----

  function remember() {
    const query = new URLSearchParams({ text: state.text.slice(0, 4000), model: state.model, chapter: state.chapter });
    for (const [name, value] of Object.entries(chosen[state.chapter] ?? {})) {
      if (value !== defaults[state.chapter][name]) query.set(name, value);
    }
    try { window.history.replaceState(null, "", `#${query}`); } catch { /* a frame may forbid it */ }
  }
  function recall() {
    const query = new URLSearchParams(window.location.hash.slice(1));
    if (query.get("text")?.trim()) state.text = box.value = query.get("text");
    if (models.includes(query.get("model"))) state.model = query.get("model");
    if (query.get("chapter") in book.words) state.chapter = query.get("chapter");
    const input = document.querySelector(`#model input[value="${state.model}"]`);
    if (input) input.checked = true;
    for (const [name, fallback] of Object.entries(defaults[state.chapter] ?? {})) {
      const value = query.get(name);
      const control = controls[state.chapter][name];
      const known = control?.querySelector("select, input[type=radio]")
        ? [...control.querySelectorAll("option, input")].some((choice) => choice.value === value) : value !== null;
      if (known) put(state.chapter, { [name]: typeof fallback === "boolean" ? value === "true" : value });
    }
  }

  if (new URLSearchParams(window.location.search).get("embed") === "1") document.documentElement.dataset.embed = "true";
  parts.forEach(mount);
  recall();
  show({ chapters: state.chapter });
  if (!showMade()) show({ verdict: { label: "…", sign: "", place: null, facts: "", count: "", notice: "" } });
  draw();
  tell("starting", examples[state.text] ? words.starting : words.reading);
  try {
    send = await start({ book, post: answered });
    ask();
  } catch (problem) {
    without(filled(words[problem.what] ?? words.other, { message: problem.message }));
  }
}

if (typeof DecompressionStream === "undefined") status.textContent = "This browser is too old for the lesson; any of 2023 or later can show it.";
else page();
