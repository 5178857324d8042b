// props.value: stem of the chapter seen · props.chapters: [[stem, title], …]
const row = element.querySelector(".chapter-nav");
let picked = null;
const panel = (stem) => document.getElementById("chapter-" + stem);

row.replaceChildren(...props.chapters.map(([stem, title], index) => {
  const tab = document.createElement("button");
  tab.type = "button";
  tab.id = "tab-" + stem;
  tab.dataset.stem = stem;
  tab.setAttribute("role", "tab");
  tab.setAttribute("aria-controls", "chapter-" + stem);
  tab.textContent = `${index + 1}  ${title}`;
  tab.onclick = () => pick(stem);
  tab.onkeydown = (event) => {
    const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    const end = { Home: 0, End: props.chapters.length - 1 }[event.key];
    if (step === undefined && end === undefined) return;
    event.preventDefault();
    const next = end ?? (index + step + props.chapters.length) % props.chapters.length;
    row.children[next].focus();
    pick(props.chapters[next][0]);
  };
  return tab;
}));

function show(chapter) {
  for (const [stem] of props.chapters) {
    const seen = stem === chapter;
    const tab = document.getElementById("tab-" + stem);
    tab.setAttribute("aria-selected", seen);
    tab.tabIndex = seen ? 0 : -1;
    panel(stem)?.setAttribute("role", "tabpanel");
    panel(stem)?.setAttribute("aria-labelledby", tab.id);
    if (seen) row.scrollTo({ left: tab.offsetLeft - row.clientWidth / 2 + tab.clientWidth / 2 });
  }
  document.documentElement.dataset.chapter = chapter;
}
function pick(stem) {
  picked = stem;
  show(stem);
  if (stem === props.value) return;
  props.value = stem;
  trigger("select", { stem });
}

// Any button on the page with data-opens leads to that chapter: to its title, or back to the reader's text.
document.addEventListener("click", (event) => {
  const button = event.target.closest("[data-opens]");
  if (!button) return;
  pick(button.dataset.opens);
  const text = button.dataset.lands === "text" && document.querySelector("#text textarea");
  const focused = text || panel(button.dataset.opens).querySelector("h2");
  if (!text) focused.tabIndex = -1; // reached by this focus alone
  focused.focus({ preventScroll: true });
  (text ? document.body : element).scrollIntoView({ block: "start" });
});

// The row fades out on the sides where more chapters are.
function fade() {
  row.dataset.more = [row.scrollLeft > 4 ? "before" : "", row.scrollLeft + row.clientWidth < row.scrollWidth - 4 ? "after" : ""].join(" ");
}
row.addEventListener("scroll", fade, { passive: true });
new ResizeObserver(fade).observe(row);
// Python reads the link and answers seconds later. What the link asks for is seen at once; what was picked meanwhile stays.
watch("value", () => {
  if (picked && props.value !== picked) props.value = picked;
  show(props.value);
});
const asked = new URLSearchParams(window.location.search).get("chapter");
show(props.chapters.some(([stem]) => stem === asked) ? asked : props.value);
fade();
