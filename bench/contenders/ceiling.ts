/** The ideal relay in its own process, and the caller in front of it. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import { everythingFile } from "../../test/helpers/servers.ts";
import type { Contender } from "./contender.ts";
import { HttpCaller } from "./http-client.ts";

export async function startCeiling(): Promise<Contender> {
  const file = fileURLToPath(new URL("ideal-relay.ts", import.meta.url));
  const relay = spawn(process.execPath, [file, everythingFile()], { stdio: ["pipe", "pipe", "inherit"] });
  const [printed] = (await once(relay.stdout, "data")) as [Buffer];
  const caller = new HttpCaller(`http://127.0.0.1:${printed.toString().trim()}/`);
  await caller.initialize();
  return {
    name: "ideal relay (the ceiling)",
    relayPid: relay.pid,
    call: caller.call,
    async [Symbol.asyncDispose]() {
      caller.close();
      const exited = once(relay, "exit");
      relay.stdin.end();
      await exited;
    },
  };
}
