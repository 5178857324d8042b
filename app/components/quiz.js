// props.stem · props.question, props.answer: blocks, see runs.js · props.choices: [text, …]
const [question, choices, answer] = [".question", ".choices", ".answer"].map((part) => element.querySelector(part));
const chapter = element.closest(".chapter");
const KEPT = "gpt2cls.answers"; // {stem: choice}; an empty choice was just shown the answer
let said = recall();

// A frame on somebody's page may forbid storage: then an answer lasts until the page is loaded again.
function kept() {
  try { return Object(JSON.parse(window.localStorage.getItem(KEPT))); } catch { return {}; }
}
function recall() {
  const choice = kept()[props.stem];
  return choice === "" || props.choices.includes(choice) ? choice : null;
}
function say(choice) {
  said = choice;
  const all = kept();
  if (choice === null) delete all[props.stem];
  else all[props.stem] = choice;
  try { window.localStorage.setItem(KEPT, JSON.stringify(all)); } catch { /* see above */ }
  draw();
  (choice === null ? choices.firstElementChild : answer).focus();
}
function button(words, act, name) {
  const made = document.createElement("button");
  made.type = "button";
  made.textContent = words;
  made.className = name;
  made.onclick = act;
  return made;
}
function draw() {
  const open = said === null;
  choices.hidden = !open;
  answer.hidden = open;
  chapter.dataset.answered = !open;
  if (open) return answer.replaceChildren();
  const repeated = document.createElement("p");
  repeated.className = "said";
  repeated.textContent = said ? `You said: ${said}` : "";
  answer.replaceChildren(...(said ? [repeated] : []), ...blockNodes(props.answer), button("ask me again", () => say(null), "again"));
}

question.replaceChildren(...blockNodes(props.question));
choices.replaceChildren(
  ...props.choices.map((choice) => button(choice, () => say(choice), "choice")),
  button("just show me", () => say(""), "show"),
);
chapter.addEventListener("click", (event) => { if (event.target.closest("[data-reveal]")) say(""); });
draw();
