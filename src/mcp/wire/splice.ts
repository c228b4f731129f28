/** Replaces spans of a message, in one copy. */

/** Replaces the bytes from `start` to `end` by `text`, which holds one byte per character (latin1). */
export interface Edit {
  start: number;
  end: number;
  text: string;
}

/** The text around a message in a server-sent event. */
export const eventHead = "event: message\ndata: ";
export const eventTail = "\n\n";
export const eventFraming = { head: eventHead, tail: eventTail };

/** A new buffer: `head`, the message with its edits (which must not overlap, in any order), `tail`. */
export function splice(bytes: Buffer, edits: Edit[], head = "", tail = ""): Buffer {
  if (edits.length > 1) edits.sort((a, b) => a.start - b.start);
  let total = head.length + bytes.length + tail.length;
  for (const { start, end, text } of edits) total += text.length - (end - start);
  const out = Buffer.allocUnsafe(total);
  let to = out.write(head, 0, "latin1");
  let from = 0;
  for (const { start, end, text } of edits) {
    to += bytes.copy(out, to, from, start);
    to += out.write(text, to, "latin1");
    from = end;
  }
  to += bytes.copy(out, to, from);
  out.write(tail, to, "latin1");
  return out;
}

/** The same as a string of one character per byte, for a message short enough to be sent with its head in one write. */
export function spliceText(bytes: Buffer, edits: Edit[]): string {
  if (edits.length > 1) edits.sort((a, b) => a.start - b.start);
  let out = "";
  let from = 0;
  for (const { start, end, text } of edits) {
    out += bytes.toString("latin1", from, start) + text;
    from = end;
  }
  return out + bytes.toString("latin1", from);
}

/** Turns a valid JSON text into one line: its line breaks can only be between tokens. Changes `bytes` in place. */
export function flatten(bytes: Buffer): Buffer {
  for (let at = 0; at < bytes.length; at++) {
    const byte = bytes[at];
    if (byte === 0x0a || byte === 0x0d) bytes[at] = 0x20;
  }
  return bytes;
}
