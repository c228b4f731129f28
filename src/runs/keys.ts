/** Key names, as in tmux and common use, and the bytes that a terminal sends for them. */
import { HoldfastError } from "../errors.ts";

/** Keys with the same bytes in every mode. */
const fixed: Record<string, string> = {
  Enter: "\r",
  Return: "\r",
  Tab: "\t",
  BTab: "\x1b[Z",
  Escape: "\x1b",
  Esc: "\x1b",
  Space: " ",
  BSpace: "\x7f",
  Backspace: "\x7f",
  Delete: "\x1b[3~",
  Insert: "\x1b[2~",
  PageUp: "\x1b[5~",
  PageDown: "\x1b[6~",
  F1: "\x1bOP",
  F2: "\x1bOQ",
  F3: "\x1bOR",
  F4: "\x1bOS",
  F5: "\x1b[15~",
  F6: "\x1b[17~",
  F7: "\x1b[18~",
  F8: "\x1b[19~",
  F9: "\x1b[20~",
  F10: "\x1b[21~",
  F11: "\x1b[23~",
  F12: "\x1b[24~",
};

/** Keys that depend on the "application cursor keys" mode, by their last byte. */
const cursor: Record<string, string> = { Up: "A", Down: "B", Right: "C", Left: "D", Home: "H", End: "F" };

const byLowerCase = new Map([...Object.keys(fixed), ...Object.keys(cursor)].map((name) => [name.toLowerCase(), name]));

/** Bytes of one key: a name, one character, or either with `C-` (Ctrl) or `M-` (Alt) before it. */
function keyBytes(key: string, applicationCursor: boolean): string | undefined {
  const modifier = /^(?:(C-|Ctrl[-+]|\^)|(M-|Alt[-+]|A-))(.+)$/i.exec(key);
  if (modifier !== null && key !== "^") {
    const [, ctrl, , rest = ""] = modifier;
    if (ctrl !== undefined) return controlBytes(rest);
    const plain = keyBytes(rest, applicationCursor);
    return plain === undefined ? undefined : `\x1b${plain}`;
  }
  const name = byLowerCase.get(key.toLowerCase());
  if (name !== undefined) return fixed[name] ?? `\x1b${applicationCursor ? "O" : "["}${cursor[name]}`;
  return /^.$/su.test(key) ? key : undefined;
}

function controlBytes(key: string): string | undefined {
  if (key.toLowerCase() === "space") return "\0";
  if (key.length !== 1) return undefined;
  if (key === "?") return "\x7f";
  const code = key.toUpperCase().charCodeAt(0);
  return code >= 64 && code <= 95 ? String.fromCharCode(code - 64) : undefined;
}

/** Throws `keys_invalid` with the first invalid key; then nothing is sent. */
export function bytesOfKeys(keys: readonly string[], applicationCursor = false): string {
  return keys
    .map((key) => {
      const bytes = keyBytes(key, applicationCursor);
      if (bytes !== undefined) return bytes;
      const names = [...Object.keys(cursor), ...Object.keys(fixed)].join(" ");
      const message = `no key ${JSON.stringify(key.slice(0, 40))}; there is a single character, C-a to C-z, M-<key>, and ${names}`;
      throw new HoldfastError("keys_invalid", message);
    })
    .join("");
}
