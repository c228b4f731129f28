/** The peer: supergateway in its stateful mode, as its own page says to start it. Installed by bench/package.json. */
import { spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { everythingFile } from "../../test/helpers/servers.ts";
import type { Contender } from "./contender.ts";
import { contend, freePort } from "./spawned.ts";

const program = fileURLToPath(new URL("../node_modules/supergateway/dist/index.js", import.meta.url));

export async function startSupergateway(): Promise<Contender> {
  if (!existsSync(program)) throw new Error("supergateway is not installed: run `npm ci` in bench/");
  const port = await freePort();
  const stdio = `${process.execPath} ${everythingFile()} stdio`;
  const mode = ["--outputTransport", "streamableHttp", "--stateful", "--logLevel", "none"];
  const words = [program, "--stdio", stdio, ...mode, "--port", `${port}`];
  return contend("supergateway (stateful)", spawn(process.execPath, words, { stdio: "ignore" }), port);
}
