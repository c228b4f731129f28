/** The input and output of a command: three pipes. */
import type { OutputStream } from "../../protocol/background.ts";
import type { Spawned, SpawnRequest } from "../../platform/types.ts";
import { HoldfastError } from "../../errors.ts";
import { CaptureIo, type CaptureParts } from "./capture-io.ts";
import type { Tap } from "./output.ts";

export class PipeIo extends CaptureIo {
  readonly hasInput: boolean;
  readonly size = null;
  #process: Spawned | undefined;
  #ended: Promise<void> = Promise.resolve();

  constructor(parts: CaptureParts, hasInput: boolean) {
    super(parts);
    this.hasInput = hasInput;
  }

  request(): Pick<SpawnRequest, "stdin"> {
    return { stdin: this.hasInput ? "pipe" : "ignore" };
  }

  begin(contained: Spawned): void {
    this.#process = contained;
    const { stdin, stdout, stderr } = contained;
    stdin?.on("error", () => {}); // the command closed it or died: its exit reports that
    const into = [this.parts.stdout, this.parts.stderr ?? this.parts.stdout] as const;
    const ends = [stdout, stderr].map((stream, index) => {
      stream?.on("data", (chunk: Buffer) => into[index]?.write(chunk));
      stream?.on("error", () => {}); // "close" follows
      return new Promise<void>((resolve) => stream?.once("close", resolve));
    });
    this.#ended = Promise.all(ends).then(() => {});
  }

  endInput(): void {
    this.#process?.stdin?.end();
  }

  resize(): never {
    throw new HoldfastError("invalid_params", "the run has no terminal");
  }

  override close(): void {
    const { stdin, stdout, stderr } = this.#process ?? {};
    for (const stream of [stdin, stdout, stderr]) stream?.destroy();
    super.close();
  }

  protected send(bytes: Buffer): void {
    const stdin = this.#process?.stdin;
    if (stdin === null || stdin === undefined || !stdin.writable)
      throw new HoldfastError("run_ended", "the run takes no input: its stdin is closed");
    this.mustHaveRoom(stdin.writableLength, bytes);
    stdin.write(bytes);
  }

  protected tap(of: OutputStream): Tap {
    const pipes = () => {
      const { stdout, stderr } = this.#process ?? {};
      if (this.parts.stderr === null) return [stdout, stderr];
      return [of === "stdout" ? stdout : stderr];
    };
    return {
      pause: () => pipes().forEach((pipe) => pipe?.pause()),
      resume: () => pipes().forEach((pipe) => pipe?.resume()),
    };
  }

  protected get ended(): Promise<void> {
    return this.#ended;
  }
}
