/** What does a far side cost, and what is left of it: beside plain ssh, and beside the same server at home. */
import { FarSide } from "../test/helpers/far-side.ts";
import { Gateway } from "../test/helpers/gateway.ts";
import { Home } from "../test/helpers/home.ts";
import { settle, killWhatIsLeft, waitForListed } from "../test/helpers/pids.ts";
import { everything, filesystem, stubborn, type Server } from "../test/helpers/servers.ts";
import { renderTable } from "../test/helpers/table.ts";
import { bestTier } from "../test/helpers/tiers.ts";
import { median } from "./load.ts";
import { machineLine } from "./machine.ts";

const rounds = 7;
const calls = 300;
const boundMs = 30_000;
/** How long survivors are given before they count as left. */
const patienceMs = 9000;
const graces = { stdinGraceMs: 200, termGraceMs: 1000 };

interface Way {
  name: string;
  config: (server: Server) => object;
}

const ways: Way[] = [
  { name: "at home", config: ({ command, args }) => ({ command, args }) },
  {
    name: "plain ssh",
    config: ({ command, args }) => ({ command: "ssh", args: ["far", command, ...args], sshGuard: false }),
  },
  { name: "holdfast ssh", config: ({ command, args }) => ({ command, args, host: "ssh:far" }) },
];

function gatewayOf(home: Home, far: FarSide): Promise<Gateway> {
  return Gateway.start(home, [], { PATH: `${far.path}:${process.env["PATH"]}` });
}

/** Milliseconds of each `initialize`, and of each call on the last session. */
async function timeCalls(way: Way, far: FarSide): Promise<{ firstMs: number; startsMs: number[]; callsMs: number[] }> {
  await using home = new Home(bestTier());
  home.configure({ mcpServers: { it: way.config(everything(home.pidFile)) }, stop: graces });
  await using gateway = await gatewayOf(home, far);
  const startsMs: number[] = [];
  const callsMs: number[] = [];
  for (let round = 0; round <= rounds; round++) {
    using client = gateway.mcp("it");
    const began = performance.now();
    await client.initialize();
    startsMs.push(performance.now() - began);
    const asked = round === rounds ? calls : 0;
    for (let call = 0; call < asked; call++) {
      const before = performance.now();
      await client.call("echo", { message: "hi" });
      callsMs.push(performance.now() - before);
    }
    await client.delete();
  }
  const [firstMs = 0, ...rest] = startsMs;
  return { firstMs, startsMs: rest, callsMs };
}

interface Loss {
  name: string;
  wire?: boolean;
  lose: (gateway: Gateway, far: FarSide) => void;
}

function signalAll(pids: number[], signal: NodeJS.Signals): void {
  for (const pid of pids) {
    try {
      process.kill(pid, signal);
    } catch {
      // It ended with the one before it.
    }
  }
}

const signalClients = (far: FarSide, signal: NodeJS.Signals) =>
  signalAll(
    far.clients().map(({ pid }) => pid),
    signal,
  );

/** Every ssh here at once, so that both ways lose the same: Holdfast's has one more for the connection. */
const losses: Loss[] = [
  { name: "ssh here SIGTERM", lose: (_, far) => signalClients(far, "SIGTERM") },
  { name: "ssh here kill -9", lose: (_, far) => signalClients(far, "SIGKILL") },
  { name: "ssh here SIGSTOP", lose: (_, far) => signalClients(far, "SIGSTOP") },
  { name: "the link cut", wire: true, lose: (_, far) => far.cut() },
  {
    name: "sshd's session killed",
    lose: (_, far) => signalAll(far.sessions, "SIGKILL"),
  },
  { name: "keeper kill -9", lose: (gateway) => void process.kill(gateway.pids.keeper, "SIGKILL") },
  { name: "gateway SIGTERM", lose: (gateway) => void process.kill(gateway.pids.keeper, "SIGTERM") },
];

/** Milliseconds until nobody of three servers is left over there, or who is after `patienceMs`. */
async function timeLoss(way: Way, loss: Loss): Promise<string> {
  await using far = await FarSide.start({ wire: loss.wire === true });
  await using home = new Home(bestTier());
  const { pidFile, directory } = home;
  const servers = [everything(pidFile), filesystem(pidFile, directory), stubborn(pidFile)];
  const names = servers.map((_, index) => `server${index}`);
  const mcpServers = Object.fromEntries(servers.map((server, index) => [names[index], way.config(server)]));
  home.configure({ mcpServers, stop: graces });
  await using gateway = await gatewayOf(home, far);
  for (const name of names) {
    using client = gateway.mcp(name);
    await client.initialize();
  }
  const { length: count } = await waitForListed(pidFile, 7, boundMs);
  loss.lose(gateway, far);
  const { ms, survivors } = await settle(pidFile, patienceMs);
  await killWhatIsLeft(pidFile);
  signalClients(far, "SIGKILL");
  if (loss.wire === true) far.mend();
  const roles = [...new Set(survivors.map(({ role }) => role))].join(", ");
  return survivors.length > 0 ? `${survivors.length} of ${count} left: ${roles}` : `${ms} ms`;
}

export async function run(): Promise<boolean> {
  await using far = await FarSide.start();
  const rows: string[][] = [];
  for (const way of ways) {
    const { firstMs, startsMs, callsMs } = await timeCalls(way, far);
    const [start, call] = [median(startsMs), median(callsMs)];
    rows.push([way.name, firstMs.toFixed(0), start.toFixed(0), call.toFixed(2)]);
  }
  console.log(
    `\nssh: server-everything behind a gateway, a real sshd on loopback, term grace ${graces.termGraceMs} ms`,
  );
  console.log(`${machineLine()}\n`);
  console.log(renderTable(["", "first initialize, ms", "later ones, ms", "a call, ms"], rows));
  const lost: string[][] = [];
  for (const loss of losses) {
    const row = [loss.name];
    for (const way of ways.slice(1)) row.push(await timeLoss(way, loss));
    lost.push(row);
  }
  console.log(
    `\ntime to zero over there: everything, filesystem and a stubborn stub with four helpers, heartbeat limit 4 s\n`,
  );
  console.log(renderTable(["lost", "plain ssh", "holdfast ssh"], lost));
  return lost.every((row) => row.at(-1)?.endsWith("ms") === true);
}
