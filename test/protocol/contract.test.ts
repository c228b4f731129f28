/** Every message that crosses a process or a machine: a valid one passes at the end that hears it, a broken one is refused with the name of its field. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { api } from "../../src/protocol/api/index.ts";
import { frontRequests, readFrontMessage, readKeeperMessage } from "../../src/protocol/keeper/messages.ts";
import { nodeRequests, readGatewayMessage, readNodeMessage } from "../../src/protocol/node/messages.ts";
import { readAs } from "../../src/protocol/shapes.ts";
import {
  about,
  backgroundSamples,
  change,
  credit,
  failure,
  frontSamples,
  hello,
  node,
  nodeSamples,
  openIds,
  place,
  progress,
  prove,
  run,
  server,
  settings,
  token,
  type Sample,
} from "./helpers/samples.ts";

type Reader = (message: unknown) => { message: unknown } | { wrong: string };

const frame =
  (read: (frame: string) => ReturnType<Reader>): Reader =>
  (message) =>
    read(JSON.stringify(message));

const ends: [who: string, read: Reader, samples: Sample[]][] = [
  [
    "keeper, from its front",
    readFrontMessage,
    [
      ...Object.entries(frontSamples).map(([type, [params]]) => ({ type, request: 1, params })),
      { type: "listening", urls: ["http://127.0.0.1:1"] },
      { type: "failed", code: "internal", message: "m" },
      credit,
      { type: "heartbeat", lastMethod: "m" },
      { type: "progress", progress },
      { type: "finished", finish: { exitCode: null, failure } },
    ],
  ],
  [
    "front, from its keeper",
    readKeeperMessage,
    [
      { ...hello, node: settings, runs: [{ run, blob: "", openIds }] },
      { type: "reply", request: 1, result: null },
      { type: "refusal", request: 1, code: "run_unknown", message: "m" },
      { type: "run.state", run, channel: 1 },
      credit,
      { type: "tokens", tokens: [token] },
      { type: "servers", servers: [server], change },
      { type: "event", event: { name: "run.ended", at: 1, data: { run: "r1-0a" } } },
      { type: "drain", reason: "shutdown" },
    ],
  ],
  [
    "node, from its gateway",
    frame(readGatewayMessage),
    [
      { type: "challenge", nonce: "A".repeat(43), gateway: "0".repeat(32), version: "0" },
      { type: "pending", node },
      { type: "welcome", node, name: "n", leaseMs: 1, beatMs: 1 },
      { type: "refused", code: "node_revoked", message: "m" },
      ...Object.entries(nodeSamples).map(([name, [params]]) => ({ type: "ask", id: 1, name, params })),
    ],
  ],
  [
    "gateway, from a node",
    frame(readNodeMessage),
    [
      { ...prove, once: false, about, signature: "A".repeat(86) },
      { type: "runs", runs: [{ request: "n1-a", run }], more: false },
      { type: "reply", id: 1, result: null },
      { type: "refusal", id: 1, code: "run_unknown", message: "m" },
      { type: "state", request: "n1-a", run },
    ],
  ],
];

/** The sample with something else at `path`; without it when `value` is undefined. */
function changed(sample: unknown, path: readonly string[], value: unknown): unknown {
  const [key, ...rest] = path;
  if (key === undefined) return value;
  const copy: Sample = { ...(sample as Sample) };
  if (rest.length === 0 && value === undefined) delete copy[key];
  else copy[key] = changed(copy[key], rest, value);
  return copy;
}

/** Fields of a message, as deep as they are objects; what is passed on as it is has none. */
function pathsOf(sample: unknown, above: readonly string[] = []): string[][] {
  if (typeof sample !== "object" || sample === null || Array.isArray(sample)) return [];
  return Object.entries(sample).flatMap(([key, value]) => [[...above, key], ...pathsOf(value, [...above, key])]);
}

/** Free by design: variables, headers and what is told to people. */
const isFree = (path: readonly string[]) => path.some((key) => ["env", "headers", "data", "result"].includes(key));
/** What tells which message it is: with another value it is none, or another one. */
const isKind = (path: readonly string[]) => path.length === 1 && ["type", "name"].includes(path[0] ?? "");
const isOptional = (path: readonly string[]) => ["node", "processesMax"].includes(path.at(-1) ?? "") && path.length > 2;

function refuses(read: Reader, message: unknown, field: string, what: string): void {
  const heard = read(message);
  assert.ok("wrong" in heard, `${what} is taken: ${JSON.stringify(message).slice(0, 300)}`);
  assert.ok(heard.wrong.includes(field), `${what} does not name ${field}: ${heard.wrong}`);
}

