/** Server output other than messages: discarded, counted, and logged once. */
import type { Log } from "../../log.ts";
import { plainText } from "../../plain-text.ts";

/** Characters shown of the first discarded line. */
const sampleCharsMax = 120;
const sampleBytesMax = 512;

export class Noise {
  readonly #server: string;
  readonly #log: Log;
  #lines = 0;
  #sample = "";

  constructor(server: string, log: Log) {
    this.#server = server;
    this.#log = log;
  }

  drop(run: string | undefined, why: string, line?: Buffer): void {
    if (++this.#lines > 1) return;
    const text = plainText(line?.toString("utf8", 0, sampleBytesMax) ?? "").replaceAll(/[\r\n]/g, " ");
    this.#sample = text.trim().slice(0, sampleCharsMax);
    const hint = "its stdout must carry MCP messages only; told once";
    this.#log("mcp.noise", { server: this.#server, run, why, hint });
  }

  /** For timeout errors: the answer may be among the discarded output. Empty: there was none. */
  get told(): string {
    if (this.#lines === 0) return "";
    const lines = this.#lines === 1 ? "1 line" : `${this.#lines} lines`;
    const sample = this.#sample === "" ? "" : `, beginning with ${JSON.stringify(this.#sample)}`;
    return `; ${lines} of its output held no message and was dropped${sample}: stdout is for MCP messages only`;
  }
}
