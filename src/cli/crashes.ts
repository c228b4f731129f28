/** `holdfast crashes`: what died, when and why, and how long the gateway was down. Needs no running gateway. */
import type { CrashView } from "../protocol/keeper/status.ts";
import { systemClock } from "../clock.ts";
import { describeExitCode } from "../platform/exit-code.ts";
import { platform } from "../platform/index.ts";
import { CrashRecords, readStderr } from "../keeper/crashes.ts";
import { readLostEpochs } from "../keeper/lost-epochs.ts";
import { statePaths } from "../keeper/state-directory.ts";
import type { CommandContext } from "./context.ts";
import { printJson, printLines, time } from "./print.ts";
import { findKeeper } from "./running-keeper.ts";

/** Records kept, each in its own file. */
const shownMax = 50;

export async function crashes(context: CommandContext): Promise<number> {
  const paths = statePaths(context.state);
  const recorded = new CrashRecords(paths.crashes, 0, systemClock).list(shownMax);
  // A running keeper recorded everything at its start.
  const unrecorded = findKeeper(context.state) === undefined ? readLostEpochs(paths, platform.bootId()) : [];
  const known = new Set(recorded.filter(({ who }) => who === "keeper").map(({ epoch }) => epoch));
  const all = [...unrecorded.filter(({ epoch }) => !known.has(epoch)), ...recorded].toSorted((a, b) => b.at - a.at);
  if (context.json) printJson(all);
  else printLines(all.length === 0 ? ["no crashes"] : all.flatMap(describe));
  return 0;
}

function describe(crash: CrashView): string[] {
  const last = crash.lastMethod === null ? "" : `; last began ${crash.lastMethod}`;
  const back = crash.downMs === null ? "" : `; another served after ${crash.downMs} ms`;
  const record = crash.file === "" ? [] : [`  ${recordOf(crash)}`];
  return [`${time(crash.at)}  ${crash.who} (pid ${crash.pid})  ${whyOf(crash)}${last}${back}`, ...record];
}

/** The path of the record and the end of its stderr, for `status` too; a record of another machine is only named. */
export function recordOf({ file }: CrashView): string {
  const stderr = readStderr(file);
  if (stderr === undefined) return `on record in ${file}`;
  const words = stderr.trimEnd().split("\n").at(-1) ?? "";
  if (words === "") return `nothing on stderr; on record in ${file}`;
  const isMore = stderr.trimEnd().includes("\n");
  return `its last words${isMore ? ` (the rest is in ${file})` : ""}: ${words}`;
}

/** A readable cause, for `status` too. */
export function whyOf({ why, detail, signal, exitCode }: CrashView): string {
  const code = exitCode === null ? "exit code unknown" : describeExitCode(exitCode);
  const how = signal === null ? code : `signal ${signal}`;
  const words: Record<CrashView["why"], string> = {
    died: how,
    stuck: `stuck: ${detail}; ended`,
    threw: `threw: ${detail}`,
    vanished: `gone without a clean stop (kill -9, out of memory): ${detail}`,
    "machine-restarted": `the machine was restarted: ${detail}`,
  };
  return words[why];
}
