/** What is done to the gateway itself: its front killed or replaced, its guardian killed, its config edited and read again. */
import type { FrontConfig } from "../../src/protocol/keeper/front-config.ts";
import { isLive } from "../../test/helpers/pids.ts";
import { fixture } from "../../test/helpers/servers.ts";
import { until } from "../../test/helpers/until.ts";
import type { Part, Place } from "./part.ts";

const boundMs = 20_000;

/** The config of a soak; `edition` changes one server. */
export function soakConfig(connections: FrontConfig["connections"], edition: number): object {
  const light = { command: "sh", args: [fixture("light-server.sh")] };
  const edited = edition % 2 === 0 ? {} : { edited: { ...light, args: [...light.args, String(edition)] } };
  return {
    bind: ["127.0.0.1"],
    connections,
    session: { idleLeaseMs: 15_000 },
    exec: { enabled: true },
    stop: { stdinGraceMs: 200, termGraceMs: 300 },
    nodes: { leaseMs: 5000, beatMs: 500 },
    mcpServers: { light, pooled: { ...light, share: "pool" }, ...edited },
    limits: { frontRestartsMax: 1000 },
  };
}

export class Upheavals implements Part {
  readonly done = { connections: 0, frontKills: 0, restarts: 0, guardianKills: 0, reloads: 0 };
  readonly #place: Place;
  readonly #limits: FrontConfig["connections"];

  constructor(place: Place, limits: FrontConfig["connections"]) {
    this.#place = place;
    this.#limits = limits;
  }

  async step(): Promise<void> {
    const { random } = this.#place;
    const way = random.pick(["frontKills", "restarts", "guardianKills", "reloads", "reloads"] as const);
    this.done[way]++;
    if (way === "reloads") return this.#reload();
    if (way === "guardianKills") return this.#killGuardian();
    const { gateway } = this.#place;
    const { front } = gateway.pids;
    if (way === "restarts") await gateway.rpc("gateway.restart");
    else process.kill(front, "SIGKILL");
    await gateway.renewed({ front });
  }

  async #reload(): Promise<void> {
    const { home, gateway } = this.#place;
    home.configure(soakConfig(this.#limits, this.done.reloads));
    this.done.connections++;
    await gateway.rpc("mcp.reload");
    if (this.done.reloads % 2 === 0) return;
    using client = gateway.mcp("edited");
    this.done.connections++;
    await client.initialize();
  }

  async #killGuardian(): Promise<void> {
    const { gateway } = this.#place;
    const { guardian } = await this.#helpers();
    process.kill(guardian, "SIGKILL");
    const renewed = async () => {
      const now = (await this.#helpers()).guardian;
      return now !== guardian && now > 0 && isLive({ pid: now });
    };
    await until(`a guardian after ${guardian} of ${gateway.url}`, renewed, { boundMs, everyMs: 50 });
  }

  async #helpers(): Promise<{ guardian: number }> {
    const status = (await this.#place.gateway.rpc("gateway.status")) as { guardian: { pid: number } };
    return { guardian: status.guardian.pid };
  }

  async rest(): Promise<void> {}
}
