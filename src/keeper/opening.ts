/** Everything a keeper acquires first: state directory, ledger, log, epoch number, containment. */
import type { TokenGrant } from "../protocol/keeper/front-config.ts";
import { platform } from "../platform/index.ts";
import { spareDescriptors } from "../platform/self/index.ts";
import type { Opened } from "../platform/types.ts";
import { CrashRecords } from "./crashes.ts";
import { recordLastWords, type LastWords } from "./last-words.ts";
import type { KeeperOptions } from "./keeper-life.ts";
import type { Ledger } from "./ledger.ts";
import { openLog, type OpenLog } from "./log.ts";
import { recordLostEpochs } from "./lost-epochs.ts";
import { openStateDirectory, readOrMakeSecret, type StatePaths } from "./state-directory.ts";
import { ownRef } from "./record-writer.ts";
import { takeLedger } from "./take-ledger.ts";
import { TokenWatch } from "./tokens/token-watch.ts";

/** Reserved for front and guardian, so that both can be restarted when runs have used all other descriptors. */
const sparesMax = 24;
/** Any long interval: only the handle matters. */
const aliveMs = 60_000;

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
  const { clock, random } = sources;
  const paths = openStateDirectory(state);
  const ledger = takeLedger(paths, live.config.node.leaseMaxMs, clock);
  const ownerId = readOrMakeSecret(paths.owner, 8, random);
  const opened = openLog(paths.log, clock);
  const tokens = new TokenWatch(paths, opened.log, sources, onTokens);
  const startedAt = clock.now();
  const { bootId, pid, startTime } = ownRef();
  const epoch = ledger.beginEpoch(bootId, pid, startTime, startedAt);
  const crashes = new CrashRecords(paths.crashes, epoch, clock);
  recordLostEpochs(ledger, crashes, paths, epoch, startedAt);
  let fenced: Opened;
  try {
    fenced = platform.open(ownerId, epoch, { directory: paths.bin, only: tier });
  } catch (thrown) {
    // A refused start is not a crash.
    ledger.endEpoch(epoch, clock.now());
    throw thrown;
  }
  const lastWords = recordLastWords(crashes, opened.log);
  spareDescriptors.hold(sparesMax);
  // Keeps the process alive between two fronts or guardians.
  const alive = setInterval(() => {}, aliveMs);
  const release = () => {
    clearInterval(alive);
    spareDescriptors[Symbol.dispose]();
    lastWords[Symbol.dispose]();
  };
  return { paths, ledger, ownerId, opened, epoch, startedAt, crashes, fenced, tokens, lastWords, release };
}
