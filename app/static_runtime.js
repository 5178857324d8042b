// Gives the components' scripts what Gradio gives them on the page: element, props, trigger and watch. SCRIPTS holds the scripts by name.
async function unpack(id) {
  const packed = document.getElementById(id).textContent;
  const bytes = Uint8Array.from(atob(packed), (c) => c.charCodeAt(0));
  return new Response(new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"))).text();
}
function followTheme() {
  const asked = new URLSearchParams(window.location.search).get("__theme");
  const dark = window.matchMedia("(prefers-color-scheme: dark)");
  const set = () => document.body.classList.toggle("dark", asked ? asked === "dark" : dark.matches);
  dark.addEventListener("change", set);
  set();
}
followTheme();

let draw; // figures come after the words, because plotly.js takes a while
window.gpt2clsPlotly = new Promise((resolve) => { draw = () => setTimeout(resolve); }).then(() => unpack("packed-plotly")).then((source) => {
  const script = document.createElement("script");
  script.textContent = source;
  document.head.append(script);
  return window.Plotly;
});

let heard = () => {}; // (id, name, data): what happens when a component is pressed
const watchers = {}; // by id: what runs when the value changes
const props = {};
function mount({ id, script, props: given, value }) {
  watchers[id] = [];
  props[id] = { ...given, value };
  const watch = (_name, act) => watchers[id].push(act);
  SCRIPTS[script](document.getElementById(id), props[id], (name, data) => heard(id, name, data), watch);
}
function show(values) {
  for (const [id, value] of Object.entries(values)) {
    props[id].value = value;
    watchers[id].forEach((act) => act());
  }
}
window.gpt2clsPage = { unpack, mount, show, draw, props, hear: (act) => { heard = act; } };
