/** Splits a stream into lines and pairs each answer with its request by id: the whole of a raw relay. */
import type { ChildProcess } from "node:child_process";
import { once } from "node:events";

export class LineServer {
  readonly child: ChildProcess;
  readonly #waiting = new Map<number, (line: string) => void>();
  #rest = "";

  constructor(child: ChildProcess) {
    this.child = child;
    child.stdout?.setEncoding("utf8").on("data", (chunk: string) => this.#take(chunk));
  }

  #take(chunk: string): void {
    const lines = (this.#rest + chunk).split("\n");
    this.#rest = lines.pop() ?? "";
    for (const line of lines) {
      const id = idOf(line);
      if (id === undefined) continue;
      this.#waiting.get(id)?.(line);
      this.#waiting.delete(id);
    }
  }

  ask(id: number, line: string, answered: (line: string) => void): void {
    this.#waiting.set(id, answered);
    this.child.stdin?.write(`${line}\n`);
  }

  tell(line: string): void {
    this.child.stdin?.write(`${line}\n`);
  }

  async end(): Promise<void> {
    if (this.child.exitCode !== null || this.child.signalCode !== null) return;
    const exited = once(this.child, "exit");
    this.child.kill("SIGKILL");
    await exited;
  }
}

const idPattern = /"id":\s*(\d+)/;

/** The id of a request or answer; good for the lines of this bench, whose texts hold no other one. */
export function idOf(line: string): number | undefined {
  const id = idPattern.exec(line)?.[1];
  return id === undefined ? undefined : Number(id);
}
