/** `holdfast process …`: background runs, one operation each. */
import type { RunView } from "../protocol/run.ts";
import { systemClock } from "../clock.ts";
import { GatewayClient } from "../client/rpc.ts";
import { HoldfastError } from "../errors.ts";
import { plainText } from "../plain-text.ts";
import type { CommandContext } from "./context.ts";
import { describeBackground, describeEnd } from "./describe-run.ts";
import { printJson, printLines } from "./print.ts";

/** Longest wait of one request; `wait` repeats it. */
const waitMsMax = 30_000;

export interface ProcessOptions {
  all?: boolean;
  offset?: number;
  wait?: number;
  screen?: boolean;
  limit?: number;
  hex?: boolean;
  literal?: boolean;
  end?: boolean;
  bare?: boolean;
  now?: boolean;
  command?: boolean;
}

type Operation = (parts: {
  client: GatewayClient;
  id: string;
  words: string[];
  options: ProcessOptions;
  json: boolean;
}) => Promise<void>;

const operations: Record<string, Operation> = {
  async poll({ client, id, options, json }) {
    const { offset = 0, wait = 0, screen = false } = options;
    const polled = await client.call("run.poll", { id, offset, waitMs: wait, screen });
    if (json) return printJson(polled);
    printLines([describeBackground(polled.run)]);
    const { lines = [] } = polled.screen ?? {};
    if (screen) printLines(lines.slice(0, lines.findLastIndex((line) => line !== "") + 1));
    else process.stdout.write(process.stdout.isTTY ? plainText(polled.text) : polled.text);
  },
  async log({ client, id, options, json }) {
    const { offset = 0, limit = 64 * 1024 } = options;
    const piece = await client.call("run.log", { id, offset, bytesMax: limit });
    if (json) printJson(piece);
    else process.stdout.write(Buffer.from(piece.bytes, "base64"));
  },
  async write({ client, id, words, options }) {
    const text = words.join(" ");
    const data = options.hex === true ? bytesOfHex(text) : Buffer.from(text);
    await client.call("run.write", {
      id,
      data: data.toString("base64"),
      encoding: "base64",
      end: options.end ?? false,
    });
  },
  async "send-keys"({ client, id, words, options }) {
    if (options.literal === true) await client.call("run.write", { id, data: words.join(" ") });
    else await client.call("run.sendKeys", { id, keys: words });
  },
  async submit({ client, id, words }) {
    await client.call("run.submit", { id, text: words.join(" ") });
  },
  async paste({ client, id, words, options }) {
    const text = words.join(" ");
    await client.call("run.paste", { id, text, ...(options.bare === true ? { bracketed: false } : {}) });
  },
  async resize({ client, id, words }) {
    const [columns = 0, rows = 0] = words.map(Number);
    if (!(columns >= 1 && rows >= 1))
      throw new HoldfastError("usage", `process resize: COLUMNS and ROWS are whole numbers, not ${words.join(" ")}`);
    await client.call("run.resize", { id, columns, rows });
  },
  async signal({ client, id, words, options }) {
    const to = options.command === true ? "command" : "all";
    await client.call("run.signal", { id, signal: words[0] ?? "", to });
  },
  async kill({ client, id, options, json }) {
    tellEnd(await client.call("run.kill", { id, now: options.now ?? false }), json);
  },
  async clear({ client, id }) {
    await client.call("run.clear", { id });
  },
  async remove({ client, id }) {
    await client.call("run.remove", { id });
  },
  async wait({ client, id, options, json }) {
    const deadline = options.wait === undefined ? Number.POSITIVE_INFINITY : systemClock.monotonic() + options.wait;
    for (;;) {
      const waitMs = Math.ceil(Math.max(0, Math.min(waitMsMax, deadline - systemClock.monotonic())));
      const run = await client.call("run.wait", { id, waitMs });
      if (run.state === "exited") return tellEnd(run, json);
      if (systemClock.monotonic() >= deadline) throw new HoldfastError("run_alive", `run ${id} has not ended`);
    }
  },
};

export async function processList(context: CommandContext, options: ProcessOptions): Promise<number> {
  const runs = await new GatewayClient(context).call("run.list", { all: options.all ?? false });
  const background = runs.filter(({ kind }) => kind !== "mcp");
  if (context.json) printJson(background);
  else printLines(background.length === 0 ? ["no background run"] : background.map(describeBackground));
  return 0;
}

export async function processOperation(
  context: CommandContext,
  name: string,
  id: string,
  words: string[],
  options: ProcessOptions,
): Promise<number> {
  const operation = operations[name];
  if (operation === undefined) throw new HoldfastError("usage", `process: no operation ${name}`);
  await operation({ client: new GatewayClient(context), id, words, options, json: context.json });
  return 0;
}

function tellEnd(run: RunView, json: boolean): void {
  if (json) printJson(run);
  else printLines([`run ${run.id} ${describeEnd(run)}`]);
}

function bytesOfHex(text: string): Buffer {
  const digits = text.replaceAll(/\s/g, "");
  if (!/^(?:[0-9a-f]{2})*$/i.test(digits))
    throw new HoldfastError(
      "usage",
      `process write --hex: ${JSON.stringify(text.slice(0, 40))} is not pairs of hex digits`,
    );
  return Buffer.from(digits, "hex");
}
