/** JSON with comments and JSON5 as text, as people write them. */
import { words } from "../../config/clients/helpers/random-config.ts";
import * as fc from "fast-check";

export type Dialect = "json" | "jsonc" | "json5";

const comment = fc.constantFrom("// why\n", "// ]} \"'\r\n", "// ,\r", "/* , */", "/*\n*/", "/**/", "//\n");
const plainBlank = fc.constantFrom("", "", "", " ", "\n", "\t", "\r\n  ");
const blankOf: Record<Dialect, fc.Arbitrary<string>> = {
  json: plainBlank,
  jsonc: fc.oneof({ weight: 5, arbitrary: plainBlank }, comment),
  json5: fc.oneof(
    { weight: 6, arbitrary: plainBlank },
    comment,
    fc.constantFrom("// , \u2028", "\u00a0", "\uFEFF", "\u2028", "\v\f"),
  ),
};

const plainUnit = fc.constantFrom(..."aZ09 é漢/{}[]:,#`".match(/./gsu)!, "😀", "//", "/*");
const escape = fc.constantFrom(...'\\\\ \\" \\n \\t \\/ \\u00e9 \\u0000 \\ud83d'.split(" "));
const moreEscape = fc.constantFrom("\\'", "\\x41", "\\v", "\\0", "\\\n", "\\\r\n", "\\a", "\\\u2028", "\u2028");

function stringOf(dialect: Dialect): fc.Arbitrary<string> {
  const isJson5 = dialect === "json5";
  const unit = fc.oneof(plainUnit, escape, ...(isJson5 ? [moreEscape] : []));
  const quote = isJson5 ? fc.constantFrom('"', "'") : fc.constant('"');
  return fc
    .tuple(quote, fc.array(fc.oneof(unit, fc.constantFrom('"', "'")), { maxLength: 6 }))
    .map(([mark, units]) => mark + units.filter((one) => one !== mark && (isJson5 || one !== '"')).join("") + mark);
}

const numbers: Record<Dialect, string[]> = {
  json: ["0", "-0", "1e3", "-12.5", "9007199254740993"],
  jsonc: ["0", "1.50E-2"],
  json5: ["+1", ".5", "-.5", "5.", "0x1F", "-0XaB", "Infinity", "-Infinity", "NaN", "+NaN", "1e-7"],
};

const names = ["mcpServers", "command", "args", "env", "a", "$x_1", "été", "b"];

/** A key, bare where the dialect has that. */
export function keyOf(dialect: Dialect, name: fc.Arbitrary<string>): fc.Arbitrary<string> {
  return fc
    .tuple(name, fc.boolean())
    .map(([text, isBare]) =>
      dialect === "json5" && isBare && /^[\p{L}$_][\p{L}$_\d]*$/u.test(text) ? text : JSON.stringify(text),
    );
}

export function listOf(
  dialect: Dialect,
  open: string,
  items: fc.Arbitrary<string[]>,
  close: string,
): fc.Arbitrary<string> {
  return fc
    .tuple(
      items,
      fc.array(blankOf[dialect], { minLength: 1, maxLength: 5 }),
      dialect === "json" ? fc.constant(false) : fc.boolean(),
    )
    .map(([each, blanks, isTrailing]) => {
      const at = (index: number) => blanks[index % blanks.length] ?? "";
      const inside = each.map((item, index) => at(2 * index) + item + at(2 * index + 1)).join(",");
      return open + inside + (isTrailing && each.length > 0 ? "," : "") + at(each.length) + close;
    });
}

export function membersOf(
  dialect: Dialect,
  members: fc.Arbitrary<[key: string, value: string][]>,
): fc.Arbitrary<string> {
  const items = fc
    .tuple(members, blankOf[dialect], blankOf[dialect])
    .map(([each, before, after]) => each.map(([key, value]) => `${key}${before}:${after}${value}`));
  return listOf(dialect, "{", items, "}");
}

