/** `holdfast doctor`: finds leaks on this machine and their owners; `--reap` ends what has provably lost its owner. */
import { requirePlatform } from "../platform/index.ts";
import { examine, type Report } from "../doctor/examine.ts";
import { reap, type Reaped } from "../doctor/reap.ts";
import { GatewayClient } from "../client/rpc.ts";
import { HoldfastError } from "../errors.ts";
import { describeReaped, describeReport } from "./doctor-report.ts";
import { clip } from "./describe-run.ts";
import { count, megabytes, printJson, printLines, printPainted } from "./print.ts";
import { agrees } from "./prompt.ts";
import { findKeeper } from "./running-keeper.ts";

export interface DoctorOptions {
  /** The state directory of the gateway that is asked for growing runs. */
  state: string;
  json: boolean;
  /** Also show the sockets of this local port. */
  port?: number | undefined;
  /** End the trees whose owner is proven dead. */
  reap: boolean;
  /** Skip the confirmation. */
  yes: boolean;
  /** Show every tree with all evidence, not the summary by owner. */
  all: boolean;
}

const orphansOf = ({ trees }: Report) => trees.filter(({ verdict }) => verdict === "owner-dead");

export async function doctor(options: DoctorOptions): Promise<number> {
  requirePlatform();
  if (options.yes && !options.reap)
    throw new HoldfastError("usage", "`doctor --yes` agrees to nothing by itself; it goes with --reap");
  if (options.reap && !options.yes && !(process.stdin.isTTY && process.stderr.isTTY))
    throw new HoldfastError(
      "usage",
      "`doctor --reap` asks before it ends anything, and there is no terminal to ask at; in a script say --yes",
    );
  const examined = await examine({ port: options.port });
  const growing = await growingRuns(options.state);
  const report = { ...examined, growing };
  const orphans = orphansOf(report);
  if (!options.json) printPainted(describeReport(report, { all: options.all, willReap: options.reap }));
  if (!options.json) printLines(growing === null ? [] : growing.map(describeGrowing));
  if (!options.reap) {
    if (options.json) printJson(report);
    return 0;
  }
  const processes = orphans.reduce((total, tree) => total + tree.processes.length, 0);
  const rssBytes = orphans.reduce((total, tree) => total + tree.rssBytes, 0);
  const question = `End ${count(orphans.length, "tree")}, ${count(processes, "process", "processes")}, ${megabytes(rssBytes)}? [y/N] `;
  const isAgreed = options.yes || orphans.length === 0 || (await agrees(question));
  const reaped: Reaped | null = isAgreed ? await reap(orphans) : null;
  if (options.json) printJson({ ...report, reaped });
  else printPainted(reaped === null ? ["nothing was ended"] : describeReaped(reaped));
  return reaped !== null && reaped.survivors.length > 0 ? 1 : 0;
}

export interface GrowingRun {
  id: string;
  command: string;
  /** The most frequent command and its count. */
  what: string;
}

/** The doctor's own report matters more than the gateway's part. */
const answerMsMax = 3000;

/** The gateway's growing runs. Null: no gateway runs there, or it does not answer this user in time. */
async function growingRuns(state: string): Promise<GrowingRun[] | null> {
  try {
    if (findKeeper(state) === undefined) return null;
    const runs = await new GatewayClient({ state }).call("run.list", {}, { limitMs: answerMsMax });
    return runs.flatMap(({ id, command, background }) =>
      background === null || background.growing === null ? [] : [{ id, command, what: background.growing }],
    );
  } catch {
    return null; // another user's state directory, or a gateway that is stopping
  }
}

function describeGrowing({ id, command, what }: GrowingRun): string {
  return `Run ${id} of the gateway keeps growing: ${what}  (${clip(command)}). \`holdfast process kill ${id}\` ends it.`;
}
