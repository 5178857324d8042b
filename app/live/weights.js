// A model's weights, as safetensors in 16 bits, widened to the 32 in which everything is computed.

const HALVES = halves();

/** Tensors of a safetensors file in float32: name → { shape, data }. */
export function readTensors(bytes) {
  const length = Number(new DataView(bytes.buffer, bytes.byteOffset).getBigUint64(0, true));
  const header = JSON.parse(new TextDecoder().decode(bytes.subarray(8, 8 + length)));
  delete header.__metadata__;
  const tensors = {};
  for (const [name, { dtype, shape, data_offsets: [start, end] }] of Object.entries(header)) {
    const raw = bytes.slice(8 + length + start, 8 + length + end).buffer; // a copy, so that it is aligned
    tensors[name] = { shape, data: dtype === "F16" ? widened(new Uint16Array(raw)) : new Float32Array(raw) };
  }
  return tensors;
}

/**
 * The weights of a way of training that changed little of its base, as `gpt2cls_core.deltas` puts them together.
 *
 * What the delta has under a name of the base's replaces it; LoRA's thin matrices are multiplied and added, W + scale · (B A)ᵀ;
 * `prompt_embeddings` are kept under that name.
 */
export function withDelta(base, delta, scale) {
  const changed = { ...base };
  for (const [name, tensor] of Object.entries(delta)) {
    const plain = name.replace(/^base_model\./, "").replace(/^model\./, "");
    if (plain.endsWith(".lora_B.weight")) continue;
    if (!plain.endsWith(".lora_A.weight")) {
      changed[plain] = tensor;
      continue;
    }
    const matrix = `${plain.slice(0, -".lora_A.weight".length)}.weight`;
    changed[matrix] = added(base[matrix], tensor, delta[name.replace("lora_A", "lora_B")], scale);
  }
  return changed;
}

/** W [in out] + scale · (B [out r] A [r in])ᵀ. */
function added({ shape: [rows, columns], data }, a, b, scale) {
  const sum = Float32Array.from(data);
  const rank = a.shape[0];
  for (let i = 0; i < rows; i++) {
    for (let j = 0; j < columns; j++) {
      let product = 0;
      for (let k = 0; k < rank; k++) product += b.data[j * rank + k] * a.data[k * rows + i];
      sum[i * columns + j] += scale * product;
    }
  }
  return { shape: [rows, columns], data: sum };
}

function widened(numbers) {
  const wide = new Float32Array(numbers.length);
  for (let i = 0; i < wide.length; i++) wide[i] = HALVES[numbers[i]];
  return wide;
}

/** Every number of 16 bits, by its bits. */
function halves() {
  const table = new Float32Array(65536);
  for (let bits = 0; bits < table.length; bits++) {
    const sign = bits & 0x8000 ? -1 : 1;
    const exponent = (bits >> 10) & 31;
    const fraction = bits & 1023;
    if (exponent === 31) table[bits] = fraction ? NaN : sign * Infinity;
    else table[bits] = sign * (exponent ? (1 + fraction / 1024) * 2 ** (exponent - 15) : fraction * 2 ** -24);
  }
  return table;
}
