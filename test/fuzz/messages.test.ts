/** Messages between processes and machines: what is valid arrives as it was, and nothing else does. */
import assert from "node:assert/strict";
import { describe } from "node:test";
import * as fc from "fast-check";
import type { z } from "zod";
import {
  frontMessage,
  frontRequests,
  keeperMessage,
  readFrontMessage,
  readKeeperMessage,
} from "../../src/protocol/keeper/messages.ts";
import {
  gatewayMessage,
  nodeMessage,
  nodeRequests,
  readGatewayMessage,
  readNodeMessage,
} from "../../src/protocol/node/messages.ts";
import { readAs } from "../../src/protocol/shapes.ts";
import { asBytes, damaged, deepText, valueText } from "./helpers/json-texts.ts";
import { property } from "./helpers/property.ts";
import { harm, harmed, throughJson, unknownKey, valueOf } from "./helpers/shapes.ts";

type Heard = { message: unknown } | { wrong: string };

const kinds: [who: string, shape: z.ZodType, read: (heard: unknown) => Heard][] = [
  ["a front", frontMessage, readFrontMessage],
  ["a keeper", keeperMessage, readKeeperMessage],
  ["a gateway to a node", gatewayMessage, (heard) => readGatewayMessage(JSON.stringify(heard))],
  ["a node", nodeMessage, (heard) => readNodeMessage(JSON.stringify(heard))],
];
/** Below these keys the names are the sender's own. */
const free = new Set(["env", "data", "headers", "result"]);

function isRefused(read: Heard): boolean {
  if ("message" in read) return false;
  assert.ok(read.wrong.length > 0);
  return true;
}

/** All objects in it whose keys are not the sender's own. */
function objectsIn(value: unknown): Record<string, unknown>[] {
  if (typeof value !== "object" || value === null) return [];
  const below = Object.entries(value).flatMap(([key, each]) => (free.has(key) ? [] : objectsIn(each)));
  return Array.isArray(value) ? below : [value as Record<string, unknown>, ...below];
}

describe("a message of", () => {
  for (const [who, shape, read] of kinds) {
    const valid = valueOf(shape).map(throughJson);
    property(`${who} that fits arrives as it was`, 150, valid, (message) => {
      assert.deepEqual(read(message), { message });
    });
    property(
      `${who} that is another is refused, or is what was said and no more`,
      300,
      fc.tuple(valid, fc.array(harm, { minLength: 1, maxLength: 2 })),
      ([message, harms]) => {
        const heard = throughJson(harms.reduce((value, each) => harmed(value, each).value, message) ?? null);
        const got = read(heard);
        if (!isRefused(got)) assert.deepEqual((got as { message: unknown }).message, heard);
      },
    );
    property(`${who} with one key too many is refused wherever that is`, 60, valid, (message) => {
      for (const place of objectsIn(message)) {
        place[unknownKey] = 1;
        assert.ok(isRefused(read(message)), JSON.stringify(message));
        delete place[unknownKey];
      }
    });
  }
  const reads = { readGatewayMessage, readNodeMessage };
  for (const [name, read] of Object.entries(reads))
    property(
      `another machine is refused when it is any text (${name})`,
      300,
      fc.oneof(
        asBytes(valueText),
        asBytes(damaged(valueText)),
        deepText.map((text) => Buffer.from(`{"type":"reply","id":1,"result":${text}`)),
      ),
      (frame) => {
        assert.ok(isRefused(read(frame.toString("utf8"))));
      },
    );
});

describe("the answer to a request", () => {
  for (const [what, requests] of Object.entries({ front: frontRequests, node: nodeRequests })) {
    const all = fc
      .constantFrom(...Object.values(requests))
      .chain(({ result }) => fc.tuple(fc.constant(result as z.ZodType), valueOf(result).map(throughJson), harm));
    property(
      `of a ${what} arrives as it was, and another one is refused or is what was said`,
      400,
      all,
      ([shape, answer, each]) => {
        assert.deepEqual(readAs(shape, answer), { message: answer });
        const heard = throughJson(harmed(answer, each).value ?? null);
        const got = readAs(shape, heard);
        if (!isRefused(got)) assert.deepEqual((got as { message: unknown }).message, heard);
      },
    );
  }
});
