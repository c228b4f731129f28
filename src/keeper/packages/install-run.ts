/** One npm installation: an ordinary run of the keeper, with a ledger row, a container and a time limit. */
import type { RunView } from "../../protocol/run.ts";
import type { Clock } from "../../clock.ts";
import type { Spawned, SpawnRequest } from "../../platform/types.ts";
import type { RunIo } from "../run-parts.ts";
import type { ErrorLog } from "../error-log.ts";
import type { Run } from "../run.ts";
import type { Launch } from "../launch.ts";

/** Limit for slow networks. */
const installMsMax = 5 * 60_000;

/** One retry after a second: npm's own three retries would delay a server without a network by over a minute. */
const npmOptions = (
  "--no-audit --no-fund --no-update-notifier --no-progress --loglevel=error --omit=dev " +
  "--fetch-retries=1 --fetch-retry-mintimeout=1000 --fetch-retry-maxtimeout=1000"
).split(" ");

export interface InstallOrder {
  clock: Clock;
  server: string;
  npm: string;
  packages: string[];
  options: string[];
  /** Target directory. */
  directory: string;
  env: Record<string, string>;
  launch: (launch: Launch) => Promise<Run>;
  makeErrorLog: (id: string) => ErrorLog;
}

export interface Installation {
  /** Resolves when every npm process is gone, with the outcome and the last output. Rejects when it cannot be started. */
  readonly over: Promise<{ view: RunView; said: string }>;
  /** Ends it at once. */
  abandon(): void;
}

export function beginInstallation(order: InstallOrder): Installation {
  const { server, npm, packages, options, directory, env } = order;
  const { promise, resolve, reject } = Promise.withResolvers<{ view: RunView; said: string }>();
  let run: Run | undefined;
  let errorLog: ErrorLog | undefined;
  let isAbandoned = false;
  const late = order.clock.after(installMsMax, () => void run?.end("timeout", true)); // never rejects
  // Installs into the working directory, which has a package.json: with --prefix npm ignores its global config.
  const args = ["install", ...npmOptions, ...options, "--", ...packages];
  const launched = order.launch({
    kind: "mcp",
    server,
    sessionId: null,
    scopeKey: null,
    command: ["npm", "install", ...options, ...packages].join(" "),
    onFrontLoss: "kill",
    blob: "",
    limits: {},
    request: { command: npm, args, cwd: directory, env },
    prepare: (id) => {
      errorLog = order.makeErrorLog(id);
      return { io: new LogIo(errorLog) };
    },
    onPrepared: (prepared) => {
      run = prepared;
      if (isAbandoned) void run.end("cancelled", true); // never rejects
    },
    onChange: (changed) => {
      const view = changed.summary();
      if (view.state === "exited" || view.survivors.length > 0) resolve({ view, said: errorLog?.tail ?? "" });
    },
  });
  launched.catch(reject);
  return {
    over: promise.finally(() => late.clear()),
    abandon() {
      isAbandoned = true;
      void run?.end("cancelled", true); // never rejects
    },
  };
}

/** No input; output goes to the log. */
class LogIo implements RunIo {
  readonly hasInput = false;
  readonly #log: ErrorLog;
  #process: Spawned | undefined;

  constructor(log: ErrorLog) {
    this.#log = log;
  }

  request(): Pick<SpawnRequest, "stdin"> {
    return { stdin: "ignore" };
  }

  begin(contained: Spawned): void {
    this.#process = contained;
    for (const stream of this.#streams()) {
      stream?.on("data", (chunk: Buffer) => this.#log.write(chunk));
      stream?.on("error", () => {}); // "close" follows
    }
  }

  endInput(): void {}

  drained(): Promise<void> {
    return Promise.resolve();
  }

  close(): void {
    this.#log.close();
    for (const stream of this.#streams()) stream?.destroy();
  }

  #streams() {
    return [this.#process?.stdout, this.#process?.stderr];
  }
}
