// props.value: {items: [{text, share, label}], scale, caption, marks, cut, keys, read}
const strip = element.querySelector(".strip");
const caption = element.querySelector(".strip-caption");
const visible = { "\n": "⏎", "\t": "⇥", "\u0000": "␀", "\u200d": "ZWJ", "\ufe0f": "VS16" };
const shown = (text) => [...text].map((c) => visible[c] ?? (c < " " ? "·" : c)).join("");

function draw() {
  const value = props.value;
  if (!value || !value.items) { strip.replaceChildren(); caption.textContent = ""; return; }
  caption.textContent = value.caption;
  strip.dataset.scale = value.scale;
  strip.dataset.pressable = Boolean(value.keys);
  const focused = [...strip.children].indexOf(document.activeElement);
  strip.replaceChildren(...value.items.map((item, index) => {
    const token = document.createElement("button");
    const read = value.read.includes(index);
    const cut = value.cut.includes(index);
    token.type = "button";
    token.className = "token" + (read ? " read" : "") + (value.marks.includes(index) ? " marked" : "") + (cut ? " cut" : "");
    token.dir = "auto";
    token.dataset.index = index;
    token.textContent = shown(item.text) || "·";
    token.title = item.label;
    token.setAttribute("aria-label", [item.text.trim() || "blank", cut ? "cut" : "", item.label, read ? "read by the head" : ""].filter(Boolean).join(", "));
    token.style.setProperty("--share", Math.abs(item.share));
    token.dataset.sign = item.share >= 0 ? "positive" : "negative";
    token.onclick = () => trigger("token_click", { index, back: value.items.length - 1 - index, key: value.keys ? value.keys[index] : null });
    return token;
  }));
  if (focused >= 0) strip.children[Math.min(focused, value.items.length - 1)].focus(); // who presses by key goes on from there
}
watch("value", draw);
draw();
