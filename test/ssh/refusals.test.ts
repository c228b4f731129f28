/** What is wrong with a far side is said with its remedy, and nothing is left half-started. */
import assert from "node:assert/strict";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, it } from "node:test";
import type { FarSideOptions } from "../helpers/far-side.ts";
import { needsSshd } from "../helpers/needs.ts";
import { leavesNothing } from "../helpers/no-leaks.ts";
import { patiently } from "../helpers/until.ts";
import { Place } from "./place.ts";

describe(
  "what is wrong with a far side is said, and nothing is left half-started",
  { skip: needsSshd(), timeout: patiently(240_000), concurrency: 3 },
  () => {
    leavesNothing();
    const cases: [string, FarSideOptions, (place: Place) => Record<string, string>, RegExp][] = [
      [
        "a forced command",
        { sshd: ["ForceCommand echo only backups here"] },
        () => ({}),
        /did not run the guard.*only backups here/,
      ],
      [
        "a forced command that prints without end",
        { sshd: [String.raw`ForceCommand tr '\0' x </dev/zero`] },
        () => ({}),
        /it said more than \d+ bytes/,
      ],
      ["a login shell that is none", { sshd: ["ForceCommand /bin/false"] }, () => ({}), /ssh ended with code 1/],
      ["a refused key", { sshd: ["AuthorizedKeysFile /dev/null"] }, () => ({}), /refuses the keys.*Permission denied/],
      [
        "a changed host key",
        {},
        (place) => {
          const known = join(place.far.directory, "known_hosts");
          const other = readFileSync(join(place.far.directory, "key.pub"), "utf8").split(" ").slice(0, 2).join(" ");
          writeFileSync(known, `[127.0.0.1]:${place.far.port} ${other}\n`);
          return {};
        },
        /host key is unknown or has changed/,
      ],
      [
        "an unknown host",
        {},
        (place) => {
          const text = readFileSync(place.far.config, "utf8").replace("127.0.0.1", "no-such-host.invalid");
          writeFileSync(place.far.config, text);
          return {};
        },
        /host name is unknown/,
      ],
    ];
    for (const [name, options, prepare, words] of cases) {
      it(name, async () => {
        await using place = await Place.make(options);
        const env = prepare(place);
        const gateway = await place.serve({ there: { command: "cat", host: "ssh:far" } }, {}, env);
        using client = gateway.mcp("there");
        await assert.rejects(client.initialize(), words);
        assert.deepEqual(place.far.clients(), []);
        assert.deepEqual(await gateway.rpc("run.list", {}), []);
      });
    }
  },
);
