/**
 * `npm run simulate`: storms from one seed after the other, over the whole gateway and on simulated time. A storm that breaks
 * a promise is printed with its seed and what had happened; the same seed plays the same storm again.
 */
import { parseArgs } from "node:util";
import { jobsDefault } from "./jobs.ts";
import { playKnownFaults } from "./known-faults.ts";
import { describeMutant, leftOut } from "./mutants.ts";
import { playMutants, rowsOf, type Outcome } from "./mutation.ts";
import { playPoints, playStorms, type Failure } from "./play.ts";
import { meetingsOf, tableOf } from "./strikes.ts";

const usage = `usage: npm run simulate -- [--seed N] [--count N] [--minutes M] [--seconds S] [--points] [--jobs N] [--table] [--json]
       npm run simulate -- --known-faults | --mutants N [--seed S]

  --seed N      the first seed; drawn and printed by default
  --count N     storms to play (20)
  --minutes M   simulated minutes of each (10)
  --seconds S   real seconds after which no further storm begins
  --points      every scene with a crash at each of its points, instead of storms
  --jobs N      processes that play storms, points or mutants (one for each processor)
  --known-faults  every fault that was once mended, with its mend taken out, against the scene that then breaks
  --mutants N   N small faults, drawn from the syntax trees of the product, against scenes, storms and points, then the rooms' own tests
  --table       how often each kind of fault struck in each state, too
  --json        one JSON object instead of lines`;

interface Run {
  readonly jobs: number;
  readonly isJson: boolean;
  readonly hasTable: boolean;
  /** Aborts at an interrupt: what was played until then is printed. */
  readonly signal: AbortSignal;
}

async function points({ jobs, signal, isJson }: Run): Promise<void> {
  const began = performance.now();
  const { met, played, broken } = await playPoints({ jobs, signal });
  const realSeconds = Math.round((performance.now() - began) / 1000);
  if (broken.length > 0) process.exitCode = 1;
  for (const each of broken) console.error(each);
  if (isJson) return console.log(JSON.stringify({ met, played, broken, realSeconds }));
  for (const [scene, count] of Object.entries(met)) console.log(`${String(count).padStart(8)}  ${scene}`);
  console.log(`${played} points in ${realSeconds} s; ${broken.length} broke a promise`);
}

interface Storms {
  readonly firstSeed: number;
  readonly count: number;
  readonly minutes: number;
  readonly seconds: number;
}

async function storms(asked: Storms, { jobs, signal, isJson, hasTable }: Run): Promise<void> {
  const { firstSeed, minutes } = asked;
  if (!isJson) console.log(`first seed ${firstSeed}`);
  const began = performance.now();
  const tell = ({ seed, promise, report }: Failure) => console.error(`seed ${seed}: ${promise}\n${report}\n`);
  const played = await playStorms({ ...asked, jobs, signal, tell });
  const realSeconds = (performance.now() - began) / 1000;
  const { failures, tally, strikes, seconds } = played;
  if (failures.length > 0) process.exitCode = 1;
  const simulatedMinutes = played.storms * minutes;
  /** Seconds simulated in one second, of a processor and of the clock on the wall. */
  const speed = Math.round((simulatedMinutes * 60) / seconds);
  const wholeSpeed = Math.round((simulatedMinutes * 60) / realSeconds);
  const figures = { simulatedMinutes, realSeconds: Math.round(realSeconds), jobs, speed, wholeSpeed };
  if (isJson)
    return console.log(JSON.stringify({ firstSeed, storms: played.storms, ...figures, failures, tally, strikes }));
  for (const [what, times] of Object.entries(tally)) console.log(`${String(times).padStart(8)}  ${what}`);
  if (hasTable) console.log(`${tableOf(strikes)}\n${meetingsOf(strikes)}`);
  console.log(
    `${played.storms} storms of ${minutes} minutes in ${figures.realSeconds} s by ${jobs} jobs: ${wholeSpeed} times real time, ${speed} times per processor; ${failures.length} broke a promise`,
  );
}

async function knownFaults(): Promise<void> {
  const missed = await playKnownFaults(console.log);
  if (missed > 0) process.exitCode = 1;
}

/** Survivors are no failure: they are what the sample is for. */
async function mutate(count: number, seed: number, { jobs, isJson }: Pick<Run, "jobs" | "isJson">): Promise<void> {
  if (!Number.isSafeInteger(count) || count < 1) throw new Error(usage);
  const began = performance.now();
  const seconds = () => Math.round((performance.now() - began) / 1000);
  console.error(`seed ${seed}; first without a mutant, to see what runs where`);
  let told = 0;
  const tell = ({ mutant, by, isReached }: Outcome) => {
    const outcome = by === null ? (isReached ? "SURVIVED" : "NOT REACHED") : "found";
    console.error(
      `${++told}/${count} ${seconds()} s  ${outcome}  ${describeMutant(mutant)}${by === null ? "" : ` — ${by}`}`,
    );
  };
  const sample = await playMutants(count, seed, jobs, tell);
  const rows = rowsOf(sample);
  if (isJson) return console.log(JSON.stringify({ seed, rows, ...sample, seconds: seconds() }));
  console.log("room      drawn  reached  simulation  quick  slow  found  share");
  for (const { room, drawn, reached, simulation, quick, slow, found, share } of rows)
    console.log(
      room.padEnd(8) +
        [drawn, reached, simulation, quick, slow, found]
          .map((number, column) => String(number).padStart([7, 9, 12, 7, 6, 7][column]!))
          .join("") +
        `${String(share).padStart(5)} %`,
    );
  for (const [rule, why] of Object.entries(leftOut)) {
    const number = Object.values(sample.leftOut).reduce((sum, of) => sum + of[rule as keyof typeof leftOut], 0);
    console.log(`not drawn: ${number} (${rule}: ${why})`);
  }
}

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      seed: { type: "string" },
      count: { type: "string", default: "20" },
      minutes: { type: "string", default: "10" },
      seconds: { type: "string", default: "Infinity" },
      jobs: { type: "string", default: String(jobsDefault) },
      points: { type: "boolean", default: false },
      "known-faults": { type: "boolean", default: false },
      mutants: { type: "string" },
      table: { type: "boolean", default: false },
      json: { type: "boolean", default: false },
      help: { type: "boolean", default: false },
    },
  });
  if (values.help) return console.log(usage);
  const seed = Number(values.seed ?? Math.floor(Math.random() * 2 ** 31));
  if (values["known-faults"]) return knownFaults();
  const [count, minutes, seconds, jobs] = [values.count, values.minutes, values.seconds, values.jobs].map(Number);
  if (![seed, count, minutes, seconds].every((value) => Number(value) >= 0) || !(jobs! >= 1)) throw new Error(usage);
  if (values.mutants !== undefined) return mutate(Number(values.mutants), seed, { jobs: jobs!, isJson: values.json });
  const interrupted = new AbortController();
  // An interrupt comes twice, from the terminal and from npm.
  for (const signal of ["SIGINT", "SIGTERM"] as const) process.on(signal, () => interrupted.abort());
  const run = { jobs: jobs!, isJson: values.json, hasTable: values.table, signal: interrupted.signal };
  if (values.points) await points(run);
  else await storms({ firstSeed: seed, count: count!, minutes: minutes!, seconds: seconds! }, run);
  if (interrupted.signal.aborted) process.exitCode = 130;
}

if (import.meta.main) {
  await main();
  process.exit(); // a storm's last sockets may hold timers of the real clock
}
