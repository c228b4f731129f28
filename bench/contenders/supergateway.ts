/** The peer: supergateway in its stateful mode, as its own page says to start it. Installed by bench/package.json. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";
import net from "node:net";
import { fileURLToPath } from "node:url";
import { everythingFile } from "../../test/helpers/servers.ts";
import { until } from "../../test/helpers/until.ts";
import { treeOf } from "../machine.ts";
import type { Contender } from "./contender.ts";
import { HttpCaller } from "./http-client.ts";

const program = fileURLToPath(new URL("../node_modules/supergateway/dist/index.js", import.meta.url));

/** It cannot be told to choose a port itself. */
async function freePort(): Promise<number> {
  const probe = net.createServer().listen(0, "127.0.0.1");
  await once(probe, "listening");
  const address = probe.address();
  probe.close();
  await once(probe, "close");
  return typeof address === "object" && address !== null ? address.port : 0;
}

async function isListening(port: number): Promise<boolean> {
  const socket = net.connect(port, "localhost");
  try {
    await once(socket, "connect");
    return true;
  } catch {
    return false; // not yet
  } finally {
    socket.destroy();
  }
}

export async function startSupergateway(): Promise<Contender> {
  if (!existsSync(program)) throw new Error("supergateway is not installed: run `npm ci` in bench/");
  const port = await freePort();
  const stdio = `${process.execPath} ${everythingFile()} stdio`;
  const words = [
    "--stdio",
    stdio,
    "--outputTransport",
    "streamableHttp",
    "--stateful",
    "--port",
    `${port}`,
    "--logLevel",
    "none",
  ];
  const gateway = spawn(process.execPath, [program, ...words], { stdio: "ignore" });
  await until("supergateway listens", () => isListening(port), { boundMs: 20_000, everyMs: 20 });
  const caller = new HttpCaller(`http://localhost:${port}/mcp`);
  await caller.initialize();
  return {
    name: "supergateway (stateful)",
    relayPid: gateway.pid,
    call: caller.call,
    async [Symbol.asyncDispose]() {
      caller.close();
      const exited = once(gateway, "exit");
      // Its servers outlive it, so the whole tree is ended by hand.
      for (const pid of treeOf(gateway.pid ?? 0).toReversed()) process.kill(pid, "SIGKILL");
      await exited;
    },
  };
}
