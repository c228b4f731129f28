/** What a command on a simulated machine is born with: its program, streams, and environment with the marker. */
import { guardVariable, markerVariable } from "../marker.ts";
import type { Spawned, SpawnRequest } from "../types.ts";
import { Pipe } from "./pipe.ts";
import type { Birth, Program } from "./process.ts";
import type { SimulatedSystem } from "./system.ts";

export interface Prepared extends Pick<Spawned, "stdin" | "stdout" | "stderr"> {
  readonly program: Program;
  readonly birth: Birth;
  /** Lets go of the terminal when the command was never born. */
  readonly abandon: () => void;
}

export function prepare(platform: SimulatedSystem, request: SpawnRequest, marker: string): Prepared {
  const terminal = request.terminal && platform.machine.terminalOf(request.terminal)?.pipe;
  const [stdin, stdout, stderr] = terminal ? [terminal, terminal, terminal] : [new Pipe(), new Pipe(), new Pipe()];
  const entries = environmentOf(request).filter(
    (entry) => !entry.startsWith(`${markerVariable}=`) && !entry.startsWith(`${guardVariable}=`),
  );
  const isWithoutInput = request.stdin === "ignore";
  if (isWithoutInput) stdin.cut();
  const birth: Birth = {
    command: [request.command, ...request.args].join(" "),
    environment: [...entries, `${markerVariable}=${marker}`].join("\0"),
    input: stdin,
    outputs: [stdout, stderr],
  };
  const command = platform.machine.program(request.command, request.args);
  terminal?.hold(birth);
  platform.own.whenOver(() => stdin.cut());
  return {
    program: (self) => {
      terminal?.drop(birth); // it has its own end
      return command(self);
    },
    birth,
    abandon: () => terminal?.drop(birth),
    stdin: terminal || isWithoutInput ? null : stdin.input,
    stdout: terminal ? null : stdout.output,
    stderr: terminal ? null : stderr.output,
  };
}

function environmentOf({ env }: SpawnRequest): string[] {
  if (Array.isArray(env)) return env.map((entry) => Buffer.from(entry).toString());
  return Object.entries(env as Record<string, string>).map(([name, value]) => `${name}=${value}`);
}
