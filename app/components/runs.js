// Words as nodes, for the components that show a lesson's. A run is [text, kind] or [text, "term", id of its explanation];
// a block is ["p", runs] or ["ul", [runs, …]].
const TAGS = { strong: "strong", em: "em", code: "code" };

function runNodes(runs) {
  return runs.map(([text, kind, explanation]) => {
    const node = document.createElement(TAGS[kind] ?? "span");
    node.textContent = window.gpt2clsSides?.[kind] ?? text; // another model may have other names for the two sides
    if (kind && !TAGS[kind]) node.className = kind;
    if (explanation) {
      node.tabIndex = 0;
      node.setAttribute("role", "button");
      node.setAttribute("aria-describedby", explanation);
    }
    return node;
  });
}

function blockNodes(blocks) {
  return blocks.map(([tag, content]) => {
    const block = document.createElement(tag);
    block.append(...(tag === "p" ? runNodes(content) : content.map((item) => {
      const line = document.createElement("li");
      line.append(...runNodes(item));
      return line;
    })));
    return block;
  });
}
