/** Holdfast's own processes on macOS, outside every container: fronts, guardians, the self-test's gateways. */
import { fileURLToPath } from "node:url";
import { startChild, type HelperSystem } from "../child-helper.ts";
import type { ProcessRef, Watchdog } from "../types.ts";
import { spareDescriptors } from "../unix/spare-descriptors.ts";
import { signalOf } from "../unix/signals.ts";

export const helpers: HelperSystem = {
  lend: (start) => spareDescriptors.lend(start),
  register: () => {},
  signalOf,
};

/** A guardian's whole environment: variables of the caller can make a shell load functions, options and libraries. */
const environment = { PATH: "/usr/bin:/bin:/usr/sbin:/sbin", LC_ALL: "C" };

export interface GuardianOptions {
  /** The beginning of the markers that it ends. */
  readonly marker: string;
  /** The shell and its environment: replaced by tests. */
  readonly shell?: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
}

/** `lose` ends the life pipe, as the death of this process does. */
export function startGuardian({
  marker,
  shell = ["/bin/sh"],
  env = environment,
}: GuardianOptions): Watchdog & { lose: () => void } {
  const script = fileURLToPath(new URL("guardian.sh", import.meta.url));
  const { helper, child } = startChild(helpers, [...shell, script, marker], {
    env,
    stdio: ["pipe", "pipe", "pipe"],
    detached: true,
  });
  child.stdin?.on("error", () => {}); // it is gone; its exit reports that
  const ready = new Promise<void>((resolve) => child.stdout?.once("data", () => resolve()));
  return Object.assign(helper, {
    ready,
    // It asks ps for the start itself, whose form it then compares.
    guard: ({ pid }: ProcessRef) => void child.stdin?.write(`front ${pid}\n`),
    dismiss: () => void child.stdin?.end("done\n"),
    lose: () => void child.stdin?.end(),
  });
}

/** Whether a command line is that of a guardian. */
export function isHelper([program = "", script = ""]: readonly string[]): boolean {
  return /(?:^|\/)\w*sh$/.test(program) && script.endsWith("/platform/darwin/guardian.sh");
}
