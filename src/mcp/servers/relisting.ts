/** Fetches the tools of a stateless server again after it refused a call's headers, since they may have changed. */
import type { OutgoingHttpHeaders } from "node:http";
import { readEnvelope, type Envelope } from "../wire/envelope.ts";
import type { Ongoing } from "./authorized.ts";
import type { ExchangeEvents } from "./exchange.ts";
import type { OpenRequests } from "./open-requests.ts";
import { statelessHeaders } from "./stateless-http.ts";
import { nextCursor, type ToolHeaders } from "./tool-headers.ts";

/** Pages fetched per refused call. */
const pagesMax = 100;

export interface RelistingParts {
  toolHeaders: ToolHeaders;
  open: OpenRequests;
  post: (body: Buffer, headers: OutgoingHttpHeaders, events: ExchangeEvents) => Ongoing;
}

/** Uses the call's own client metadata. `then` runs unless the call was cancelled. */
export function relist(parts: RelistingParts, envelope: Envelope, line: Buffer, then: () => void): void {
  askPage(parts, envelope, line, pagesMax, undefined, then);
}

function askPage(
  parts: RelistingParts,
  envelope: Envelope,
  line: Buffer,
  pages: number,
  cursor: string | undefined,
  then: () => void,
): void {
  const id = line.toString("latin1", envelope.idStart, envelope.idEnd);
  const { params } = JSON.parse(line.toString("utf8")) as { params: { _meta: Record<string, unknown> } };
  const { progressToken: _, ...meta } = params._meta;
  const asked = { _meta: meta, ...(cursor === undefined ? {} : { cursor }) };
  const body = Buffer.from(JSON.stringify({ jsonrpc: "2.0", id: "tools", method: "tools/list", params: asked }));
  let next: string | undefined;
  const request = parts.post(body, statelessHeaders(readEnvelope(body), body), {
    onEvent: ({ name, data }, release) => {
      if (name === "message") {
        parts.toolHeaders.hear(data);
        next = nextCursor(data);
      }
      release();
    },
    onEnd: () => {
      if (!parts.open.holds(id, request)) return;
      parts.open.over(id, request);
      if (next === undefined || pages === 1) return then();
      askPage(parts, envelope, line, pages - 1, next, then);
    },
  });
  parts.open.add(id, request);
}
