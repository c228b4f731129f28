/** Background runs as the front offers them, to the API and as MCP tools alike: one place that knows what an operation means. */
import type { Clock, Timer } from "../clock.ts";
import { shell } from "../platform/self/index.ts";
import { HoldfastError } from "../errors.ts";
import {
  readBytesMax,
  waitMsMax,
  type BackgroundSpec,
  type OutputEnd,
  type OutputStream,
  type OutputView,
} from "../protocol/keeper/background.ts";
import { unendable } from "../protocol/keeper/run-errors.ts";
import type { EndReason, RunView } from "../protocol/keeper/messages.ts";
import type { Log } from "../log.ts";
import type { Owned } from "../ownership/scope.ts";
import { mayAct, type Asker } from "../sessions/owner.ts";
import type { Session } from "../sessions/session.ts";
import type { SessionSet } from "../sessions/set.ts";
import { Callers } from "./callers.ts";
import { bytesOfKeys } from "./keys.ts";
import { type OutputPiece, type OutputPlace, readPlain, type PlainOptions } from "./plain-reader.ts";
import { RunOwners } from "./owners.ts";
import { Screens, type ScreenView } from "./screens.ts";
import { completeSpec, type StartOptions } from "../protocol/keeper/background-spec.ts";
import type { ReplacedScope, Runners } from "./runners.ts";

/** How often runs are looked at whose session may be gone without a word. */
const ownersLookMs = 2000;

/** Who starts a run: the holder of a token, or a session, to which the run then belongs. */
export type Starter = { asker: Asker } | { session: Session };

export interface ReadOptions {
  /** From the first byte; negative: so many bytes before the end. */
  offset: number;
  bytesMax: number;
  waitMs: number;
  viewer: boolean;
  /** A run in the foreground waits for this reader. */
  pace?: boolean;
  /** Of a run whose streams are apart; all other output is `stdout`. */
  stream?: OutputStream;
}

/** The last bytes of a stream, and how many were printed on it in all. */
interface StreamEnd {
  bytes: Buffer;
  printed: number;
}

export interface RunOutcome {
  run: RunView;
  stdout: StreamEnd;
  stderr: StreamEnd;
}

export class RunService {
  readonly screens: Screens;
  readonly #runners: Runners;
  readonly #clock: Clock;
  readonly #sessions: SessionSet;
  readonly #owners: RunOwners;
  readonly #log: Log;
  readonly #callers: Callers;
  readonly #held = new Set<string>();
  #timer: Timer | undefined;

  constructor(runners: Runners, sessions: SessionSet, clock: Clock, log: Log, owners = new RunOwners()) {
    this.#runners = runners;
    this.#log = log;
    this.#clock = clock;
    this.#sessions = sessions;
    this.#owners = owners;
    this.screens = new Screens(runners, clock);
    this.#callers = new Callers(runners, clock);
  }

  /** Once the sessions of an earlier front are there again: takes over what belongs to them, ends what belongs to nobody. */
  begin(): void {
    const look = () => void this.#lookAtOwners().catch(() => {}); // the keeper is gone, and this process with it
    look();
    this.#timer = this.#clock.every(ownersLookMs, look);
  }

  close(): void {
    this.#timer?.clear();
    this.#callers.close();
  }

  /** The run is for somebody who waits, and whom this session stands for; when its connection is gone, the run ends within 2 s. */
  watchCaller(run: string, sessionId: string, asker: Asker): void {
    const session = this.#sessions.find(sessionId, asker);
    if (session !== undefined) this.#callers.watch(run, session, () => this.wait(run, 2_000_000_000));
  }

  /** Its caller is gone: SIGTERM at once, and what is left after a second is killed. Never rejects. */
  endLost(run: string): Promise<void> {
    return this.#callers.endLost(run);
  }

