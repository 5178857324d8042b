// How Python writes numbers and tokens, so that the lesson's own templates can be filled here. Tests hold each function to Python's.

const BLANKS = "\\t\\n\\v\\f\\r\\x1c-\\x1f\\x20\\x85\\xa0\\u1680\\u2000-\\u200a\\u2028\\u2029\\u202f\\u205f\\u3000"; // of str.strip()
const AT_THE_ENDS = new RegExp(`^[${BLANKS}]+|[${BLANKS}]+$`, "g");
export const strip = (text) => text.replace(AT_THE_ENDS, "");

/** A number with so many digits after the point, rounded as Python does: a number just between two goes to the even one. */
export function fixed(number, digits) {
  const size = Math.abs(number);
  let shown = size.toFixed(digits);
  const rest = size.toFixed(100).slice(size.toFixed(100).indexOf(".") + 1 + digits);
  if (/^50*$/.test(rest)) { // toFixed rounded it up
    const down = size.toFixed(100).slice(0, -100 + digits).replace(/\.$/, "");
    if (Number(down.at(-1)) % 2 === 0) shown = down;
  }
  return (number < 0 || Object.is(number, -0) ? "-" : "") + shown;
}

/** A value by Python's format specification, of those that the lessons use: "", ",", "[+].Nf", ".N%". */
export function formatted(value, specification = "") {
  if (specification === "") return String(value);
  if (specification === ",") return String(value).replace(/\B(?=(\d{3})+(?!\d))/g, ",");
  const [, plus, digits, kind] = /^(\+?)\.(\d+)([f%])$/.exec(specification);
  const number = kind === "%" ? value * 100 : value;
  const shown = Number.isFinite(number) ? fixed(number, Number(digits)) : { Infinity: "inf", "-Infinity": "-inf" }[number] ?? "nan";
  return (plus && !shown.startsWith("-") ? "+" : "") + shown + (kind === "%" ? "%" : "");
}

/** A template with its values put in; what is put in is never read as a template. */
export function filled(template, values = {}) {
  return template.replace(/\{(\w+)(?::([^}]*))?\}/g, (_, name, specification) => {
    if (!(name in values)) throw new Error(`${name} is missing for “${template}”`);
    return formatted(values[name], specification);
  });
}

/** The named takeaways of a chapter, one after the other, as [text, strong] runs. */
export function runs(takeaways, names, values = {}) {
  const made = [];
  for (const name of names) {
    takeaways[name].split("**").forEach((part, index) => {
      if (part) made.push([filled(part, values), index % 2 === 1]);
    });
    made.push([" ", false]);
  }
  return made.slice(0, -1);
}

function shortened(text, most) {
  const characters = [...text];
  return characters.length <= most ? text : characters.slice(0, most - 1).join("") + "…";
}

/** A token in quotation marks as running text shows it. */
export const quoted = (token, most = 24) => `“${shortened(strip(token) || "(blank)", most)}”`;

/** A label that Plotly shows as it is. `visible` says what stands for characters that can't be seen. */
export function plain(text, visible, most = 14) {
  const characters = [...text.replace(/^ +| +$/g, "")].map((c) => visible[c] ?? (c >= " " ? c : "·"));
  const shown = shortened(characters.join("") || "␣", most);
  return shown.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");
}
