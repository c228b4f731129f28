/** Writes `<state>/keeper.json`, by which the command line finds the gateway, whenever something that it tells has changed. */
import { platform } from "../platform/index.ts";
import type { ProcessRef, TierName } from "../platform/types.ts";
import { version } from "../version.ts";
import { removeKeeperRecord, writeKeeperRecord, type StatePaths } from "./state-directory.ts";

/** This process, as other processes can recognise it. */
export function ownRef(): ProcessRef {
  return platform.identify(process.pid) ?? { pid: process.pid, startTime: "", bootId: platform.bootId() };
}

export interface RecordParts {
  paths: StatePaths;
  epoch: number;
  tier: TierName;
  /** Id of the node that this is; null = a gateway. */
  node: string | null;
  /** The config that was read last; null = none, the defaults. */
  config: () => string | null;
  front: { readonly pid: number };
  guardian: { identity(): { pid: number; startTime: string } };
}

export class RecordWriter {
  readonly #parts: RecordParts;
  #isRemoved = false;
  /** Where the front listens. Nothing is written before it does for the first time. */
  urls: string[] = [];
  /** PEM; null = plain HTTP. */
  certificate: string | null = null;

  constructor(parts: RecordParts) {
    this.#parts = parts;
  }

  write(): void {
    const [url] = this.urls;
    if (url === undefined || this.#isRemoved) return;
    const { paths, epoch, tier, node, config, front, guardian } = this.#parts;
    const self = { version, ...ownRef(), epoch, tier, url, urls: this.urls };
    const helpers = { front: { pid: front.pid }, guardian: guardian.identity() };
    writeKeeperRecord(paths, { ...self, node, config: config(), certificate: this.certificate, ...helpers });
  }

  /** The gateway has ended: nobody is to look for it any longer. */
  remove(): void {
    this.#isRemoved = true;
    removeKeeperRecord(this.#parts.paths);
  }
}