  /**
   * Throws `run_unknown` for a run that is not the asker's, as for one that never was. Every method below that takes a run's
   * id is for callers that did this, or that know the run for their own.
   */
  mustBeOf(asker: Asker, run: string): void {
    if (mayAct(asker, this.#owners.get(run))) return;
    throw new HoldfastError("run_unknown", `no run ${run}; \`holdfast process list --all\` shows those there are`);
  }

  /** Throws what the keeper throws, and `session_unknown`; then nothing was started. */
  async start(options: StartOptions, starter: Starter): Promise<RunView> {
    const { command, argv, columns, rows, yieldMs, ...rest } = options;
    if ((command === undefined) === (argv === undefined))
      throw new HoldfastError("invalid_params", "give either command (for the shell) or argv (program and arguments)");
    const size = { columns: columns ?? 80, rows: rows ?? 24 };
    const spec = completeSpec(argv ?? shell(command ?? ""), { ...rest, size });
    const session = this.#sessionOf(spec, starter);
    const isToken = session === undefined && "asker" in starter && !starter.asker.scopes.has("admin");
    const scope = isToken && spec.scopeKey !== null ? this.#scopeOf(starter.asker.id, spec.scopeKey) : undefined;
    const run = await this.#runners.start(spec, scope);
    const tokenId = session === undefined && "asker" in starter ? starter.asker.id : session?.tokenId;
    this.#owners.note(run.id, tokenId ?? null);
    if (session !== undefined) this.#hold(run.id, session);
    return yieldMs === undefined || yieldMs === 0 ? run : this.wait(run.id, yieldMs);
  }

  async read(run: string, options: ReadOptions): Promise<OutputPiece> {
    const { base64, ...place } = await this.readEncoded(run, options);
    return { ...place, bytes: Buffer.from(base64, "base64") };
  }

  /** The bytes as the keeper sends them, for whoever only passes them on. */
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

  /** As `read`, as text without escape sequences; see `readPlain`. */
  readText(run: string, options: PlainOptions): Promise<OutputPlace & { text: string }> {
    return readPlain((asked) => this.read(run, { ...asked, viewer: false }), options, this.#clock);
  }

  /** Undefined for a run without a terminal. */
  async screen(run: RunView): Promise<ScreenView | undefined> {
    return run.kind === "pty" ? this.screens.look(run.id) : undefined;
  }

  /** `at`: offset of the first byte in all of its input; a piece that is sent again is not doubled then. */
  async write(run: string, bytes: Buffer, end = false, at: number | null = null): Promise<void> {
    await this.#runners.write({ run, bytes: bytes.toString("base64"), at, end });
  }

  /** Throws `keys_invalid` with nothing sent. */
  async sendKeys(run: string, keys: readonly string[]): Promise<void> {
    // Parsed before anything is asked: a bad key must not even draw a screen.
    bytesOfKeys(keys);
    const applicationCursor = (await this.#hasTerminal(run)) && (await this.screens.modes(run)).applicationCursor;
    await this.write(run, Buffer.from(bytesOfKeys(keys, applicationCursor)));
  }

  /** A line and Enter: what Enter is depends on whether a terminal stands between. */
  async submit(run: string, text: string): Promise<void> {
    const enter = (await this.#hasTerminal(run)) ? "\r" : "\n";
    await this.write(run, Buffer.from(text + enter));
  }

  /** Bracketed when the program asked its terminal for that, so that it can tell pasted lines from typed ones. */
  async paste(run: string, text: string, bracketed?: boolean): Promise<void> {
    if (!(await this.#hasTerminal(run))) return this.write(run, Buffer.from(text));
    const isBracketed = bracketed ?? (await this.screens.modes(run)).bracketedPaste;
    // A paste cannot end itself and go on as typed keys.
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

  /** Resolves when the run is over, or after `waitMs` with its state as it is then. */
  async wait(run: string, waitMs: number): Promise<RunView> {
    const asked = await this.#untilOver(waitMs, async (restMs) => {
      return { run: await this.#runners.wait({ run, waitMs: restMs }) };
    });
    return asked.run;
  }

  /** As `wait`, with the last bytes of each stream. */
  async outcome(run: string, waitMs: number, bytesMax: number): Promise<RunOutcome> {
    const bytes = Math.min(bytesMax, readBytesMax);
    const ask = (restMs: number) => this.#runners.outcome({ run, waitMs: restMs, bytesMax: bytes });
    const { run: view, stdout, stderr } = await this.#untilOver(waitMs, ask);
    return { run: view, stdout: decoded(stdout), stderr: decoded(stderr) };
  }

  /** One question waits for a bounded time only. */
  async #untilOver<T extends { run: RunView }>(waitMs: number, ask: (restMs: number) => Promise<T>): Promise<T> {
    const deadline = this.#clock.monotonic() + waitMs;
    for (;;) {
      const restMs = Math.ceil(Math.max(0, deadline - this.#clock.monotonic()));
      const asked = await ask(Math.min(restMs, waitMsMax));
      if (asked.run.state === "exited" || this.#clock.monotonic() >= deadline) return asked;
    }
  }

  /** Forgets a run; one that lives is ended first, or refused with `run_alive`. */
  async remove(run: string, end: boolean): Promise<void> {
    await this.#runners.remove({ run, end });
    this.screens.forget(run);
    this.#owners.forget(run);
  }

  /** With their processes; `all` adds the ended ones that are remembered. */
  list(all: boolean): Promise<RunView[]> {
    return this.#runners.list({ all });
  }

  async #hasTerminal(run: string): Promise<boolean> {
    const view = await this.#runners.wait({ run, waitMs: 0 });
    return view.kind === "pty";
  }

  /** Outside sessions, a scope key of a token that does not govern the gateway is that token's own. */
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

  /** The session that the run is to belong to, with its id in the spec. */
  #sessionOf(spec: BackgroundSpec, starter: Starter): Session | undefined {
    if ("session" in starter) {
      spec.sessionId = starter.session.id;
      return starter.session;
    }
    return spec.sessionId === null ? undefined : this.#sessions.mustFind(spec.sessionId, starter.asker);
  }

  /** From here on the session's scope owns the run, until it is over. */
  #hold(run: string, session: Session): void {
    if (this.#held.has(run)) return;
    this.#held.add(run);
    this.#owners.note(run, session.tokenId);
    session.runs.add(run);
    const owned: Owned = { close: async (reason) => void (await this.end(run, reason, false)) };
    session.scope.add(owned, `run ${run}`);
    const release = () => {
      this.#held.delete(run);
      session.runs.delete(run);
      session.scope.release(owned);
    };
    // 24 days is the longest that a timer can be; nothing else ends this wait but the run.
    this.wait(run, 2_000_000_000).then(release, release);
  }

  /** A session can be lost without its scope being closed: with the front that held it. Then its runs end here. */
  async #lookAtOwners(): Promise<void> {
    for (const { run, sessionId } of await this.#runners.owners()) {
      const session = this.#sessions.get(sessionId);
      if (session !== undefined) this.#hold(run, session);
      else if (!this.#held.has(run)) await this.#runners.end({ run, reason: "session-ended", hurried: false });
    }
  }
}

function placed({ run, offset, printed, bytes: base64 }: OutputView): OutputPlace & { base64: string } {
  return { run, offset, nextOffset: offset + Buffer.byteLength(base64, "base64"), printed, base64 };
}

function decoded({ bytes, printed }: OutputEnd): StreamEnd {
  return { bytes: Buffer.from(bytes, "base64"), printed };
}
