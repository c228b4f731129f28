/** Everything a keeper acquires first: state directory, ledger, log, epoch number, containment. */
import type { TokenGrant } from "../protocol/keeper/front-config.ts";
import type { Opened } from "../platform/types.ts";
import { CrashRecords } from "./crashes.ts";
import type { LastWords } from "./last-words.ts";
import type { KeeperOptions } from "./keeper-life.ts";
import type { Ledger } from "./ledger.ts";
import { openLog, type OpenLog } from "./log.ts";
import { recordLostEpochs } from "./lost-epochs.ts";
import { openStateDirectory, readOrMakeSecret, type StatePaths } from "./state-directory.ts";
import { readLastEpoch, writeLastEpoch } from "./last-epoch.ts";
import { ownRef } from "./record-writer.ts";
import { takeLedger } from "./take-ledger.ts";
import { TokenWatch } from "./tokens/token-watch.ts";

export interface Opening {
  readonly paths: StatePaths;
  readonly ledger: Ledger;
  readonly ownerId: string;
  readonly opened: OpenLog;
  readonly epoch: number;
  readonly startedAt: number;
  readonly crashes: CrashRecords;
  readonly fenced: Opened;
  readonly tokens: TokenWatch;
  readonly lastWords: LastWords;
  /** For an orderly end: this process may exit freely from now on. */
  release(): void;
}

/** Throws with nothing started. `onTokens` receives all valid tokens whenever they change. */
export function openKeeper(options: KeeperOptions, onTokens: (tokens: TokenGrant[]) => void): Opening {
  const { state, live, tier, sources } = options;
  const { clock, random, platform, process } = sources;
  const paths = openStateDirectory(state);
  const ledger = takeLedger(paths, live.config.node.leaseMaxMs, sources);
  const ownerId = readOrMakeSecret(paths.owner, 8, random);
  const opened = openLog(paths.log, clock, undefined, process.pid);
  const tokens = new TokenWatch(paths, opened.log, sources, onTokens);
  const startedAt = clock.now();
  const { bootId, pid, startTime } = ownRef(sources);
  const last = readLastEpoch(paths);
  const knows = ledger.lastEpoch();
  if (knows < last) opened.log.warn({ event: "ledger.behind", knows, last });
  const epoch = ledger.beginEpoch(bootId, pid, startTime, startedAt, last);
  const crashes = new CrashRecords(paths.crashes, epoch, clock);
  recordLostEpochs({ ledger, crashes, paths, epoch, now: startedAt, bootId });
  let fenced: Opened;
  try {
    writeLastEpoch(paths, epoch);
    fenced = platform.open(ownerId, epoch, { directory: paths.bin, only: tier });
  } catch (thrown) {
    // A refused start is not a crash.
    ledger.endEpoch(epoch, clock.now());
    throw thrown;
  }
  const lastWords = process.recordLastWords(crashes, opened.log);
  const held = process.hold();
  const release = () => {
    held[Symbol.dispose]();
    lastWords[Symbol.dispose]();
  };
  return { paths, ledger, ownerId, opened, epoch, startedAt, crashes, fenced, tokens, lastWords, release };
}
