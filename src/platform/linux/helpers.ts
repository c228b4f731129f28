/** Holdfast's own processes on Linux: fronts, guardians, the self-test's gateways. */
import type { ChildProcess, SpawnOptions } from "node:child_process";
import { forkRestricted, startChild, type HelperSystem } from "../child-helper.ts";
import type { FrontLink, FrontRequest, Helper } from "../types.ts";
import { registerChild } from "./own-children.ts";
import { signalOf } from "../unix/signals.ts";
import { spareDescriptors } from "../unix/spare-descriptors.ts";

const system: HelperSystem = {
  lend: (start) => spareDescriptors.lend(start),
  register: registerChild,
  signalOf,
};

export function startHelper(
  command: readonly string[],
  options: SpawnOptions,
): { helper: Helper; child: ChildProcess } {
  return startChild(system, command, options);
}

export function forkFront(request: FrontRequest): FrontLink {
  return forkRestricted(system, request);
}
