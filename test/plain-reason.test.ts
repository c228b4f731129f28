/** Errors of the system are told in words that a person can act on. */
import assert from "node:assert/strict";
import { lookup } from "node:dns/promises";
import { readFile } from "node:fs/promises";
import { describe, it } from "node:test";
import { HoldfastError } from "../src/errors.ts";
import { reasonOf } from "../src/plain-reason.ts";

const reasonFor = async (attempt: Promise<unknown>): Promise<string> =>
  reasonOf(await attempt.catch((thrown: unknown) => thrown));

describe("the reason of a failure", () => {
  it("is plain words in place of the system's code, however deep the cause lies", async () => {
    assert.equal(await reasonFor(readFile(import.meta.dirname)), "it is a directory");
    assert.equal(await reasonFor(readFile(`${import.meta.filename}/x`)), "a part of its path is not a directory");
    assert.match(
      await reasonFor(lookup("no-such-host.invalid")),
      /^(?:the host was not found|the name of the host could not be looked up)$/,
    );
    assert.equal(await reasonFor(fetch("http://127.0.0.1:9009")), "nothing listens there");
  });

  it("is our own message where we made it, else the innermost one", () => {
    const denied = Object.assign(new Error("EACCES"), { code: "EACCES" });
    assert.equal(reasonOf(new HoldfastError("file_exposed", "it is a link", { cause: denied })), "it is a link");
    assert.equal(reasonOf(new Error("outer", { cause: new Error("inner") })), "inner");
    assert.equal(reasonOf("text"), "text");
  });
});
