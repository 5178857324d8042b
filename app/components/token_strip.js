// props.value: {items: [{text, share, label}], scale, caption, marks}
const strip = element.querySelector(".strip");
const caption = element.querySelector(".strip-caption");
const visible = { "\n": "⏎", "\t": "⇥", "\u0000": "␀", "\u200d": "ZWJ", "\ufe0f": "VS16" };
const shown = (text) => [...text].map((c) => visible[c] ?? (c < " " ? "·" : c)).join("");

function draw() {
  const value = props.value;
  if (!value || !value.items) { strip.replaceChildren(); caption.textContent = ""; return; }
  caption.textContent = value.caption;
  strip.dataset.scale = value.scale;
  strip.replaceChildren(...value.items.map((item, index) => {
    const token = document.createElement("button");
    const last = index === value.items.length - 1;
    token.type = "button";
    token.className = "token" + (last ? " read" : "") + (value.marks.includes(index) ? " marked" : "");
    token.dir = "auto";
    token.dataset.index = index;
    token.textContent = shown(item.text) || "·";
    token.title = item.label;
    token.setAttribute("aria-label", [item.text.trim() || "blank", item.label, last ? "read by the head" : ""].filter(Boolean).join(", "));
    token.style.setProperty("--share", Math.abs(item.share));
    token.dataset.sign = item.share >= 0 ? "positive" : "negative";
    token.onclick = () => trigger("token_click", { index, back: value.items.length - 1 - index });
    return token;
  }));
}
watch("value", draw);
draw();
