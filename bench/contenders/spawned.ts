/** What peers need that are started as programs: a port of their own, and an end for all they leave behind. */
import { once } from "node:events";
import type { ChildProcess } from "node:child_process";
import net from "node:net";
import { until } from "../../test/helpers/until.ts";
import { treeOf } from "../machine.ts";
import type { Contender } from "./contender.ts";
import { HttpCaller } from "./http-client.ts";

/** They cannot be told to choose a port themselves. */
export async function freePort(): Promise<number> {
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

/** A session on the peer that listens, or will, on the port. */
export async function contend(name: string, peer: ChildProcess, port: number): Promise<Contender> {
  await until(`${name} listens`, () => isListening(port), { boundMs: 20_000, everyMs: 20 });
  const caller = new HttpCaller(`http://localhost:${port}/mcp`);
  await caller.initialize();
  return {
    name,
    relayPid: peer.pid,
    call: caller.call,
    async [Symbol.asyncDispose]() {
      caller.close();
      const exited = once(peer, "exit");
      // Its servers outlive it, so the whole tree is ended by hand.
      for (const pid of treeOf(peer.pid ?? 0).toReversed()) process.kill(pid, "SIGKILL");
      await exited;
    },
  };
}
