// props.blocks: see runs.js · props.on: [stem, words] or null · props.lands: "title" | "text"
const box = element.querySelector(".words");
box.replaceChildren(...blockNodes(props.blocks));
if (props.on) {
  const button = document.createElement("button"); // chapter_nav.js opens the chapter
  button.type = "button";
  button.className = "go-on";
  [button.dataset.opens, button.textContent] = props.on;
  button.dataset.lands = props.lands;
  box.append(button);
}
