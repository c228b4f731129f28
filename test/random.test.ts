/** Ids and secrets are what people pass to commands. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { randomWord, systemSources, type Random } from "../src/random.ts";
import { newRecord } from "../src/sessions/session.ts";

/** Random bytes that all are this one. */
const only = (byte: number): Random => ({ bytes: (count) => Buffer.alloc(count, byte), fraction: () => 0 });

describe("a random word", () => {
  for (const byte of [0x00, 0xf7, 0xf8, 0xfb, 0xff])
    it(`is no option of a command, whatever its bytes: ${byte}`, () => {
      assert.match(randomWord(only(byte), 24), /^[A-Za-z0-9_][A-Za-z0-9_-]{31}$/);
      const sources = { ...systemSources, random: only(byte) };
      assert.match(newRecord({ client: { name: "c", version: "1" } }, null, sources, 1000).id, /^[^-]/);
    });
});
