/** What a keeper takes before it makes anything: state directory, ledger, log, the number of its epoch, containment. */
import { platform } from "../platform/index.ts";
import { spareDescriptors } from "../platform/self/index.ts";
import type { Opened } from "../platform/types.ts";
import { CrashRecords } from "./crashes.ts";
import { recordLastWords, type LastWords } from "./last-words.ts";
import type { KeeperOptions } from "./keeper-life.ts";
import type { Ledger } from "./ledger.ts";
import { openLog, type OpenLog } from "./log.ts";
import { recordLostEpochs } from "./lost-epochs.ts";
import type { TokenGrant } from "../protocol/keeper/messages.ts";
import { openStateDirectory, readOrMakeSecret, type StatePaths } from "./state-directory.ts";
import { ownRef } from "./record-writer.ts";
import { takeLedger } from "./take-ledger.ts";
import { TokenWatch } from "./tokens/token-watch.ts";

/** Held for the front and the guardian, so that both can be started again when runs have taken all other descriptors. */
const sparesMax = 24;
/** Any interval that does not end: the handle is what counts. */
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
  /** Of an orderly end: from now on this process may exit as it likes. */
  release(): void;
}

/** Throws with nothing started. `onTokens` hears all that are good, whenever they are others than before. */
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
    // A start that was refused is no crash.
    ledger.endEpoch(epoch, clock.now());
    throw thrown;
  }
  const lastWords = recordLastWords(crashes, opened.log);
  spareDescriptors.hold(sparesMax);
  // Between two fronts and two guardians nothing else may keep the process alive.
  const alive = setInterval(() => {}, aliveMs);
  const release = () => {
    clearInterval(alive);
    spareDescriptors[Symbol.dispose]();
    lastWords[Symbol.dispose]();
  };
  return { paths, ledger, ownerId, opened, epoch, startedAt, crashes, fenced, tokens, lastWords, release };
}
