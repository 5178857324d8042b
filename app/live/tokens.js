// A text as the model reads it: what gpt2cls_core/encoding.py and words.py do, with the same results.
import { Tokenizer } from "@huggingface/tokenizers";

const MAX_CHARACTERS = 100_000;
const SAME_CHARACTER = "⋯";
const BLANK = "\\t-\\r\\x1c-\\x20\\x85\\xa0\\u1680\\u2000-\\u200a\\u2028\\u2029\\u202f\\u205f\\u3000"; // what Python calls a space
const LETTER = "\\p{L}\\p{N}_"; // what Python calls a part of a word
const BLANKS = new RegExp(`^[${BLANK}]*`, "u");
const WORD = new RegExp(`[${LETTER}]+(?:['’-][${LETTER}]+)*|[^${LETTER}${BLANK}]+`, "gu");

// GPT-2's pieces of a text, as the tokenizers library knows them. It is given here because JavaScript's \s is not the same set of blanks.
const PIECE = "'(?:s|t|re|ve|m|ll|d)| ?\\p{L}+| ?\\p{N}+| ?[^\\p{White_Space}\\p{L}\\p{N}]+|\\p{White_Space}+(?!\\P{White_Space})|\\p{White_Space}+";

/** Why a text can't be read; `kind` is "empty", "long" (with `n` characters) or "surrogate" (with its `place`, from 1). */
export class TextError extends Error {
  constructor(kind, details = {}) {
    super(`The text can't be read: ${kind}.`);
    Object.assign(this, { name: "TextError", kind, ...details });
  }
}

/**
 * Makes `encode(text, { context, nVirtual, firstVirtual })` from what tokenizer.json holds. Special tokens are read as the characters
 * that they are; before each text come `nVirtual` tokens of a soft prompt, whose ids begin with `firstVirtual`.
 */
export function encoder(json) {
  const tokenizer = new Tokenizer({ ...json, added_tokens: [], pre_tokenizer: splitting(json.pre_tokenizer), post_processor: null }, {});
  return (text, { context, nVirtual, firstVirtual }) => {
    const characters = checked(text);
    const { ids, tokens } = tokenizer.encode(text, { add_special_tokens: false });
    const all = offsetsOf(tokens, characters);
    const cut = Math.max(0, ids.length - (context - nVirtual));
    const offsets = all.slice(cut);
    const read = { ids: ids.slice(cut), tokens: tokenTexts(characters, offsets), offsets, words: findWords(characters, offsets) };
    return { text, tokens_cut: cut, n_virtual: nVirtual, ...withPrompt(read, nVirtual, firstVirtual) };
  };
}

function splitting({ type, use_regex, add_prefix_space }) {
  if (type !== "ByteLevel" || !use_regex || add_prefix_space) throw new Error("The tokenizer does not split texts as GPT-2's does.");
  const split = { type: "Split", pattern: { Regex: PIECE }, behavior: "Isolated", invert: false };
  return { type: "Sequence", pretokenizers: [split, { type, use_regex: false, add_prefix_space }] };
}

function checked(text) {
  const characters = Array.from(text);
  if (text.match(BLANKS)[0].length === text.length) throw new TextError("empty");
  if (characters.length > MAX_CHARACTERS) throw new TextError("long", { n: characters.length });
  const broken = characters.findIndex((character) => /^[\ud800-\udfff]$/.test(character));
  if (broken >= 0) throw new TextError("surrogate", { place: broken + 1 });
  return characters;
}

/** First and last-plus-one character of each token; of a token that holds only a part of a character, that character's. */
function offsetsOf(tokens, characters) {
  const owners = []; // of each byte, its character
  characters.forEach((character, place) => {
    const point = character.codePointAt(0);
    const bytes = point < 0x80 ? 1 : point < 0x800 ? 2 : point < 0x10000 ? 3 : 4;
    for (let i = 0; i < bytes; i++) owners.push(place);
  });
  let start = 0;
  return tokens.map((token) => {
    const end = start + Array.from(token).length; // byte-level: one character stands for one byte
    const span = [owners[start], owners[end - 1] + 1];
    start = end;
    return span;
  });
}

function tokenTexts(characters, offsets) {
  let seen = 0;
  return offsets.map(([start, end]) => {
    const repeats = end <= seen && end > start;
    const shown = repeats ? SAME_CHARACTER : characters.slice(Math.max(start, Math.min(seen, end - 1)), end).join("");
    seen = Math.max(seen, end);
    return shown;
  });
}

function findWords(characters, offsets) {
  const text = characters.join("");
  const places = []; // of each UTF-16 unit, its character
  characters.forEach((character, place) => places.push(...Array(character.length).fill(place)));
  places.push(characters.length);
  const spans = Array.from(text.matchAll(WORD), (match) => [places[match.index], places[match.index + match[0].length]]);
  let index = 0;
  const owners = offsets.map(([start, end]) => {
    const piece = characters.slice(start, end).join("");
    const blanks = piece.match(BLANKS)[0].length;
    const first = start + blanks;
    while (index < spans.length && spans[index][1] <= first) index++;
    const inside = index < spans.length && spans[index][0] <= first && first < Math.max(end, start + 1);
    return inside && blanks < piece.length ? index : null;
  });
  const words = [];
  owners.forEach((owner, position) => {
    if (words.length && owner !== null && owner === owners[position - 1]) {
      words[words.length - 1].stop = position + 1;
      return;
    }
    const [start, end] = owner !== null ? spans[owner] : offsets[position];
    words.push({ text: characters.slice(start, end).join(""), start: position, stop: position + 1 });
  });
  return words;
}

/** The same after the virtual tokens of a soft prompt, ids `first`, `first` + 1, … */
function withPrompt({ ids, tokens, offsets, words }, n, first) {
  const virtual = Array.from({ length: n }, (_, i) => i);
  const shown = virtual.map((i) => `⟦${i + 1}⟧`);
  return {
    ids: [...virtual.map((i) => first + i), ...ids],
    tokens: [...shown, ...tokens],
    offsets: [...virtual.map(() => [0, 0]), ...offsets],
    words: [
      ...shown.map((text, i) => ({ text, start: i, stop: i + 1 })),
      ...words.map(({ text, start, stop }) => ({ text, start: start + n, stop: stop + n })),
    ],
  };
}
