/** Adds a member to an object in a JSON text, or removes one, without touching other lines and comments. */
import { applyEdits, type Edit, type ObjectNode, type Span } from "./tree.ts";

/** Past the blanks and comments of a line. */
function afterRestOfLine(text: string, from: number): number {
  const restOfLine = /[ \t]*(?:\/\*[^\n]*?\*\/[ \t]*)*(?:\/\/[^\n\r\u2028\u2029]*)?/y;
  restOfLine.lastIndex = from;
  return from + (restOfLine.exec(text)?.[0].length ?? 0);
}

/** The comma after a value, past comments; undefined if there is none. */
function commaAfter(text: string, end: number): number | undefined {
  const pattern = /(?:\s|\/\*[^]*?\*\/|\/\/[^\n\r\u2028\u2029]*)*/y;
  pattern.lastIndex = end;
  const comma = end + (pattern.exec(text)?.[0].length ?? 0);
  return text[comma] === "," ? comma : undefined;
}

/** Past the last of the comments from here on, each whole. */
function afterComments(text: string, from: number): number {
  const comments = /(?:\s*(?:\/\*[^]*?\*\/|\/\/[^\n\r\u2028\u2029]*))*/y;
  comments.lastIndex = from;
  return from + (comments.exec(text)?.[0].length ?? 0);
}

/** The whitespace before an offset, if nothing else precedes it on its line. */
function indentOf(text: string, offset: number): string | undefined {
  const before = text.slice(text.lastIndexOf("\n", offset - 1) + 1, offset);
  return /^[ \t]*$/.test(before) ? before : undefined;
}

function layOut(value: unknown, indent: string, unit: string, end: string): string {
  return JSON.stringify(value, null, unit).replaceAll("\n", end + indent);
}

/** Adds a last member with a new key, on its own lines unless the object is on one. */
export function withMember(text: string, object: ObjectNode, key: string, value: unknown): string {
  const end = text.includes("\r\n") ? "\r\n" : "\n";
  const outer = /^[ \t]*/.exec(text.slice(text.lastIndexOf("\n", object.start) + 1))?.[0] ?? "";
  const unit = /\n(\t| {1,8})\S/.exec(text)?.[1] ?? "  ";
  const last = object.members.at(-1);
  const name = JSON.stringify(key);
  if (last === undefined) {
    const indent = outer + unit;
    const inside = `${end}${indent}${name}: ${layOut(value, indent, unit, end)}${end}${outer}`;
    // Comments of an empty object stay above the new member.
    const kept = afterComments(text, object.start + 1);
    return applyEdits(text, [{ start: kept, end: object.end - 1, text: inside }]);
  }
  const indent = indentOf(text, last.keySpan.start);
  const comma = commaAfter(text, last.value.end);
  if (indent === undefined) {
    const written = `${name}: ${JSON.stringify(value)}`;
    // Behind a trailing comma, so that a comment before it stays with its own member.
    const edit = comma === undefined ? at(last.value.end, `, ${written}`) : at(comma + 1, ` ${written},`);
    return applyEdits(text, [edit]);
  }
  const member = `${end}${indent}${name}: ${layOut(value, indent, unit, end)}`;
  if (comma !== undefined) return applyEdits(text, [at(afterRestOfLine(text, comma + 1), `${member},`)]);
  const place = afterRestOfLine(text, last.value.end);
  if (place === last.value.end) return applyEdits(text, [at(place, `,${member}`)]);
  return applyEdits(text, [at(last.value.end, ","), at(place, member)]);
}

function at(start: number, text: string): Edit {
  return { start, end: start, text };
}

/** Removes it with its comma, and its lines if they hold nothing else. */
export function withoutMember(text: string, object: ObjectNode, key: string): string {
  const index = object.members.findIndex((member) => member.key === key);
  const member = object.members[index];
  if (member === undefined) return text;
  const comma = commaAfter(text, member.value.end);
  const span: Span = { start: member.keySpan.start, end: comma === undefined ? member.value.end : comma + 1 };
  const edits: Edit[] = [];
  const indent = indentOf(text, span.start);
  const lineEnd = afterRestOfLine(text, span.end);
  const newline = /^\r?\n/.exec(text.slice(lineEnd, lineEnd + 2))?.[0];
  if (indent !== undefined && newline !== undefined) {
    span.start -= indent.length;
    span.end = lineEnd + newline.length;
  } else if (comma !== undefined) span.end += /^[ \t]*/.exec(text.slice(span.end))?.[0].length ?? 0;
  const before = object.members[index - 1];
  // The new last member loses its trailing comma.
  if (comma === undefined && before !== undefined) {
    const useless = commaAfter(text, before.value.end);
    if (useless !== undefined && /^,\s*$/.test(text.slice(useless, span.start)) && indent === undefined)
      span.start = useless;
    else if (useless !== undefined) edits.push({ start: useless, end: useless + 1, text: "" });
  }
  return applyEdits(text, [...edits, { ...span, text: "" }]);
}
