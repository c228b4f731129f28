/** Writes `<state>/keeper.json`, by which the command line finds the gateway, whenever its contents change. */
import type { ProcessRef, TierName } from "../platform/types.ts";
import type { KeeperSources } from "./own-process.ts";
import { version } from "../version.ts";
import { removeKeeperRecord, writeKeeperRecord, type StatePaths } from "./state-directory.ts";

/** This process as others identify it. */
export function ownRef({ platform, process: { pid } }: Pick<KeeperSources, "platform" | "process">): ProcessRef {
  return platform.identify(pid) ?? { pid, startTime: "", bootId: platform.bootId() };
}

export interface RecordParts {
  sources: KeeperSources;
  paths: StatePaths;
  epoch: number;
  tier: TierName;
  /** Id of this node; null = a gateway. */
  node: string | null;
  /** The last config file read; null = defaults without a file. */
  config: () => string | null;
  front: { readonly pid: number };
  guardian: { identity(): { pid: number; startTime: string } };
}

export class RecordWriter {
  readonly #parts: RecordParts;
  #isRemoved = false;
  /** Addresses of the front. The first write waits for them. */
  urls: string[] = [];
  /** PEM; null = plain HTTP. */
  certificate: string | null = null;

  constructor(parts: RecordParts) {
    this.#parts = parts;
  }

  write(): void {
    const [url] = this.urls;
    if (url === undefined || this.#isRemoved) return;
    const { sources, paths, epoch, tier, node, config, front, guardian } = this.#parts;
    const self = { version, ...ownRef(sources), epoch, tier, url, urls: this.urls };
    const helpers = { front: { pid: front.pid }, guardian: guardian.identity() };
    writeKeeperRecord(paths, { ...self, node, config: config(), certificate: this.certificate, ...helpers });
  }

  /** Removes the record at the gateway's end, so that commands stop looking for it. */
  remove(): void {
    this.#isRemoved = true;
    removeKeeperRecord(this.#parts.paths);
  }
}
