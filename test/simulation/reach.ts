/** Which places of the product have run, as V8 counts. */
import { Session, type Profiler } from "node:inspector/promises";

/** In a file named from the root of the project. */
export interface Place {
  readonly file: string;
  readonly at: number;
}

/** Places by their number. */
export interface Reached {
  /** By loading the product. */
  loaded: number[];
  /** `ms`: of processor time. */
  parts: { name: string; ms: number; places: number[] }[];
}

export class Reach {
  readonly #session: Session;
  readonly #places: Place[];

  constructor(session: Session, places: Place[]) {
    this.#session = session;
    this.#places = places;
  }

  /** Counts from now on, in files that have not been loaded. */
  static async begin(places: Place[]): Promise<Reach> {
    const session = new Session();
    session.connect();
    await session.post("Profiler.enable");
    await session.post("Profiler.startPreciseCoverage", { callCount: true, detailed: true });
    return new Reach(session, places);
  }

  /** The numbers of the places that have run since the last time. */
  async take(): Promise<number[]> {
    const { result } = await this.#session.post("Profiler.takePreciseCoverage");
    return reachedIn(result, this.#places);
  }
}

/** The numbers of the places that have run, as these counts say. */
export function reachedIn(result: readonly Profiler.ScriptCoverage[], places: readonly Place[]): number[] {
  const scripts = new Map(result.map((script) => [script.url, script]));
  const urls = [...scripts.keys()];
  const byFile = new Map<string, Profiler.ScriptCoverage | undefined>();
  return places.flatMap(({ file, at }, number) => {
    if (!byFile.has(file)) {
      const url = urls.find((each) => each.endsWith(`/${file}`));
      byFile.set(file, url === undefined ? undefined : scripts.get(url));
    }
    return hasRun(byFile.get(file), at) ? [number] : [];
  });
}

/** As the innermost range around it says. */
function hasRun(script: Profiler.ScriptCoverage | undefined, at: number): boolean {
  let [narrowest, count] = [Infinity, 0];
  for (const { ranges } of script?.functions ?? [])
    for (const range of ranges) {
      const width = range.endOffset - range.startOffset;
      if (range.startOffset <= at && at < range.endOffset && width <= narrowest)
        [narrowest, count] = [width, range.count];
    }
  return count > 0;
}
