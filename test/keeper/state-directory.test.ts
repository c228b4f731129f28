/** The state directory is its user's own, whatever stands for it; what its record says is believed only as far as it makes sense. */
import assert from "node:assert/strict";
import { chmodSync, lchownSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync, chownSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterEach, beforeEach, describe, it } from "node:test";
import { openStateDirectory, readKeeperRecord, statePaths } from "../../src/keeper/state-directory.ts";
import { Gateway } from "../helpers/gateway.ts";
import { Home } from "../helpers/home.ts";
import { leavesNothing } from "../helpers/no-leaks.ts";
import { bestTier, giveTo } from "../helpers/tiers.ts";
import { patiently } from "../helpers/until.ts";

const nobody = 65534;
const needsRoot = process.getuid?.() !== 0 && "needs root";

describe("keeper.json", { timeout: patiently(60_000) }, () => {
  leavesNothing();

  const contents = ["null", "[]", '"text"', "7", "{}", '{"pid":"1"}', '{"pid":1,"guardian":null}', "not JSON", ""];

  it("that holds anything but a record names no gateway", () => {
    const root = mkdtempSync(join(tmpdir(), "holdfast-state-"));
    try {
      for (const text of contents) {
        writeFileSync(join(root, "keeper.json"), text);
        assert.equal(readKeeperRecord(statePaths(root)), undefined, text);
      }
    } finally {
      rmSync(root, { recursive: true });
    }
  });

  it("that holds null, or half a record, does not keep a gateway from starting", async () => {
    for (const text of ["null", "{}", '{"pid":1,"bootId":"x","guardian":null}']) {
      await using home = new Home(bestTier());
      const file = join(home.stateDir, "keeper.json");
      writeFileSync(file, text);
      giveTo(home.tier, file);
      await using gateway = await Gateway.start(home);
      assert.notEqual(gateway.pids.front, 0);
    }
  });
});

describe("a link in place of the state directory or a folder of it", { skip: needsRoot }, () => {
  let place: string;
  beforeEach(() => {
    place = mkdtempSync(join(tmpdir(), "holdfast-state-"));
  });
  afterEach(() => rmSync(place, { recursive: true }));

  const target = (owner: number, mode = 0o700) => {
    const directory = join(place, `target-${owner}-${mode}`);
    mkdirSync(directory);
    chmodSync(directory, mode);
    chownSync(directory, owner, owner);
    return directory;
  };
  const link = (to: string, path: string, owner: number) => {
    symlinkSync(to, path);
    lchownSync(path, owner, owner);
  };

  for (const folder of ["", "runs", "front", "tokens", "crashes", "tls"]) {
    const name = folder === "" ? "the directory itself" : `${folder}/`;
    it(`is refused when it is another user's, or leads to another user's directory, or to one that others write: ${name}`, () => {
      const cases: [to: string, linkOwner: number, problem: RegExp][] = [
        [target(0), nobody, /another user/],
        [target(nobody), 0, /another user/],
        [target(0, 0o777), 0, /others may write/],
      ];
      for (const [index, [to, owner, problem]] of cases.entries()) {
        const root = join(place, `state-${index}`);
        if (folder !== "") mkdirSync(root, { mode: 0o700 });
        link(to, folder === "" ? root : join(root, folder), owner);
        assert.throws(() => openStateDirectory(root), { code: "state_unusable", message: problem });
      }
    });

    it(`is taken when link and directory are this user's own: ${name}`, () => {
      const root = join(place, "state");
      if (folder !== "") mkdirSync(root, { mode: 0o700 });
      link(target(0), folder === "" ? root : join(root, folder), 0);
      openStateDirectory(root);
    });
  }

  it("is refused when it is another user's and stands for a file", () => {
    for (const file of ["ledger.sqlite", "front/nodes.db", "log/holdfast.log", "runs/r1-1.out", "tokens/ci.json"]) {
      const root = join(place, file.replace("/", "-"));
      mkdirSync(dirname(join(root, file)), { recursive: true, mode: 0o700 });
      link(join(place, "elsewhere"), join(root, file), nobody);
      assert.throws(() => openStateDirectory(root), { code: "state_unusable", message: /link of another user/ });
      rmSync(join(root, file));
      link(join(place, "elsewhere"), join(root, file), 0);
      openStateDirectory(root);
    }
  });

  it("is refused when a folder is another user's without any link, or no folder", () => {
    const root = join(place, "state");
    mkdirSync(root, { mode: 0o700 });
    mkdirSync(join(root, "log"));
    chownSync(join(root, "log"), nobody, nobody);
    assert.throws(() => openStateDirectory(root), { code: "state_unusable", message: /log.*another user/ });
    rmSync(join(root, "log"), { recursive: true });
    writeFileSync(join(root, "log"), "");
    assert.throws(() => openStateDirectory(root), { code: "state_unusable" });
  });
});
