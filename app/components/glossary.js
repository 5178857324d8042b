// props.entries: [[id, term, explanation], …] · a term on the page is .term, described by the explanation's id
const [all, note] = [".explanations", ".explanation"].map((part) => element.querySelector(part));
const EDGE = 10; // pixels kept free at the edges of the window
let shownFor = null;
let leaving = 0;

all.replaceChildren(...props.entries.map(([id, , explanation]) => {
  const entry = document.createElement("div");
  entry.id = id;
  entry.textContent = explanation;
  return entry;
}));

function show(term) {
  clearTimeout(leaving);
  const entry = props.entries.find(([id]) => id === term.getAttribute("aria-describedby"));
  if (!entry) return;
  const name = document.createElement("strong");
  name.textContent = entry[1];
  note.replaceChildren(name, " " + entry[2]);
  note.hidden = false;
  shownFor = term;
  place();
}
function hide() {
  clearTimeout(leaving);
  note.hidden = true;
  shownFor = null;
}
function place() {
  if (!shownFor) return;
  const term = shownFor.getBoundingClientRect();
  if (!term.height) return hide(); // with its chapter
  const { width, height } = note.getBoundingClientRect();
  const below = term.bottom + 6;
  const fits = below + height + EDGE <= window.innerHeight || term.top < height + EDGE;
  note.style.left = `${Math.max(EDGE, Math.min(term.left, document.documentElement.clientWidth - width - EDGE))}px`;
  note.style.top = `${fits ? below : term.top - height - 6}px`;
}

const termAt = (event) => event.target.closest?.(".term");
const on = (kind, act) => document.addEventListener(kind, act);
on("pointerover", (event) => {
  if (event.pointerType !== "mouse") return;
  if (termAt(event)) show(termAt(event));
  else if (note.contains(event.target)) clearTimeout(leaving); // the explanation itself may be pointed at
});
on("pointerout", (event) => {
  if (event.pointerType === "mouse" && (termAt(event) || note.contains(event.target))) leaving = setTimeout(hide, 150);
});
on("focusin", (event) => (termAt(event) ? show(termAt(event)) : hide()));
on("focusout", (event) => { if (termAt(event)) hide(); });
on("click", (event) => { if (termAt(event)) show(termAt(event)); else if (!note.contains(event.target)) hide(); });
on("keydown", (event) => {
  if (event.key === "Escape") hide();
  if (termAt(event) && (event.key === "Enter" || event.key === " ")) { event.preventDefault(); show(termAt(event)); }
});
window.addEventListener("scroll", place, { capture: true, passive: true });
window.addEventListener("resize", place);
