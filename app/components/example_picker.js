// props.groups: {kind: [text, …]}
const box = element.querySelector(".examples");
for (const [kind, texts] of Object.entries(props.groups)) {
  let next = 0;
  const button = document.createElement("button");
  button.type = "button";
  button.textContent = kind;
  button.title = `${texts.length} sentences; press again for the next`;
  button.onclick = () => { trigger("select", { text: texts[next] }); next = (next + 1) % texts.length; };
  box.append(button);
}
