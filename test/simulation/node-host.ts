/** The simulated machine that is a node of the gateway. */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { configSchema } from "../../src/config/schema.ts";
import { NodeKey } from "../../src/nodes/node/key.ts";
import { serveNode } from "../../src/nodes/node/serve.ts";
import type { AskPerson } from "../../src/keeper/background/consent.ts";
import type { FrontPlace } from "../../src/platform/simulated/front-place.ts";
import type { Simulation } from "../../src/platform/simulated/simulation.ts";
import type { KeeperLink } from "../../src/protocol/keeper/link.ts";
import type { NodeProgress } from "../../src/protocol/keeper/node.ts";
import { Host } from "./host.ts";
import { NodeLink } from "./node-link.ts";
import type { Network } from "./network.ts";
import { gatewayPort } from "./site.ts";

/** What stands before the 32 bytes of an Ed25519 key in PKCS 8. */
const keyPrefix = Buffer.from("302e020100300506032b657004220420", "hex");
/** As `holdfast node run` adds to its graces. */
const lastReportMs = 3000;

export const nodeName = "mill";

export interface NodeHostOptions {
  readonly proof: "kernel" | "scan";
  readonly config: object;
}

export class NodeHost extends Host {
  readonly name = nodeName;
  readonly id: string;
  readonly link: NodeLink;
  readonly progress: NodeProgress[] = [];
  /** Of its next lives. */
  invite: string | null = null;
  once = false;
  askPerson: AskPerson | undefined;
  /** Of its next lives. */
  config: object;
  readonly #keyFile: string;

  constructor(simulation: Simulation, network: Network, { proof, config }: NodeHostOptions) {
    super(simulation, proof);
    this.link = new NodeLink(network, simulation);
    this.config = config;
    this.#keyFile = join(this.directory, "node-key.pem");
    this.#makeKey();
    this.id = NodeKey.open(this.#keyFile).nodeId;
  }

  /** The same one for the same seed. */
  #makeKey(): void {
    const bytes = Buffer.concat([keyPrefix, Buffer.from(this.simulation.random.bytes(32))]).toString("base64");
    const pem = `-----BEGIN PRIVATE KEY-----\n${bytes}\n-----END PRIVATE KEY-----\n`;
    writeFileSync(this.#keyFile, pem, { mode: 0o600 });
  }

  protected override readConfig() {
    const config = configSchema.parse(this.config);
    const { allowCommands, allowDirectories } = config.node;
    config.exec = { ...config.exec, enabled: true, allowHosts: [], allowCommands, allowDirectories };
    config.connections.drainMs = config.stop.stdinGraceMs + config.stop.termGraceMs + lastReportMs;
    return config;
  }

  protected override role() {
    const { connectMs, approvalMs, invocationMs, acknowledgeMs } = this.readConfig().node;
    const settings = {
      connectMs,
      approvalMs,
      invocationMs,
      acknowledgeMs,
      host: "127.0.0.1",
      port: gatewayPort,
      fingerprint: null,
      id: this.id,
      name: this.name,
      invite: this.invite,
      once: this.once,
      instance: Buffer.from(this.simulation.random.bytes(8)).toString("hex"),
      keyFile: this.#keyFile,
    };
    const onProgress = (progress: NodeProgress) => void this.progress.push(progress);
    return { node: { entry: "node", settings, onProgress, askPerson: this.askPerson } };
  }

  protected override async serve({ own, exit }: FrontPlace, link: KeeperLink): Promise<void> {
    const { random } = this.simulation;
    await serveNode(link, {
      clock: this.simulation.clock(own),
      random,
      connectTcp: this.link.connectFor(own),
      exit,
    });
  }
}
