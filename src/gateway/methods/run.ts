/** `run.*`: the keeper's to answer, by way of the run service. */
import { HoldfastError } from "../../errors.ts";
import type { Keeper } from "../../runs/keeper.ts";
import type { OutputPlace, RunService } from "../../runs/service.ts";
import type { NamespaceHandlers } from "./handlers.ts";

/** Most bytes of text in one answer. */
const pollBytesMax = 64 * 1024;

export function runHandlers(link: Keeper, runs: RunService): NamespaceHandlers<"run"> {
  return {
    "run.list": ({ all }) => link.ask("run.list", { all }),
    "run.start": (params) => runs.start(params),
    "run.log": async ({ id, ...options }) => {
      const { base64, ...place } = await runs.readEncoded(id, options);
      return { ...place, bytes: base64 };
    },
    "run.poll": async ({ id, offset, waitMs, screen }) => {
      const piece = await runs.readText(id, { offset, waitMs, bytesMax: pollBytesMax, viewer: false });
      const drawn = screen ? await runs.screen(piece.run) : undefined;
      return { ...placeOf(piece), text: piece.text, screen: drawn ?? null };
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
  };
}

function placeOf({ run, offset, nextOffset, printed }: OutputPlace): OutputPlace {
  return { run, offset, nextOffset, printed };
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