export function valueIn(dialect: Dialect): fc.Arbitrary<string> {
  const leaf = fc.oneof(
    stringOf(dialect),
    fc.constantFrom("true", "false", "null", ...numbers[dialect], ...numbers.json),
  );
  const key = fc.oneof(keyOf(dialect, fc.constantFrom(...names, "__proto__", "with space")), stringOf(dialect));
  return fc.letrec<{ value: string }>((tie) => ({
    value: fc.oneof(
      { maxDepth: 3, depthSize: "small" },
      { weight: 3, arbitrary: leaf },
      { weight: 1, arbitrary: listOf(dialect, "[", fc.array(tie("value"), { maxLength: 3 }), "]") },
      { weight: 2, arbitrary: membersOf(dialect, fc.array(fc.tuple(key, tie("value")), { maxLength: 3 })) },
    ),
  })).value;
}

/** The whole text, with blanks and perhaps a byte order mark around it. */
export function documentOf(dialect: Dialect, root: fc.Arbitrary<string>): fc.Arbitrary<string> {
  return fc
    .tuple(fc.constantFrom("", "", "\uFEFF"), blankOf[dialect], root, blankOf[dialect])
    .map((parts) => parts.join(""));
}

export const dialects: readonly Dialect[] = ["json", "jsonc", "json5"];

const word = fc.constantFrom(...words, "run", "holdfast", "//x", "\u007f", "\u2028");

/** A client's file with servers at `path`: whole texts as in `valueIn`, values of known meaning where it matters. */
export function clientFile(dialect: Dialect, path: readonly string[]): fc.Arbitrary<string> {
  const text = (value: fc.Arbitrary<string>) =>
    value.map((each) =>
      dialect === "json5" && !/['\\\n"]/.test(each) && each.length % 2 === 0 ? `'${each}'` : JSON.stringify(each),
    );
  const key = (name: string) => keyOf(dialect, fc.constant(name));
  const command = fc.tuple(
    key("command"),
    text(
      fc.oneof(
        word.filter((each) => each !== ""),
        fc.constantFrom("node", "uvx", "/opt/my server/bin"),
      ),
    ),
  );
  const args = fc.tuple(key("args"), listOf(dialect, "[", fc.array(text(word), { maxLength: 4 }), "]"));
  const extra = fc.tuple(keyOf(dialect, fc.constantFrom("env", "type", "timeout", "x")), valueIn(dialect));
  const members = fc
    .tuple(
      fc.option(command, { nil: undefined, freq: 8 }),
      fc.option(args, { nil: undefined, freq: 4 }),
      fc.option(extra, { nil: undefined }),
      fc.nat(2),
    )
    .map(([...parts]) => {
      const turn = parts.pop() as number;
      const all = (parts as ([string, string] | undefined)[]).filter((each) => each !== undefined);
      return [...all.slice(turn), ...all.slice(0, turn)];
    });
  const server = fc.oneof({ weight: 8, arbitrary: membersOf(dialect, members) }, valueIn(dialect));
  const serverName = keyOf(
    dialect,
    fc.constantFrom("files", "with-dash", "holdfast", "Ünicode x", "dotted.name", "a", "__proto__"),
  );
  const servers = fc.uniqueArray(fc.tuple(serverName, server), {
    maxLength: 4,
    selector: ([name]) => name.replaceAll('"', ""),
  });
  const inner = membersOf(dialect, servers);
  const whole = path.toReversed().reduce((text_, name) => {
    const more = fc.option(fc.tuple(keyOf(dialect, fc.constantFrom("before", "theme")), valueIn(dialect)), {
      nil: undefined,
    });
    return membersOf(
      dialect,
      fc
        .tuple(more, fc.tuple(key(name), text_), fc.boolean())
        .map(([other, own, isLast]) => (other === undefined ? [own] : isLast ? [other, own] : [own, other])),
    );
  }, inner);
  return documentOf(dialect, whole);
}
