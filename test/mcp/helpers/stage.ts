/** A real gateway whose front is killed while clients speak to their servers. */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { Gateway } from "../../helpers/gateway.ts";
import { Home } from "../../helpers/home.ts";
import { bestTier } from "../../helpers/tiers.ts";
import { scripted, Talk } from "./talk.ts";

const stop = { stdinGraceMs: 300, termGraceMs: 300 };
const scriptedServer = (...more: string[]) => ({ command: process.execPath, args: [scripted, ...more] });

export interface RunRow {
  id: string;
  pid: number;
  state: string;
  sessionId: string;
  endReason: string | null;
  server: string;
}

export class Stage implements AsyncDisposable {
  readonly home: Home;
  readonly gateway: Gateway;

  private constructor(home: Home, gateway: Gateway) {
    this.home = home;
    this.gateway = gateway;
  }

  /** By default with a scripted server, and one that never answers `initialize`. */
  static async set(
    mcpServers: Record<string, object> = { s: scriptedServer(), mute: scriptedServer("silence") },
  ): Promise<Stage> {
    const home = new Home(bestTier(), { mcpServers, stop });
    try {
      return new Stage(home, await Gateway.start(home));
    } catch (error) {
      await home[Symbol.asyncDispose]();
      throw error;
    }
  }

  talk(server = "s"): Talk {
    return new Talk(`${this.gateway.url}/mcp/${server}`, this.gateway.token);
  }

  async begin(): Promise<Talk> {
    const talk = this.talk();
    assert.equal((await talk.initialize()).status, 200);
    return talk;
  }

  async runs(all = false): Promise<RunRow[]> {
    return (await this.gateway.rpc("run.list", { all })) as RunRow[];
  }

  signal(who: "front" | "keeper", signal: NodeJS.Signals): void {
    process.kill(this.gateway.pids[who], signal);
  }

  /** Waits for the front after the one that was killed. */
  async renewed(): Promise<void> {
    await this.gateway.renewed({ front: this.gateway.pids.front });
  }

  async killFront(): Promise<void> {
    this.signal("front", "SIGKILL");
    await this.renewed();
  }

  get log(): string {
    return readFileSync(join(this.home.stateDir, "log/keeper.log"), "utf8");
  }

  file(name: string): string {
    return join(this.home.directory, name);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.gateway.stop();
    await this.home[Symbol.asyncDispose]();
  }
}

/** Whatever becomes of it; a broken connection is no failure here. */
export function loose(call: Promise<unknown>): Promise<string> {
  return call.then(
    () => "answered",
    () => "broken",
  );
}