for (const [who, read, samples] of ends) {
  describe(`what is heard by a ${who}`, () => {
    for (const sample of samples) {
      const name = [sample["type"], sample["type"] === "ask" ? sample["name"] : undefined].filter(Boolean).join(" ");
      it(`${name}: a valid one passes as it is, and broken ones are refused by field`, () => {
        assert.deepEqual(read(sample), { message: sample });
        refuses(read, { ...sample, surplus: 1 }, "surplus", "an unknown field");
        for (const path of pathsOf(sample)) {
          const field = path.at(-1) ?? "";
          if (isFree(path) || isKind(path)) continue;
          refuses(read, changed(sample, path, Symbol), field, "a missing field is read as one; a wrong one");
          if (!isOptional(path)) refuses(read, changed(sample, path, undefined), field, "a message without a field");
          const value = path.reduce<unknown>((at, key) => (at as Sample)[key], sample);
          if (typeof value === "object" && value !== null && !Array.isArray(value))
            refuses(read, changed(sample, [...path, "surplus"], 1), "surplus", "an unknown field inside");
        }
      });
    }
  });
}

describe("what is bounded", () => {
  const long = "a".repeat(1_000_000);
  const bounded: [who: string, read: Reader, sample: Sample, paths: string[][]][] = [
    [
      "run.start",
      readFrontMessage,
      { type: "run.start", request: 1, params: frontSamples["run.start"]?.[0] },
      [
        ["params", "server"],
        ["params", "sessionId"],
        ["params", "blob"],
      ],
    ],
    [
      "exec.write",
      readFrontMessage,
      { type: "exec.write", request: 1, params: frontSamples["exec.write"]?.[0] },
      [
        ["params", "run"],
        ["params", "bytes"],
      ],
    ],
    ["heartbeat", readFrontMessage, { type: "heartbeat", lastMethod: "m" }, [["lastMethod"]]],
    ["failed", readFrontMessage, { type: "failed", code: "internal", message: "m" }, [["message"]]],
    ["progress", readFrontMessage, { type: "progress", progress }, [["progress", "text"]]],
    [
      "state",
      frame(readNodeMessage),
      { type: "state", request: "n1-a", run },
      [["request"], ["run", "id"], ["run", "host"], ["run", "signal"]],
    ],
    ["refusal", frame(readNodeMessage), { type: "refusal", id: 1, code: "run_unknown", message: "m" }, [["message"]]],
    [
      "prove",
      frame(readNodeMessage),
      { ...prove, once: false, about, signature: "A".repeat(86) },
      [["publicKey"], ["name"], ["invite"], ["about", "hostname"]],
    ],
    [
      "challenge",
      frame(readGatewayMessage),
      { type: "challenge", nonce: "A".repeat(43), gateway: node, version: "0" },
      [["nonce"], ["gateway"], ["version"]],
    ],
  ];
  for (const [name, read, sample, paths] of bounded) {
    it(`${name}: a text that is too long is refused by field`, () => {
      for (const path of paths)
        refuses(read, changed(sample, path, long), path.at(-1) ?? "", "a text that is too long");
    });
  }

  it("numbers: beyond their bounds, fractions and text in their place are refused by field", () => {
    const wait = { type: "exec.wait", request: 1, params: place };
    for (const value of [-1, 60_001, 0.5, "1"])
      refuses(readFrontMessage, changed(wait, ["params", "waitMs"], value), "waitMs", String(value));
    for (const value of [0, 2 ** 32, 1.5])
      refuses(readKeeperMessage, { ...credit, channel: value }, "channel", String(value));
  });
});

describe("answers", () => {
  const tables: [string, Record<string, { result: Parameters<typeof readAs>[0] }>, typeof backgroundSamples][] = [
    ["a keeper's", frontRequests, frontSamples],
    ["a node's", nodeRequests, nodeSamples],
  ];
  for (const [whose, table, samples] of tables) {
    it(`${whose}: each request has its own, and no other is taken for it`, () => {
      assert.deepEqual(Object.keys(table).toSorted(), Object.keys(samples).toSorted(), "every request has a sample");
      for (const [name, { result }] of Object.entries(table)) {
        const answer = samples[name]?.[1];
        const read: Reader = (heard) => readAs(result, heard);
        assert.deepEqual(read(answer), { message: answer }, name);
        assert.ok("wrong" in read(7), name);
        for (const path of pathsOf(answer)) {
          if (whose === "a keeper's" && ["run.refresh", "run.launches"].includes(name) && path.length === 1) continue;
          const field = path.at(-1) ?? "";
          refuses(read, changed(answer, path, undefined), field, `${name} without a field`);
        }
      }
    });
  }

  it("of the API: the run that it shows is the one that keeper and node tell", () => {
    for (const name of ["run.start", "run.kill", "run.wait"] as const)
      assert.equal(api[name].result, frontRequests["exec.wait"].result);
    assert.equal(nodeRequests["exec.wait"].result, frontRequests["exec.wait"].result);
  });
});

describe("parameters of the API", () => {
  it("are strict: an unknown one is refused by name, in every method", () => {
    for (const { params } of Object.values(api))
      refuses((heard) => readAs(params, heard), { surplus: 1 }, "surplus", "it");
  });
});
