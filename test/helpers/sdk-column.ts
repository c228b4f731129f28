/** The other column: the same servers under a host that uses the MCP SDK's own StdioClientTransport, ended the same way. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { killWhatIsLeft, rememberList, settle, waitForListed, type Listed } from "./pids.ts";
import { fixture, type Server } from "./servers.ts";

export interface SdkPlayed {
  listed: number;
  survivors: Listed[];
  /** Until close() resolved and nothing more ended, or the last survivor's end. */
  ms: number;
}

/** The SDK's close() takes up to 4 s by itself; what still lives so long after the end of the host does not end any more. */
const closeBoundMs = 15_000;
const afterEndMs = 1500;
const openBoundMs = 30_000;

/** Plays one end of the host. Afterwards the survivors are ended too, each by pid and start time. */
export async function playSdk(
  endsBy: "close" | "kill",
  serversOf: (pidFile: string, directory: string) => Record<string, Server>,
): Promise<SdkPlayed> {
  const directory = mkdtempSync(join(tmpdir(), "holdfast-sdk-"));
  const pidFile = join(directory, "pids");
  writeFileSync(pidFile, "");
  using _list = rememberList(pidFile);
  const servers = Object.values(serversOf(pidFile, directory));
  const host = spawn(process.execPath, [fixture("sdk-host.ts"), JSON.stringify({ servers })], {
    stdio: ["pipe", "pipe", "ignore"],
  });
  const lines = createInterface({ input: host.stdout });
  const gone = once(host, "exit");
  // Writing to a host that was killed fails, as it should.
  host.stdin.on("error", () => {});
  try {
    await once(lines, "line", { signal: AbortSignal.timeout(openBoundMs) });
    const wanted = servers.reduce((sum, server) => sum + server.processes, 0);
    const listed = await waitForListed(pidFile, wanted, openBoundMs);
    const began = performance.now();
    if (endsBy === "close") {
      host.stdin.write("close\n");
      await once(lines, "line", { signal: AbortSignal.timeout(closeBoundMs) });
      host.stdin.write("exit\n");
    } else host.kill("SIGKILL");
    await gone;
    const { survivors } = await settle(pidFile, afterEndMs);
    return { listed: listed.length, survivors, ms: Math.round(performance.now() - began) };
  } finally {
    host.kill("SIGKILL");
    await gone;
    lines.close();
    await killWhatIsLeft(pidFile);
    rmSync(directory, { recursive: true, force: true });
  }
}
