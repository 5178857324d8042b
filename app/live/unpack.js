// Files as text, because a page that is opened from a file may read no other file: what packing.py packs, unpacked.

const FIRST = 0x3000; // of 2¹⁵ characters in a row that stand for 15 bits each

/** Bytes of a packed file: base64, or { text, size } in characters of 15 bits; both of gzip. */
export async function unpacked(packed) {
  const stream = new Blob([packed.text ? dense(packed) : base64(packed)]).stream().pipeThrough(new DecompressionStream("gzip"));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}

/** Numbers of 16 bits, whose lower and higher halves were packed apart. */
export function merged(low, high) {
  const bytes = new Uint8Array(2 * low.length);
  for (let i = 0; i < low.length; i++) {
    bytes[2 * i] = low[i];
    bytes[2 * i + 1] = high[i];
  }
  return bytes;
}

function base64(text) {
  if (Uint8Array.fromBase64) return Uint8Array.fromBase64(text);
  const characters = atob(text);
  const bytes = new Uint8Array(characters.length);
  for (let i = 0; i < bytes.length; i++) bytes[i] = characters.charCodeAt(i);
  return bytes;
}

function dense({ text, size }) {
  const bytes = new Uint8Array(size);
  let held = 0;
  let bits = 0;
  for (let i = 0, place = 0; place < size; i++) {
    held = (held << 15) | (text.charCodeAt(i) - FIRST);
    bits += 15;
    for (; bits >= 8 && place < size; place++) {
      bits -= 8;
      bytes[place] = held >> bits;
    }
    held &= (1 << bits) - 1;
  }
  return bytes;
}
