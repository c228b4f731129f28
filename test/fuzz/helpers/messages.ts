/** JSON-RPC messages as text, most of them almost valid. */
import * as fc from "fast-check";
import { deepText, numberText, objectText, spelled, stringText, valueText, type MemberTexts } from "./json-texts.ts";

const key = (name: string) => fc.oneof({ weight: 5, arbitrary: fc.constant(`"${name}"`) }, spelled(fc.constant(name)));
const member = (name: string, value: fc.Arbitrary<string>) => fc.tuple(key(name), value);
export const idText = fc.oneof(numberText, stringText);
/** Mostly as it should be. */
const mostly = (usual: fc.Arbitrary<string>, weight = 12) =>
  fc.oneof({ weight, arbitrary: usual }, { weight: 1, arbitrary: fc.oneof(valueText, deepText) });

function shuffled(members: fc.Arbitrary<[string, string] | undefined>[]): fc.Arbitrary<MemberTexts> {
  const more = fc.oneof(
    { weight: 6, arbitrary: fc.constant<MemberTexts>([]) },
    { weight: 1, arbitrary: fc.array(fc.tuple(stringText, valueText), { minLength: 1, maxLength: 2 }) },
  );
  return fc.tuple(fc.tuple(...members), more, fc.nat(9)).map(([own, others, turn]) => {
    const all = [...own.filter((each) => each !== undefined), ...others];
    return [...all.slice(turn % (all.length + 1)), ...all.slice(0, turn % (all.length + 1))];
  });
}
const sometimes = <T>(value: fc.Arbitrary<T>) => fc.option(value, { nil: undefined });

const meta = mostly(
  objectText(
    shuffled([
      sometimes(member("progressToken", mostly(idText))),
      sometimes(member("io.modelcontextprotocol/protocolVersion", mostly(fc.constant('"2026-07-28"')))),
    ]),
  ),
);
const params = mostly(
  objectText(
    shuffled([
      sometimes(member("name", mostly(stringText))),
      sometimes(member("uri", mostly(stringText))),
      sometimes(member("arguments", valueText)),
      sometimes(member("progressToken", mostly(idText))),
      sometimes(member("requestId", mostly(idText))),
      sometimes(member("task", valueText)),
      sometimes(member("requestState", valueText)),
      sometimes(member("_meta", meta)),
    ]),
  ),
);
const version = member("jsonrpc", mostly(fc.constant('"2.0"'), 30));
const method = member("method", mostly(fc.oneof(fc.constantFrom('"tools/call"', '"initialize"'), stringText), 20));

export const messageText: fc.Arbitrary<string> = fc.oneof(
  {
    weight: 4,
    arbitrary: objectText(
      shuffled([version, member("id", mostly(idText)), method, sometimes(member("params", params))]),
    ),
  },
  { weight: 2, arbitrary: objectText(shuffled([version, method, sometimes(member("params", params))])) },
  { weight: 2, arbitrary: objectText(shuffled([version, member("id", mostly(idText)), member("result", valueText)])) },
  { weight: 1, arbitrary: objectText(shuffled([version, member("id", mostly(idText)), member("error", valueText)])) },
  {
    weight: 1,
    arbitrary: objectText(
      shuffled([
        sometimes(version),
        sometimes(member("id", valueText)),
        sometimes(method),
        sometimes(member("result", valueText)),
        sometimes(member("error", valueText)),
      ]),
    ),
  },
  { weight: 1, arbitrary: valueText },
);

/** Nesting of a JSON text. */
export function depthOf(text: string): number {
  let [depth, deepest] = [0, 0];
  for (const [token] of text.matchAll(/"(?:[^"\\]|\\.)*"|[[\]{}]/g)) {
    if (token === "{" || token === "[") deepest = Math.max(deepest, ++depth);
    else if (token === "}" || token === "]") depth--;
  }
  return deepest;
}
