/** The simulated machine with the gateway on it. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { configSchema } from "../../src/config/schema.ts";
import type { EventName } from "../../src/events.ts";
import { serve } from "../../src/gateway/front.ts";
import { asHoldfastError } from "../../src/errors.ts";
import type { FrontPlace } from "../../src/platform/simulated/front-place.ts";
import type { Simulation } from "../../src/platform/simulated/simulation.ts";
import type { KeeperLink } from "../../src/protocol/keeper/link.ts";
import { Host } from "./host.ts";
import type { Network } from "./network.ts";

export interface SiteOptions {
  readonly proof: "kernel" | "scan";
  readonly config: object;
}

export const gatewayPort = 4653;

export class Site extends Host {
  readonly name = "gateway";
  readonly port = gatewayPort;
  config: object;
  readonly events: { front: number; event: EventName; fields: object }[] = [];
  readonly #network: Network;
  #token: string | undefined;

  constructor(simulation: Simulation, network: Network, { proof, config }: SiteOptions) {
    super(simulation, proof);
    this.#network = network;
    this.config = config;
  }

  /** The token that the keeper made at its first start. */
  get token(): string {
    this.#token ??= readFileSync(join(this.directory, "token"), "utf8").trim();
    return this.#token;
  }

  protected override readConfig() {
    return configSchema.parse({ port: this.port, bind: ["127.0.0.1"], ...this.config });
  }

  protected override role() {
    return {};
  }

  protected override async serve({ own, exit }: FrontPlace, link: KeeperLink): Promise<void> {
    const surroundings = {
      clock: this.simulation.clock(own),
      random: this.simulation.random,
      log: (event: EventName, fields: object) => {
        if (!own.isAlive) return;
        this.events.push({ front: own.pid, event, fields });
        own.print(`${JSON.stringify({ event, ...fields })}\n`, 1);
      },
      listen: this.#network.listenFor(own),
      openDatabase: (path: string) => this.disk.open(path, own),
      // A simulated process has neither descriptors nor a row in the machine's tables.
      system: { usage: () => undefined, unacknowledged: () => () => false },
      exit,
    };
    try {
      await serve(link, surroundings);
    } catch (thrown) {
      await link.failed(asHoldfastError(thrown));
      exit(1);
    }
  }
}
