// props.value: {done, of} chapters, then {file, document} to save, or {problem}; see share.py
const [link, code, file, whole, said] = [".link", ".code", ".file", ".whole", ".said"].map((part) => element.querySelector(part));
const root = (window.gradio_config && window.gradio_config.root) || window.location.origin + window.location.pathname.replace(/\/$/, "");
const words = file.textContent;
const MOST_SECONDS = 120; // that one chapter may take, the queue included
let waiting = 0;

function tell(what) {
  said.textContent = what;
  setTimeout(() => { if (said.textContent === what) said.textContent = ""; }, 6000);
}
async function copy(text, what) {
  try { await navigator.clipboard.writeText(text); tell(`${what} copied`); } catch { window.prompt(`Copy the ${what}:`, text); }
}
function attribute(text) {
  return text.replaceAll("&", "&amp;").replaceAll('"', "&quot;").replaceAll("<", "&lt;");
}
function embedCode() {
  const address = new URL(window.location.href);
  address.searchParams.set("embed", "1");
  const chapter = document.documentElement.dataset.chapter;
  address.searchParams.set("chapter", chapter);
  return `<iframe id="gpt2cls-${chapter}" src="${attribute(address.href)}" title="${attribute(document.title)}" style="width: 100%; height: 900px; border: 0"></iframe>
<script src="${attribute(root)}/embed.js"></script>
<script>iFrameResize({}, "#gpt2cls-${chapter}")</script>`;
}

link.onclick = () => copy(window.location.href, "link");
code.onclick = () => copy(embedCode(), "embed code");
file.onclick = () => {
  const asked = new URLSearchParams(window.location.search).get("text") || "";
  const box = document.querySelector("#text textarea");
  if (asked.trim() && box && !box.value.startsWith(asked)) return tell("One moment, the link is still being read.");
  file.disabled = true;
  props.value = null; // or the same problem twice would be no news
  write({ done: 0 });
};
function write({ done, of }) {
  file.textContent = of ? `writing ${Math.min(done + 1, of)} of ${of}…` : "writing…";
  trigger("save", { done });
  clearTimeout(waiting);
  waiting = setTimeout(() => finish("No answer: please try again."), MOST_SECONDS * 1000);
}
function finish(what) {
  clearTimeout(waiting);
  file.disabled = false;
  file.textContent = words;
  if (what) tell(what);
}
whole.onpointerdown = whole.onfocus = () => {
  const address = new URL(window.location.href);
  address.searchParams.delete("embed");
  whole.href = address.href;
};
whole.onfocus();
watch("value", () => {
  const value = props.value;
  if (!value || !file.disabled) return;
  if (value.of) return write(value);
  finish(value.problem);
  if (value.problem) return;
  const address = URL.createObjectURL(new Blob([value.document], { type: "text/html" }));
  const saved = document.createElement("a");
  saved.href = address;
  saved.download = value.file;
  saved.click();
  setTimeout(() => URL.revokeObjectURL(address), 60000);
});
