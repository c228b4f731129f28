/** What a server printed where only messages may stand: dropped, and said so once. */
import type { Log } from "../log.ts";

export class Noise {
  readonly #server: string;
  readonly #log: Log;
  #isTold = false;

  constructor(server: string, log: Log) {
    this.#server = server;
    this.#log = log;
  }

  drop(run: string | undefined, why: string): void {
    if (this.#isTold) return;
    this.#isTold = true;
    const hint = "its stdout must carry MCP messages only; told once";
    this.#log("mcp.noise", { server: this.#server, run, why, hint });
  }
}
