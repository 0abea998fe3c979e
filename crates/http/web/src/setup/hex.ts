// Bytes as people paste them: "0167 00 e1", "0x01,0x67", "01:67", or with \x before each. Pure.

/** The digits alone, or null where it is no hex or half a byte. */
export function cleanHex(text: string): string | null {
  const digits = text.replace(/0x|\\x/gi, "").replace(/[\s:,;\-]/g, "").toLowerCase();
  return digits.length > 0 && digits.length % 2 === 0 && /^[0-9a-f]+$/.test(digits) ? digits : null;
}

/** "0367 0110" in groups of bytes, so that a long payload can be read. */
export const spaced = (hex: string): string => hex.replace(/(..)(?=.)/g, "$1 ");
