/** `holdfast attach RUN`: a run's terminal on this one. Several clients may attach; detaching leaves the run alive. */
import type { RunView } from "../protocol/run.ts";
import { GatewayClient } from "../client/rpc.ts";
import { HoldfastError } from "../errors.ts";
import type { CommandContext } from "./context.ts";
import { describeEnd } from "./describe-run.ts";
import { feed } from "./feed.ts";
import { follow, print } from "./follow.ts";

export interface AttachOptions {
  /** In the form `C-]`, the default. */
  detachKey: string | undefined;
  /** See `FollowOptions`. */
  caller?: string | undefined;
}

/** What a shell expects: main screen, visible cursor, no mouse, no bracketed paste, normal keys and colours. */
const restore = "\x1b[?1049l\x1b[?25h\x1b[?1000l\x1b[?1002l\x1b[?1003l\x1b[?1006l\x1b[?2004l\x1b[?1l\x1b>\x1b[0m";

export async function attach(context: CommandContext, id: string, options: AttachOptions): Promise<number> {
  const client = new GatewayClient(context);
  const run = await client.call("run.wait", { id, waitMs: 0 });
  if (run.state === "exited")
    throw new HoldfastError(
      "run_ended",
      `run ${id} ${describeEnd(run)}; \`holdfast logs ${id}\` shows what it printed`,
    );
  if (run.kind !== "pty")
    throw new HoldfastError(
      "invalid_params",
      `run ${id} has no terminal to attach to; \`holdfast logs -f ${id}\` follows what it prints, \`holdfast process write ${id}\` sends it text`,
    );
  const ended = await attachTo(client, run, options);
  const isOver = ended.state === "exited";
  process.stderr.write(isOver ? `run ${id} ${describeEnd(ended)}\n` : `detached; run ${id} goes on\n`);
  return 0;
}

/** Resolves with the ended run, or with a live one after detaching. */
export async function attachTo(client: GatewayClient, run: RunView, options: AttachOptions): Promise<RunView> {
  const { id } = run;
  const isPty = run.kind === "pty";
  const key = keyOf(options.detachKey ?? "C-]");
  const leaving = new AbortController();
  const { stdin, stdout } = process;
  const isRaw = isPty && stdin.isTTY;
  const onResize = () => void resize(client, id).catch(() => {}); // the run has ended, as its output reports
  const offset = isPty ? await drawFirst(client, id) : 0;
  if (isRaw) stdin.setRawMode(true);
  if (isPty && stdout.isTTY) {
    stdout.on("resize", onResize);
    onResize();
  }
  const leave = Promise.withResolvers<"left">();
  const intercept = (bytes: Buffer) => {
    const at = isRaw ? bytes.indexOf(key) : -1;
    if (at === -1) return bytes;
    leaving.abort();
    leave.resolve("left");
    return bytes.subarray(0, at);
  };
  const feeding = feed(client, id, isPty, { intercept });
  try {
    const over = follow(client, id, {
      offset,
      follow: true,
      viewer: true,
      caller: options.caller,
      signal: leaving.signal,
      onBytes: print,
    });
    over.catch(() => {}); // detaching aborts a wait; the race handles all other failures
    const first = await Promise.race([over, leave.promise]);
    if (first !== "left") return first;
    return await client.call("run.wait", { id, waitMs: 0 });
  } finally {
    stdout.off("resize", onResize);
    if (isRaw) stdin.setRawMode(false);
    feeding.close();
    if (isPty && stdout.isTTY) process.stdout.write(`${restore}\r\n`);
  }
}

/** Prints the run's current screen as text; the program redraws after the resize. Returns the offset to continue from. */
async function drawFirst(client: GatewayClient, id: string): Promise<number> {
  const { screen } = await client.call("run.poll", { id, screen: true });
  if (screen === null) return 0;
  const { lines, cursor, alternate } = screen;
  const last = Math.max(
    cursor.row,
    lines.findLastIndex((line) => line !== ""),
  );
  const place = `\x1b[${cursor.row + 1};${cursor.column + 1}H`;
  const text = lines.slice(0, last + 1).join("\r\n");
  if (process.stdout.isTTY) await print(Buffer.from(`${alternate ? "\x1b[?1049h" : ""}\x1b[2J\x1b[H${text}${place}`));
  else await print(Buffer.from(text));
  return screen.offset;
}

async function resize(client: GatewayClient, id: string): Promise<void> {
  const { columns, rows } = process.stdout;
  await client.call("run.resize", { id, columns, rows });
}

/** The byte of a key pressed with Ctrl. */
function keyOf(name: string): number {
  const character = /^(?:C-|\^)(.)$/.exec(name)?.[1]?.toUpperCase().charCodeAt(0) ?? 0;
  if (character < 64 || character > 95)
    throw new HoldfastError("usage", `attach: --detach-key wants a key with Ctrl, as C-] or C-a, not ${name}`);
  return character - 64;
}
