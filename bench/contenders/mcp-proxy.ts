/** Another peer: mcp-proxy, streamable HTTP in front of one stdio server for all. Installed by bench/package.json. */
import { spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { everythingFile } from "../../test/helpers/servers.ts";
import type { Contender } from "./contender.ts";
import { contend, freePort } from "./spawned.ts";

const program = fileURLToPath(new URL("../node_modules/mcp-proxy/dist/bin/mcp-proxy.mjs", import.meta.url));

export async function startMcpProxy(): Promise<Contender> {
  if (!existsSync(program)) throw new Error("mcp-proxy is not installed: run `npm ci` in bench/");
  const port = await freePort();
  const words = [program, "--port", `${port}`, "--server", "stream", "--", process.execPath, everythingFile(), "stdio"];
  return contend("mcp-proxy", spawn(process.execPath, words, { stdio: "ignore" }), port);
}
