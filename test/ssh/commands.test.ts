/** A background command on a far side: by the rules of the config, with its own streams and code, and it ends there. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { runCommand } from "../helpers/gateway.ts";
import { needsSshd } from "../helpers/needs.ts";
import { leavesNothing } from "../helpers/no-leaks.ts";
import { survivorsOf, waitForListed, waitForZero } from "../helpers/pids.ts";
import { stubborn } from "../helpers/servers.ts";
import { patiently } from "../helpers/until.ts";
import { boundMs, Place } from "./place.ts";

interface Started {
  id: string;
  host: string;
  state: string;
  endReason: string;
  exitCode: number | null;
}

const exec = { enabled: true, allowHosts: ["ssh:far"] };

describe(
  "a background command on a far side",
  { skip: needsSshd(), timeout: patiently(120_000), concurrency: 3 },
  () => {
    leavesNothing();

    it("has its words, input, output and exit code, and reads the end of its input when it has none", async () => {
      await using place = await Place.make();
      const gateway = await place.serve({}, { exec });
      const start = (given: object) => gateway.rpc("run.start", { host: "ssh:far", ...given }) as Promise<Started>;
      const line = {
        argv: ["sh", "-c", 'cat; printf "%s|" "$PWD" "$WORD"; exit 7'],
        cwd: "/usr",
        env: { WORD: "it's" },
      };
      const silent = await start({ ...line, stdin: false, yieldMs: boundMs });
      assert.deepEqual([silent.host, silent.state, silent.exitCode], ["ssh:far", "exited", 7]);
      const { text } = (await gateway.rpc("run.poll", { id: silent.id })) as { text: string };
      assert.equal(text, "/usr|it's|");
      const words = [
        "exec",
        "--state",
        place.home.stateDir,
        "--host",
        "ssh:far",
        "--",
        "sh",
        "-c",
        "echo there; exit 3",
      ];
      const { code, stdout } = await runCommand(place.home, words);
      assert.deepEqual([code, stdout], [3, "there\n"]);
    });

    it("is fed and heard byte for byte", async () => {
      await using place = await Place.make();
      const gateway = await place.serve({}, { exec });
      const all = Buffer.from(Array.from({ length: 256 }, (_, byte) => byte));
      const sent = Buffer.concat([all, Buffer.from("\r\n\n\r"), ...Array.from({ length: 300 }, () => all)]);
      const { id } = (await gateway.rpc("run.start", { host: "ssh:far", argv: ["cat"] })) as Started;
      await gateway.rpc("run.write", { id, data: sent.toString("base64"), encoding: "base64", end: true });
      await gateway.rpc("run.wait", { id, waitMs: boundMs });
      const bytesMax = 256 * 1024;
      const { bytes } = (await gateway.rpc("run.log", { id, bytesMax })) as { bytes: string };
      assert.ok(Buffer.from(bytes, "base64").equals(sent));
    });

    it("hears signals, and is ended with all that hides", async () => {
      await using place = await Place.make();
      const gateway = await place.serve({}, { exec });
      const start = (argv: string[]) => gateway.rpc("run.start", { host: "ssh:far", argv }) as Promise<Started>;
      const wait = (id: string) => gateway.rpc("run.wait", { id, waitMs: boundMs }) as Promise<Started>;
      const polite = await start(["sh", "-c", "trap 'exit 9' INT; echo up; while :; do sleep 0.1; done"]);
      await gateway.rpc("run.poll", { id: polite.id, waitMs: boundMs });
      await gateway.rpc("run.signal", { id: polite.id, signal: "SIGINT" });
      assert.equal((await wait(polite.id)).exitCode, 9);
      const { command, args } = stubborn(place.home.pidFile);
      const hiding = await start([command, ...args]);
      await waitForListed(place.home.pidFile, 5, boundMs);
      await gateway.rpc("run.kill", { id: hiding.id });
      assert.equal(survivorsOf(place.home.pidFile).length, 0);
      const lost = await start([command, ...args]);
      await waitForListed(place.home.pidFile, 10, boundMs);
      for (const { pid, master } of place.far.clients()) if (master) process.kill(pid, "SIGKILL");
      await waitForZero(place.home.pidFile, boundMs);
      assert.equal((await wait(lost.id)).endReason, "node-lost");
    });

    it("is refused, with the rule by name, where the config does not allow it", async () => {
      await using place = await Place.make();
      const gateway = await place.serve({}, { exec: { ...exec, allowCommands: ["cat"] } });
      const refusal = (given: object, words: RegExp) =>
        assert.rejects(gateway.rpc("run.start", { host: "ssh:far", argv: ["cat"], ...given }), words);
      await refusal({ host: "ssh:root@far" }, /"ssh:root@far" is not in exec\.allowHosts, which names ssh:far/);
      await refusal({ argv: ["/bin/cat"] }, /in these very words, in exec\.allowCommands \(cat\)/);
      await refusal({ env: { PATH: place.home.directory } }, /PATH may not be set/);
      await refusal({ kind: "pty" }, /a terminal on another machine is not there/);
      await refusal({ limits: { processesMax: 3 } }, /on this machine only/);
      await refusal({ cwd: "somewhere" }, /not an absolute path/);
      assert.deepEqual(place.far.clients(), []);
      assert.deepEqual(await gateway.rpc("run.list", { all: true }), []);
    });
  },
);
