/** A keeper's own process and its system: passed in, so that a simulation can stand in for both. */
import { platform } from "../platform/index.ts";
import { ownUsage, spareDescriptors } from "../platform/self/index.ts";
import type { OwnUsage, Platform } from "../platform/types.ts";
import { openDatabaseFile, type OpenDatabase } from "../private-database.ts";
import { systemSources, type Sources } from "../random.ts";
import type { CrashRecords } from "./crashes.ts";
import { recordLastWords, type LastWords } from "./last-words.ts";
import type { Log } from "./log.ts";

/** Reserved for front and guardian, so that both can be restarted when runs have used all other descriptors. */
const sparesMax = 24;
/** Any long interval: only the handle matters. */
const aliveMs = 60_000;

interface OwnProcess {
  readonly pid: number;
  rssBytes(): number;
  usage(): OwnUsage | undefined;
  /** Keeps it alive between two fronts or guardians, with spare descriptors, until disposed of. */
  hold(): Disposable;
  recordLastWords(crashes: CrashRecords, log: Pick<Log, "fatal">): LastWords;
}

export interface KeeperSources extends Sources {
  readonly platform: Platform;
  readonly process: OwnProcess;
  readonly openDatabase: OpenDatabase;
}

const ownProcess: OwnProcess = {
  pid: process.pid,
  rssBytes: () => process.memoryUsage.rss(),
  usage: ownUsage,
  hold() {
    spareDescriptors.hold(sparesMax);
    const alive = setInterval(() => {}, aliveMs);
    return {
      [Symbol.dispose]() {
        clearInterval(alive);
        spareDescriptors[Symbol.dispose]();
      },
    };
  },
  recordLastWords,
};

/** Of the process that runs this code. */
export const keeperSources: KeeperSources = {
  ...systemSources,
  platform,
  process: ownProcess,
  openDatabase: openDatabaseFile,
};
