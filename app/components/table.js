// props.value: {caption, columns, rows: [[name, cell, …], …], strong: [row, …]}, or nothing
const box = element.querySelector(".table-scroll");
const table = element.querySelector("table");

function cell(tag, text, scope) {
  const node = document.createElement(tag);
  node.textContent = text;
  if (scope) node.scope = scope;
  return node;
}
function line(cells) {
  const row = document.createElement("tr");
  row.append(...cells);
  return row;
}
function draw() {
  const value = props.value;
  box.hidden = !(value && value.rows);
  if (box.hidden) { table.replaceChildren(); return; }
  const caption = document.createElement("caption");
  caption.textContent = value.caption;
  const head = document.createElement("thead");
  head.append(line(value.columns.map((name) => cell("th", name, "col"))));
  const body = document.createElement("tbody");
  body.append(...value.rows.map(([name, ...cells], index) => {
    const row = line([cell("th", name, "row"), ...cells.map((text) => cell("td", text))]);
    row.className = value.strong.includes(index) ? "strong" : "";
    return row;
  }));
  table.replaceChildren(caption, head, body);
}
watch("value", draw);
draw();
