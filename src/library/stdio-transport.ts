/**
 * Replaces the MCP TypeScript SDK's `StdioClientTransport` (v1 and v2), which signals one pid without waiting: this one
 * ends the whole tree and resolves `close()` on proof. Needs nothing of the SDK at run time.
 */
import type { Readable } from "node:stream";
import { baseEnvironment, mergeEnvironment } from "../platform/environment.ts";
import { HoldfastError } from "../errors.ts";
import { GatheredBytes } from "../gathered-bytes.ts";
import { contain, type Contained } from "./contain.ts";

export interface ContainedStdioParameters {
  command: string;
  args?: string[];
  /** Added to a base environment (PATH, HOME, LANG …), as in the SDK. */
  env?: Record<string, string>;
  cwd?: string;
  /** "inherit" (default), "pipe" or "ignore". */
  stderr?: "inherit" | "pipe" | "ignore";
  /** End of stdin to SIGTERM, on Windows to Ctrl+Break, in milliseconds (default 2000). */
  stdinGraceMs?: number;
  /** SIGTERM to SIGKILL, in milliseconds (default 2000, as the SDK's). None on Windows where Ctrl+Break cannot reach the command. */
  termGraceMs?: number;
}

/** Longest message from the server, in bytes. */
const messageBytesMax = 64 * 1024 * 1024;

export class ContainedStdioTransport implements AsyncDisposable {
  onclose?: (() => void) | undefined;
  onerror?: ((error: Error) => void) | undefined;
  // The SDK's message type, without importing the SDK.
  onmessage?: ((message: unknown) => void) | undefined;
  readonly #parameters: ContainedStdioParameters;
  #contained: Contained | undefined;
  /** Of an incomplete message. */
  readonly #begun = new GatheredBytes();
  #starting: Promise<void> | undefined;
  #closing: Promise<void> | undefined;

  constructor(parameters: ContainedStdioParameters) {
    this.#parameters = parameters;
  }

  /** Pid of the server; null before `start` and after the end. */
  get pid(): number | null {
    return this.#contained?.pid ?? null;
  }

  /** The server's stderr if piped, else null. */
  get stderr(): Readable | null {
    return this.#contained?.stderr ?? null;
  }

  start(): Promise<void> {
    if (this.#starting !== undefined) {
      const message = "this transport is already started; Client.connect() does it";
      return Promise.reject(new HoldfastError("usage", message));
    }
    this.#starting = this.#start();
    return this.#starting;
  }

  async #start(): Promise<void> {
    const {
      command,
      args = [],
      env = {},
      cwd,
      stderr = "inherit",
      stdinGraceMs = 2000,
      termGraceMs = 2000,
    } = this.#parameters;
    const whole = mergeEnvironment(baseEnvironment(), env);
    const contained = await contain(command, args, { cwd, env: whole, stderr, stdinGraceMs, termGraceMs });
    this.#contained = contained;
    contained.stdout?.on("data", (chunk: Buffer) => this.#receive(chunk));
    contained.stdout?.on("error", (error) => this.onerror?.(error));
    void contained.empty.then(
      () => this.onclose?.(),
      (error: Error) => this.onerror?.(error),
    );
  }

  /** Resolves when the bytes are handed to the system. */
  send(message: unknown): Promise<void> {
    const stdin = this.#contained?.stdin;
    if (stdin === null || stdin === undefined || !stdin.writable) {
      return Promise.reject(new HoldfastError("run_ended", "the server is not running"));
    }
    return new Promise((resolve, reject) => {
      stdin.write(`${JSON.stringify(message)}\n`, (error) => (error ? reject(error) : resolve()));
    });
  }

  /**
   * Ends the server's whole tree and resolves on proof. The same promise each time; after `survivors` it looks again.
   */
  close(): Promise<void> {
    this.#closing ??= this.#close().catch((error: unknown) => {
      this.#closing = undefined;
      throw error;
    });
    return this.#closing;
  }

  async #close(): Promise<void> {
    // A start under way can be ended only once it exists; a failed start left nothing.
    await this.#starting?.catch(() => {});
    await this.#contained?.stop();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  #receive(chunk: Buffer): void {
    let rest = chunk;
    for (let end = rest.indexOf(10); end !== -1; end = rest.indexOf(10)) {
      this.#begun.add(rest.subarray(0, end));
      rest = rest.subarray(end + 1);
      this.#deliver(this.#begun.take().toString("utf8"));
    }
    this.#begun.add(rest);
    if (this.#begun.length <= messageBytesMax) return;
    this.#begun.clear();
    this.onerror?.(
      new HoldfastError(
        "run_ended",
        `the server sent more than ${messageBytesMax} bytes without a newline and was ended`,
      ),
    );
    this.close().catch((error: unknown) => this.onerror?.(error as Error));
  }

  #deliver(text: string): void {
    const line = text.replace(/^\uFEFF/, "");
    if (line.trim() === "") return;
    let message: unknown;
    try {
      message = JSON.parse(line);
    } catch (error) {
      this.onerror?.(error as Error);
      return;
    }
    this.onmessage?.(message);
  }
}
