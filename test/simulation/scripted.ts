/** A command of the model that does what a scene tells it, step by step. */
import type { Process, Program } from "../../src/platform/simulated/process.ts";

export type Step =
  /** Prints this, in latin1 so that any byte can be told. */
  | { readonly out: string; readonly times?: number }
  | { readonly err: string }
  | { readonly ms: number }
  /** Reads one line and prints it again. */
  | { readonly line: true }
  /** Reads as many characters and prints them as JSON, in a line. */
  | { readonly raw: number }
  /** Prints the size of its terminal. */
  | { readonly size: true }
  /** Prints the name of this signal whenever it comes. */
  | { readonly trap: NodeJS.Signals }
  /** Starts as many children that stay. */
  | { readonly fork: number }
  | { readonly rss: number }
  /** Prints its environment variable of this name. */
  | { readonly variable: string }
  | { readonly exit: number }
  | { readonly stay: true };

/** As an argument of the shell's line. */
export function scriptOf(mark: string, ...steps: readonly Step[]): string {
  return `scripted ${mark} ${Buffer.from(JSON.stringify(steps)).toString("base64")}`;
}

export function scripted(script: string): Program {
  return function* follow(self: Process) {
    for (const step of JSON.parse(Buffer.from(script, "base64").toString() || "[]") as Step[]) {
      yield undefined;
      if ("out" in step) {
        self.print(Buffer.from(step.out.repeat(step.times ?? 1), "latin1"));
        yield { until: () => self.outputs[0]?.isFull !== true };
      } else if ("err" in step) self.print(Buffer.from(step.err, "latin1"), 1);
      else if ("ms" in step) yield { untilMs: self.kernel.nowMs() + step.ms };
      else if ("line" in step) {
        yield { until: () => self.input?.hasLine === true || self.input?.isEnded === true };
        self.print(`${self.input?.takeLine() ?? "(end)"}\n`);
      } else if ("raw" in step) {
        yield { until: () => (self.input?.waiting ?? 0) >= step.raw };
        self.print(`${JSON.stringify(self.input?.takeAll())}\n`);
      } else if ("size" in step) self.print(`${self.input?.size?.columns}x${self.input?.size?.rows}\n`);
      else if ("trap" in step) self.handlers.set(step.trap, () => self.print(`${step.trap}\n`));
      else if ("fork" in step) for (let count = 0; count < step.fork; count += 1) self.fork(stay);
      else if ("rss" in step) self.rssBytes = step.rss;
      else if ("variable" in step) self.print(`${variableOf(self, step.variable)}\n`);
      else if ("exit" in step) return step.exit;
      else yield* stay();
    }
    return 0;
  };
}

function* stay() {
  for (;;) yield { until: () => false };
}

function variableOf(self: Process, name: string): string {
  const entry = self.environment.split("\0").find((each) => each.startsWith(`${name}=`));
  return entry?.slice(name.length + 1) ?? "(unset)";
}
