/** `holdfast sessions list` and `sessions end ID`. */
import { systemClock } from "../clock.ts";
import { GatewayClient } from "../client/rpc.ts";
import { plainText } from "../plain-text.ts";
import type { CommandContext } from "./context.ts";
import { count, duration, printJson, printLines } from "./print.ts";

export async function listSessions(context: CommandContext): Promise<number> {
  const sessions = await new GatewayClient(context).call("session.list", {});
  if (context.json) {
    printJson(sessions);
    return 0;
  }
  const now = systemClock.now();
  const lines = sessions.map(({ id, client, server, createdAt, lastSeenAt, runs }) => {
    const who = plainText([client.name, client.version].filter((word) => word !== "").join(" ")) || "unnamed client";
    const times = `open for ${duration(now - createdAt)}, last seen ${duration(now - lastSeenAt)} ago`;
    return `${id}  ${who}  on ${server ?? "no single server"}, ${times}, ${count(runs.length, "run")}`;
  });
  printLines(lines.length === 0 ? ["no open sessions"] : lines);
  return 0;
}

/** Resolves when everything owned by the session is gone. */
export async function endSession(context: CommandContext, id: string): Promise<number> {
  await new GatewayClient(context).call("session.end", { id });
  if (!context.json) printLines([`session ${id} ended`]);
  return 0;
}
