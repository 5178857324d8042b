// props.value: {label, sign: "positive" | "negative" | "", place: 0…1 | null, facts, count, notice, stale,
// sides: names of the model's classes, for the words of the lessons: {negative, positive}}
const part = (name) => element.querySelector(".verdict-" + name);
function draw() {
  const value = props.value || { label: "…", sign: "", place: null, facts: "reading", count: "", notice: "" };
  part("label").textContent = value.label;
  part("label").dataset.sign = value.sign;
  part("facts").textContent = value.facts;
  part("count").textContent = value.count;
  part("notice").textContent = value.notice;
  document.documentElement.dataset.stale = Boolean(value.stale); // what stands below belongs to another text
  if (value.sides) {
    window.gpt2clsSides = value.sides; // runs.js writes later words with them
    for (const side of ["negative", "positive"]) {
      for (const word of document.querySelectorAll(`:is(.words, .quiz) .${side}`)) word.textContent = value.sides[side];
    }
  }
  const bar = part("bar");
  bar.style.visibility = value.place === null ? "hidden" : "visible";
  bar.firstElementChild.style.left = `calc(${100 * (value.place ?? 0.5)}% - 2px)`;
}
watch("value", draw);
draw();
