// props.value: [{claim, evidence: [[text, strong], …], opens, link}, …]
const list = element.querySelector(".sentences");

function made(tag, name, text = "") {
  const node = document.createElement(tag);
  node.className = name;
  node.textContent = text;
  return node;
}
function draw() {
  list.replaceChildren(...(props.value || []).map((point) => {
    const line = made("li", "sentence");
    const evidence = made("p", "evidence");
    evidence.append(...point.evidence.map(([text, strong]) => made(strong ? "strong" : "span", "", text)));
    const link = made("button", "see", point.link); // chapter_nav.js opens the chapter
    link.type = "button";
    link.dataset.opens = point.opens;
    line.append(made("p", "claim", point.claim), evidence, link);
    return line;
  }));
}
watch("value", draw);
draw();
