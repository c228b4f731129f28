/** `holdfast doctor`: what leaks on this machine, whose it is, and with `--reap` the end of what provably nobody owns. */
import { createInterface } from "node:readline/promises";
import { requirePlatform } from "../platform/index.ts";
import { examine, type Report } from "../doctor/examine.ts";
import { reap, type Reaped } from "../doctor/reap.ts";
import { HoldfastError } from "../errors.ts";
import { describeReaped, describeReport } from "./doctor-report.ts";
import { describeGrowing, growingRuns } from "./growing-runs.ts";
import { count, megabytes, printJson, printLines, printPainted } from "./print.ts";

export interface DoctorOptions {
  /** The state directory whose gateway is asked for its growing runs, if one runs. */
  state: string;
  json: boolean;
  /** Show the sockets of this local port too. */
  port?: number | undefined;
  /** End the trees whose owner is proven dead. */
  reap: boolean;
  /** Do not ask first. */
  yes: boolean;
  /** Every tree and all evidence, not the summary by owner. */
  all: boolean;
}

const orphansOf = ({ trees }: Report) => trees.filter(({ verdict }) => verdict === "owner-dead");

/** On stderr, so that stdout stays what was asked for. No answer is a no. */
async function agrees(question: string): Promise<boolean> {
  const terminal = createInterface({ input: process.stdin, output: process.stderr });
  try {
    return await new Promise<boolean>((resolve, reject) => {
      terminal.once("close", () => resolve(false));
      terminal.question(question).then((answer) => resolve(/^y(?:es)?$/i.test(answer.trim())), reject);
    });
  } finally {
    terminal.close();
  }
}

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
  if (!options.json) printLines(describeGrowing(growing));
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
