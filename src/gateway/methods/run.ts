/** `run.*`, answered by the run service. */
import type { RunView } from "../../protocol/run.ts";
import { HoldfastError } from "../../errors.ts";
import type { RunService } from "../../runs/service.ts";
import type { Asker } from "../../sessions/owner.ts";
import type { SessionSet } from "../../sessions/set.ts";
import type { MethodsOf } from "../../protocol/api/index.ts";
import type { NamespaceHandlers } from "./handlers.ts";

/** Most bytes of text per answer. */
const pollBytesMax = 64 * 1024;

type OfOneRun = Exclude<MethodsOf<"run">, "run.list" | "run.start">;

export function runHandlers(runs: RunService, sessions: SessionSet): NamespaceHandlers<"run"> {
  return {
    "run.list": async ({ all }, caller) => showRuns(await runs.list(all), sessions, caller),
    "run.start": async ({ caller: session, yieldMs, ...params }, caller) => {
      const run = await runs.start(params, { asker: caller });
      if (session !== undefined) runs.watchCaller(run.id, session, caller);
      return yieldMs === 0 ? run : runs.wait(run.id, yieldMs);
    },
    ...ownersOnly(runs, {
      "run.log": async ({ id, caller: session, ...options }, caller) => {
        if (session !== undefined) runs.watchCaller(id, session, caller);
        const { base64, ...place } = await runs.readEncoded(id, options);
        return { ...place, bytes: base64 };
      },
      "run.poll": async ({ id, offset, waitMs, screen }) => {
        const piece = await runs.readText(id, { offset, waitMs, bytesMax: pollBytesMax });
        const drawn = screen ? await runs.screen(piece.run) : undefined;
        return { ...piece, screen: drawn ?? null };
      },
      "run.write": ({ id, data, encoding, end, at }) => done(runs.write(id, decode(data, encoding), end, at)),
      "run.sendKeys": ({ id, keys }) => done(runs.sendKeys(id, keys)),
      "run.submit": ({ id, text }) => done(runs.submit(id, text)),
      "run.paste": ({ id, text, bracketed }) => done(runs.paste(id, text, bracketed)),
      "run.resize": ({ id, columns, rows }) => done(runs.resize(id, columns, rows)),
      "run.signal": ({ id, signal, to }) => done(runs.signal(id, signal, to)),
      "run.kill": ({ id, now }) => runs.end(id, "cancelled", now),
      "run.clear": ({ id }) => done(runs.remove(id, false)),
      "run.remove": ({ id }) => done(runs.remove(id, true)),
      "run.wait": ({ id, waitMs }) => runs.wait(id, waitMs),
    }),
  };
}

type RunHandlers = Pick<NamespaceHandlers<"run">, OfOneRun>;

/** Allowed for the run's token and `admin`. */
function ownersOnly(runs: RunService, handlers: RunHandlers): RunHandlers {
  const guarded = Object.entries(handlers).map(([name, handle]) => {
    const guard = (params: { id: string }, caller: Asker) => {
      runs.mustBeOf(caller, params.id);
      return (handle as (params: object, caller: Asker) => unknown)(params, caller);
    };
    return [name, guard];
  });
  return Object.fromEntries(guarded) as RunHandlers;
}

/** As the caller may see them: other callers' session ids are truncated. */
export function showRuns(views: RunView[], sessions: SessionSet, caller: Asker): RunView[] {
  const show = (id: string | null) => (id === null ? null : sessions.show(id, caller));
  return views.map((run) => ({ ...run, sessionId: show(run.sessionId) }));
}

function decode(data: string, encoding: "text" | "base64"): Buffer {
  if (encoding === "text") return Buffer.from(data);
  if (!/^[A-Za-z0-9+/]*={0,2}$/.test(data)) throw new HoldfastError("invalid_params", "data: not base64");
  return Buffer.from(data, "base64");
}

async function done(work: Promise<void>): Promise<null> {
  await work;
  return null;
}
