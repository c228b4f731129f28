/** Random JSON-RPC messages as text, spelled in every way that JSON allows, and texts that are almost such messages. */
import type { Random } from "./random.ts";

const letters = [
  "a",
  "Z",
  "0",
  " ",
  "é",
  "漢",
  "😀",
  '"',
  "\\",
  "/",
  "\n",
  "\t",
  "\u0000",
  "\u007f",
  "\u2028",
  "{",
  "}",
  "[",
  "]",
  ":",
  ",",
];
/** Keys that mean something at some level, so that they turn up at the wrong ones too. */
const keys = [
  "id",
  "method",
  "params",
  "result",
  "error",
  "_meta",
  "progressToken",
  "requestId",
  "task",
  "name",
  "",
  "x",
];

/** A string literal: each character plain, or escaped in one of its ways. */
function stringText(random: Random, value: string): string {
  let text = "";
  for (const letter of value) {
    const mustEscape = letter < " " || letter === '"' || letter === "\\";
    if (random.chance(8)) text += letter.split("").map(escaped).join("");
    else if (mustEscape) text += JSON.stringify(letter).slice(1, -1);
    else if (letter === "/" && random.chance(50)) text += "\\/";
    else text += letter;
  }
  return `"${text}"`;
}

function escaped(unit: string): string {
  return `\\u${unit.charCodeAt(0).toString(16).padStart(4, "0")}`;
}

function randomString(random: Random): string {
  return Array.from({ length: random.int(12) }, () => random.pick(letters)).join("");
}

function space(random: Random): string {
  return random.chance(75) ? "" : random.pick([" ", "\t", "\n", "\r\n", "  "]);
}

function numberText(random: Random): string {
  return random.pick([
    "0",
    "-0",
    "7",
    "-12",
    "3.25",
    "1e5",
    "1E-3",
    "-2.5e+10",
    "9007199254740993",
    "4294967296",
    String(random.int(1e9)),
  ]);
}

function valueText(random: Random, depth: number): string {
  const kind = random.int(depth > 3 ? 4 : 6);
  if (kind === 0) return numberText(random);
  if (kind === 1) return random.pick(["true", "false", "null"]);
  if (kind <= 3) return stringText(random, randomString(random));
  if (kind === 4)
    return listText(
      random,
      Array.from({ length: random.int(4) }, () => valueText(random, depth + 1)),
      "[]",
    );
  const names = random.shuffle([...keys]).slice(0, random.int(5));
  return objectText(
    random,
    names.map((name) => [name, valueText(random, depth + 1)]),
  );
}

function listText(random: Random, items: string[], ends: "[]" | "{}"): string {
  const inside = items.map((item) => `${space(random)}${item}${space(random)}`).join(",");
  return `${ends[0]}${inside === "" ? space(random) : inside}${ends[1]}`;
}

function objectText(random: Random, members: [string, string][]): string {
  const items = members.map(([name, value]) => `${stringText(random, name)}${space(random)}:${space(random)}${value}`);
  return listText(random, items, "{}");
}

function idText(random: Random): string {
  return random.chance(50) ? numberText(random) : stringText(random, randomString(random));
}

function paramsText(random: Random): string {
  if (random.chance(10)) return valueText(random, 2);
  const members: [string, string][] = [
    ["name", valueText(random, 2)],
    ["arguments", valueText(random, 1)],
  ];
  if (random.chance(50)) {
    const meta: [string, string][] = [["x", valueText(random, 3)]];
    if (random.chance(70)) meta.push(["progressToken", idText(random)]);
    members.push(["_meta", objectText(random, random.shuffle(meta))]);
  }
  return objectText(random, random.shuffle(members));
}

/** One valid message. A params that is no object carries no `_meta` that counts. */
export function randomMessage(random: Random): string {
  const members: [string, string][] = [["jsonrpc", '"2.0"']];
  const kind = random.int(3);
  if (kind < 2)
    members.push(["method", stringText(random, random.pick(["tools/call", "ping", "notifications/x", "ключ"]))]);
  if (kind === 2) members.push([random.pick(["result", "error"]), valueText(random, 0)]);
  if (kind !== 1) members.push(["id", idText(random)]);
  if (kind < 2 && random.chance(80)) members.push(["params", paramsText(random)]);
  if (random.chance(30)) members.push(["other", valueText(random, 0)]);
  return `${space(random)}${objectText(random, random.shuffle(members))}${space(random)}`;
}

const debris = [
  '"',
  "{",
  "}",
  "[",
  "]",
  ":",
  ",",
  "\\",
  "0",
  "-",
  ".",
  "e",
  "t",
  "null",
  " ",
  "\n",
  "\u0001",
  "\\u12",
  "é",
];

/** Removes, doubles, replaces or inserts a bit, or cuts the end off. */
export function brokenText(random: Random, text: string): string {
  const at = random.int(text.length);
  const piece = random.pick(debris);
  switch (random.int(5)) {
    case 0:
      return text.slice(0, at) + text.slice(at + 1);
    case 1:
      return text.slice(0, at) + piece + text.slice(at);
    case 2:
      return text.slice(0, at) + piece + text.slice(at + 1);
    case 3:
      return text.slice(0, at);
    default:
      return text.slice(0, at) + text.slice(at, at + 3) + text.slice(at);
  }
}
