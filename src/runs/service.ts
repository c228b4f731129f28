/** Background runs as the front offers them, to the API and as MCP tools: the single definition of every operation. */
import type { Clock } from "../clock.ts";
import { shell } from "../platform/self/index.ts";
import { HoldfastError } from "../errors.ts";
import type { EndReason, RunView } from "../protocol/run.ts";
import {
  readBytesMax,
  waitMsMax,
  type BackgroundSpec,
  type OutputEnd,
  type OutputStream,
  type OutputView,
} from "../protocol/background.ts";
import { unendable } from "../protocol/keeper/run-errors.ts";
import type { Log } from "../log.ts";
import { mayAct, type Asker } from "../sessions/owner.ts";
import type { Session } from "../sessions/session.ts";
import type { SessionSet } from "../sessions/set.ts";
import { Callers, type CallerStore } from "./callers.ts";
import { bytesOfKeys } from "./keys.ts";
import { type OutputPiece, type OutputPlace, readPlain, type PlainOptions } from "./plain-reader.ts";
import { RunOwners, type OwnerStore } from "./owners.ts";
import { SessionRuns } from "./session-runs.ts";
import { Screens, type ScreenView } from "./screens.ts";
import { completeSpec, type StartOptions } from "../protocol/keeper/background-spec.ts";
import type { ReplacedScope, Runners } from "./runners.ts";

/** The starter of a run: a token holder, or a session, which then owns the run. */
export type Starter = { asker: Asker } | { session: Session };

export interface ReadOptions {
  /** From the first byte; negative: this many bytes before the end. */
  offset: number;
  bytesMax: number;
  waitMs: number;
  viewer: boolean;
  /** A foreground run waits for this reader. */
  pace?: boolean;
  /** For runs with separate streams; all other output is `stdout`. */
  stream?: OutputStream;
}

/** The last bytes of a stream, and the total printed on it. */
interface StreamEnd {
  bytes: Buffer;
  printed: number;
}

export interface RunOutcome {
  run: RunView;
  stdout: StreamEnd;
  stderr: StreamEnd;
}

type RunStore = OwnerStore & CallerStore;

export class RunService {
  readonly screens: Screens;
  readonly #runners: Runners;
  readonly #clock: Clock;
  readonly #sessions: SessionSet;
  readonly #owners: RunOwners;
  readonly #log: Log;
  readonly #callers: Callers;
  readonly #sessionRuns: SessionRuns;

  /** Without a store, owners and callers last only as long as this process. */
  constructor(runners: Runners, sessions: SessionSet, clock: Clock, log: Log, store?: RunStore) {
    this.#runners = runners;
    this.#log = log;
    this.#clock = clock;
    this.#sessions = sessions;
    this.#owners = new RunOwners(store);
    this.screens = new Screens(runners, clock);
    const over = (run: string) => this.#over(run);
    this.#callers = new Callers(runners, { clock, store, over });
    const end = (run: string, reason: EndReason) => this.end(run, reason, false);
    this.#sessionRuns = new SessionRuns({ runners, sessions, owners: this.#owners, clock, over, end });
  }

  /** Once the sessions of an earlier front are restored: takes over their runs and ends ownerless ones. */
  begin(): void {
    this.#sessionRuns.begin();
    this.#callers.begin((id) => this.#sessions.get(id));
  }

  close(): void {
    this.#sessionRuns.close();
    this.#callers.close();
  }

  /** The run serves a waiting caller behind this session; when its connection is gone, the run ends within 2 s. */
  watchCaller(run: string, sessionId: string, asker: Asker): void {
    const session = this.#sessions.find(sessionId, asker);
    if (session !== undefined) this.#callers.watch(run, session);
  }

  /** Its caller is gone: SIGTERM at once, and survivors are killed after a second. Never rejects. */
  endLost(run: string): Promise<void> {
    return this.#callers.endLost(run);
  }

