/** What does a far side cost, and what is left of it: beside plain ssh, and beside the same server at home. */
import { FarSide } from "../test/helpers/far-side.ts";
import { Gateway } from "../test/helpers/gateway.ts";
import { Home } from "../test/helpers/home.ts";
import { settle, survivorsOf, killWhatIsLeft, waitForListed } from "../test/helpers/pids.ts";
import { everything, stubborn, type Server } from "../test/helpers/servers.ts";
import { renderTable } from "../test/helpers/table.ts";
import { bestTier } from "../test/helpers/tiers.ts";
import { median } from "./load.ts";
import { machineLine } from "./machine.ts";

const rounds = 7;
const calls = 300;
const boundMs = 30_000;
/** How long survivors are given before they count as left. */
const patienceMs = 6000;
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

/** After the keeper's kill -9: milliseconds until nobody is left, or who is. */
async function timeLoss(way: Way, far: FarSide): Promise<string> {
  const taken: number[] = [];
  let left = 0;
  for (let round = 0; round < 3; round++) {
    await using home = new Home(bestTier());
    const server = stubborn(home.pidFile);
    home.configure({ mcpServers: { it: way.config(server) }, stop: graces });
    const gateway = await gatewayOf(home, far);
    using client = gateway.mcp("it");
    await client.initialize();
    await waitForListed(home.pidFile, server.processes, boundMs);
    process.kill(gateway.pids.keeper, "SIGKILL");
    const { ms, survivors } = await settle(home.pidFile, patienceMs);
    left = Math.max(left, survivors.length);
    taken.push(ms);
    if (survivorsOf(home.pidFile).length > 0) await killWhatIsLeft(home.pidFile);
    await gateway.ended();
  }
  return left > 0 ? `${left} of 5 left` : `${Math.round(median(taken))} ms`;
}

export async function run(): Promise<boolean> {
  await using far = await FarSide.start();
  const rows: string[][] = [];
  for (const way of ways) {
    const { firstMs, startsMs, callsMs } = await timeCalls(way, far);
    const lost = await timeLoss(way, far);
    const [start, call] = [median(startsMs), median(callsMs)];
    rows.push([way.name, firstMs.toFixed(0), start.toFixed(0), call.toFixed(2), lost]);
  }
  console.log(
    `\nssh: server-everything behind a gateway, a real sshd on loopback, term grace ${graces.termGraceMs} ms`,
  );
  console.log(`${machineLine()}\n`);
  const head = ["", "first initialize, ms", "later ones, ms", "a call, ms", "after the keeper's kill -9"];
  console.log(renderTable(head, rows));
  return rows.at(-1)?.at(-1)?.endsWith("ms") ?? false;
}
