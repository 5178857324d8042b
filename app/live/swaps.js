// Which word to swap for which, and which tokens of two texts correspond; as app/swaps.py, from its own lists of words.
import { filled, strip } from "./format.js";

/** What can't be swapped, in words for the reader. */
export class Refused extends Error {}

const blank = (text) => strip(text) === "";
const hasLetters = (text) => /[\p{L}\p{N}]/u.test(text);
export const wordAt = (words, position) => words.findIndex(({ start, stop }) => start <= position && position < stop);
/** A place as a press gives it, if it is one of `size`. */
export function positionOf(raw, size) {
  const place = /^\d{1,8}$/.test(raw) ? Number(raw) : size;
  return place < size ? place : null;
}

/** The swap that a person asked for, completed where they left something open: { word, new, text }. */
export async function makeSwap(book, engine, read, at, typed) {
  const position = positionOf(at, read.tokens.length);
  if (position === null) {
    const swap = await suggestedSwap(book, engine, read);
    return blank(typed) ? swap : swapped(book, read, read.words.indexOf(swap.word), typed);
  }
  const index = wordAt(read.words, position);
  return swapped(book, read, index, blank(typed) ? suggestedWord(book, engine, read, index) : typed);
}

/** Of the words with an opposite the one whose swap moves the margin most; else the word at which the running verdict jumps. */
async function suggestedSwap(book, engine, read) {
  const known = read.words.map((word, i) => [i, fitting(engine, book, read, i, opposites(book, word.text))[0]]);
  const swaps = known.filter(([, word]) => word).map(([i, word]) => swapped(book, read, i, word)).slice(0, book.swaps.most_tried);
  if (swaps.length) {
    const moves = [];
    for (const { text } of swaps) moves.push(Math.abs((await engine.read(text, { gradient: false })).margin - read.margin));
    return swaps[moves.indexOf(Math.max(...moves))];
  }
  const running = [0, ...read.prefix_margins];
  let [index, largest] = [-1, -1];
  read.words.forEach((word, i) => {
    const jump = Math.abs(running[word.stop] - running[word.start]);
    if (!blank(word.text) && word.start >= read.n_virtual && jump >= largest) [index, largest] = [i, jump];
  });
  if (index < 0) throw new Refused(book.errors["no word"]);
  return swapped(book, read, index, suggestedWord(book, engine, read, index));
}

/** What to write for a word: an opposite with as many tokens, else something neutral with as many, else any of them. */
export function suggestedWord(book, engine, read, index) {
  const old = read.words[index];
  if (blank(old.text)) throw new Refused(book.errors["only a blank"]);
  const letters = hasLetters(old.text);
  const neutral = letters ? book.swaps.neutral : book.swaps.signs;
  const typed = read.words.filter((word) => !blank(word.text) && word.start >= read.n_virtual).map((word) => word.text);
  const own = typed.filter((word) => hasLetters([...word][0]) === letters);
  const plain = [...neutral, Array(old.stop - old.start).fill(neutral[0]).join(" "), ...own];
  const candidates = [...opposites(book, old.text), ...plain.filter((word) => word.toLowerCase() !== old.text.toLowerCase())];
  return fitting(engine, book, read, index, candidates)[0] ?? candidates[0];
}

/** Those of the candidates, up to the first, that leave the text as many tokens as it has. */
export function fitting(engine, book, read, index, candidates) {
  const size = (encoding) => encoding.tokens.length + encoding.tokens_cut;
  const found = candidates.find((word) => size(engine.tokenize(swapWord(book, read, index, word))) === size(read));
  return found === undefined ? [] : [found];
}

/** Words that judge the other way, the nearest first, with the word's own capitals. */
function opposites(book, word) {
  const found = new Set();
  for (const pair of book.swaps.opposites) {
    for (const [listed, turned] of [pair, [...pair].reverse()]) {
      const place = listed.indexOf(word.toLowerCase());
      if (place >= 0) [turned[place], ...turned].forEach((other) => found.add(other));
    }
  }
  const isUpper = (text) => text === text.toUpperCase() && text !== text.toLowerCase();
  const capital = (text) => text[0].toUpperCase() + text.slice(1);
  if (isUpper(word) && [...word].length > 1) return [...found].map((other) => other.toUpperCase());
  return isUpper([...word][0] ?? "") ? [...found].map(capital) : [...found];
}

/** The text with one word replaced, and everything around it as it was. Offsets count characters, as Python's do. */
function swapWord(book, read, index, word) {
  const old = read.words[index];
  if (old.start < read.n_virtual) throw new Refused(filled(book.errors.virtual, { index }));
  if (blank(old.text)) throw new Refused(filled(book.errors.blank, { index }));
  const text = [...read.text];
  const [start, stop] = read.offsets[old.start];
  let begin = start;
  while (begin < stop && blank(text[begin])) begin++;
  const size = [...old.text].length;
  while (text.slice(begin, begin + size).join("") !== old.text) begin--; // it may begin in the token before
  return text.slice(0, begin).join("") + strip(word) + text.slice(begin + size).join("");
}

function swapped(book, read, index, word) {
  return { word: read.words[index], new: strip(word), text: swapWord(book, read, index, word) };
}

/** For each token of `after` its counterpart in `before`, or null: what both share at the ends, and what lies between if it is as long. */
export function counterparts(before, after) {
  const n = after.n_virtual;
  const [ids, old] = [after.ids, before.ids].map((all) => Array.from(all).slice(n));
  const shift = after.tokens_cut - before.tokens_cut;
  const found = ids.map(() => null);
  let left = Math.max(0, -shift);
  while (left < ids.length && left + shift < old.length && ids[left] === old[left + shift]) found[left] = left++ + shift;
  let ends = 0;
  while (ends < Math.min(ids.length - left, old.length - left - shift) && ids.at(-1 - ends) === old.at(-1 - ends)) {
    ends++;
    found[ids.length - ends] = old.length - ends;
  }
  const [middle, oldMiddle] = [ids.length - ends - left, old.length - ends - left - shift];
  if (middle === oldMiddle) for (let i = 0; i < middle; i++) found[left + i] = left + shift + i;
  else if (middle > 0 && oldMiddle > 0) found[left + middle - 1] = left + shift + oldMiddle - 1;
  return [...Array.from({ length: n }, (_, i) => i), ...found.map((source) => (source === null ? null : source + n))];
}