  /**
   * Throws `run_unknown` for another owner's run, exactly as for a nonexistent one. Every method below with a run id is for
   * callers that checked this, or that own the run.
   */
  mustBeOf(asker: Asker, run: string): void {
    if (mayAct(asker, this.#owners.get(run))) return;
    throw new HoldfastError("run_unknown", `no run ${run}; \`holdfast process list --all\` shows those there are`);
  }

  /** Throws the keeper's errors and `session_unknown`, with nothing started. */
  async start(options: StartOptions, starter: Starter): Promise<RunView> {
    const { command, argv, columns, rows, yieldMs, ...rest } = options;
    if ((command === undefined) === (argv === undefined))
      throw new HoldfastError("invalid_params", "give either command (for the shell) or argv (program and arguments)");
    const size = { columns: columns ?? 80, rows: rows ?? 24 };
    const words = argv ?? shell(command ?? "", this.#runners.systemOf(rest.host ?? "local"));
    const spec = completeSpec(words, { ...rest, size });
    const session = this.#sessionOf(spec, starter);
    const isToken = session === undefined && "asker" in starter && !starter.asker.scopes.has("admin");
    const scope = isToken && spec.scopeKey !== null ? this.#scopeOf(starter.asker.id, spec.scopeKey) : undefined;
    const run = await this.#runners.start(spec, scope);
    const tokenId = session === undefined && "asker" in starter ? starter.asker.id : session?.tokenId;
    this.#owners.note(run.id, tokenId ?? null);
    if (session !== undefined) this.#sessionRuns.hold(run.id, session);
    return yieldMs === undefined || yieldMs === 0 ? run : this.wait(run.id, yieldMs);
  }

  async read(run: string, options: ReadOptions): Promise<OutputPiece> {
    const { base64, ...place } = await this.readEncoded(run, options);
    return { ...place, bytes: Buffer.from(base64, "base64") };
  }

  /** The bytes as sent by the keeper, for callers that only forward them. */
  async readEncoded(
    run: string,
    { offset, bytesMax, waitMs, viewer, pace = false, stream = "stdout" }: ReadOptions,
  ): Promise<OutputPlace & { base64: string }> {
    const asked = { run, stream, bytesMax: Math.min(bytesMax, readBytesMax), viewer, pace };
    const ask = (from: number, ms: number) => this.#runners.read({ ...asked, offset: from, waitMs: ms });
    if (offset >= 0) return placed(await ask(offset, Math.min(waitMs, waitMsMax)));
    const { printed } = await ask(Number.MAX_SAFE_INTEGER, 0);
    return placed(await ask(Math.max(0, printed + offset), 0));
  }

  /** Like `read`, as text without escape sequences; see `readPlain`. */
  readText(run: string, options: PlainOptions): Promise<OutputPlace & { text: string }> {
    return readPlain((asked) => this.read(run, { ...asked, viewer: false }), options, this.#clock);
  }

  /** Undefined for a run without a terminal. */
  async screen(run: RunView): Promise<ScreenView | undefined> {
    return run.kind === "pty" ? this.screens.look(run.id) : undefined;
  }

  /** `at`: offset of the first byte in its whole input, which makes resending safe. */
  async write(run: string, bytes: Buffer, end = false, at: number | null = null): Promise<void> {
    await this.#runners.write({ run, bytes: bytes.toString("base64"), at, end });
  }

  /** Throws `keys_invalid` with nothing sent. */
  async sendKeys(run: string, keys: readonly string[]): Promise<void> {
    // Parse first: an invalid key must not even draw a screen.
    bytesOfKeys(keys);
    const applicationCursor = (await this.#hasTerminal(run)) && (await this.screens.modes(run)).applicationCursor;
    await this.write(run, Buffer.from(bytesOfKeys(keys, applicationCursor)));
  }

  /** A line and Enter, whose bytes depend on whether the run has a terminal. */
  async submit(run: string, text: string): Promise<void> {
    const enter = (await this.#hasTerminal(run)) ? "\r" : "\n";
    await this.write(run, Buffer.from(text + enter));
  }

  /** Bracketed if the program asked for it, so that it can tell pasted lines from typed ones. */
  async paste(run: string, text: string, bracketed?: boolean): Promise<void> {
    if (!(await this.#hasTerminal(run))) return this.write(run, Buffer.from(text));
    const isBracketed = bracketed ?? (await this.screens.modes(run)).bracketedPaste;
    // A paste must not end itself and continue as typed keys.
    const plain = text.replaceAll("\x1b[201~", "").replaceAll("\n", "\r");
    await this.write(run, Buffer.from(isBracketed ? `\x1b[200~${plain}\x1b[201~` : plain));
  }

  async resize(run: string, columns: number, rows: number): Promise<void> {
    await this.#runners.resize({ run, size: { columns, rows } });
  }

  async signal(run: string, signal: string, to: "all" | "command"): Promise<void> {
    await this.#runners.signal({ run, signal, to });
  }

  /** Resolves when the tree is gone. Throws `survivors` when it could not be ended. */
  async end(run: string, reason: EndReason, hurried: boolean): Promise<RunView> {
    const view = await this.#runners.end({ run, reason, hurried });
    if (view.survivors.length === 0) return view;
    throw unendable(view);
  }

  /** Resolves when the run is over, or after `waitMs` with its current state. */
  async wait(run: string, waitMs: number): Promise<RunView> {
    const asked = await this.#untilOver(waitMs, async (restMs) => {
      return { run: await this.#runners.wait({ run, waitMs: restMs }) };
    });
    return asked.run;
  }

  /** Like `wait`, with the last bytes of each stream. */
  async outcome(run: string, waitMs: number, bytesMax: number): Promise<RunOutcome> {
    const bytes = Math.min(bytesMax, readBytesMax);
    const ask = (restMs: number) => this.#runners.outcome({ run, waitMs: restMs, bytesMax: bytes });
    const { run: view, stdout, stderr } = await this.#untilOver(waitMs, ask);
    return { run: view, stdout: decoded(stdout), stderr: decoded(stderr) };
  }

  /** One bounded wait. */
  async #untilOver<T extends { run: RunView }>(waitMs: number, ask: (restMs: number) => Promise<T>): Promise<T> {
    const deadline = this.#clock.monotonic() + waitMs;
    for (;;) {
      const restMs = Math.ceil(Math.max(0, deadline - this.#clock.monotonic()));
      const asked = await ask(Math.min(restMs, waitMsMax));
      if (asked.run.state === "exited" || this.#clock.monotonic() >= deadline) return asked;
    }
  }

  /** Forgets a run; a live one is ended first, or refused with `run_alive`. */
  async remove(run: string, end: boolean): Promise<void> {
    await this.#runners.remove({ run, end });
    this.screens.forget(run);
    this.#owners.forget(run);
  }

  /** With their processes; `all` includes remembered ended runs. */
  list(all: boolean): Promise<RunView[]> {
    return this.#runners.list({ all });
  }

  async #hasTerminal(run: string): Promise<boolean> {
    const view = await this.#runners.wait({ run, waitMs: 0 });
    return view.kind === "pty";
  }

  /** Outside sessions, scope keys are private to their token unless it governs the gateway. */
  #scopeOf(tokenId: string, scopeKey: string): ReplacedScope {
    return {
      key: JSON.stringify(["token", tokenId, scopeKey]),
      contains: (run) => run.sessionId === null && run.scopeKey === scopeKey && this.#owners.get(run.id) === tokenId,
      onStarted: ({ id: run }, replaced) => {
        this.#owners.note(run, tokenId);
        for (const old of replaced) this.#log("scope.replaced", { session: null, scopeKey, run, replaced: old });
      },
    };
  }

  /** The session that will own the run, with its id in the spec. */
  #sessionOf(spec: BackgroundSpec, starter: Starter): Session | undefined {
    if ("session" in starter) {
      spec.sessionId = starter.session.id;
      return starter.session;
    }
    return spec.sessionId === null ? undefined : this.#sessions.mustFind(spec.sessionId, starter.asker);
  }

  /** 24 days is the longest timer: only the run's end completes this wait. */
  #over(run: string): Promise<RunView> {
    return this.wait(run, 2_000_000_000);
  }
}

function placed({ run, offset, printed, bytes: base64 }: OutputView): OutputPlace & { base64: string } {
  return { run, offset, nextOffset: offset + Buffer.byteLength(base64, "base64"), printed, base64 };
}

function decoded({ bytes, printed }: OutputEnd): StreamEnd {
  return { bytes: Buffer.from(bytes, "base64"), printed };
}
