/**
 * A client on the gateway's own machine trusts the certificate in the gateway's record, whatever its name or issuer,
 * and no other: the record's directory is private.
 */
import { X509Certificate } from "node:crypto";
import { readFileSync } from "node:fs";
import type { IncomingMessage } from "node:http";
import { join } from "node:path";
import type { ConnectionOptions } from "node:tls";

/** TLS options for this gateway; none for plain HTTP or a gateway not in the record. */
export function trustOf(state: string, url: string): ConnectionOptions {
  if (!url.startsWith("https:")) return {};
  const record = readRecord(state);
  if (record?.certificate === undefined || record.certificate === null) return {};
  if (record.urls?.includes(new URL(url).origin) !== true) return {};
  const expected = new X509Certificate(record.certificate).fingerprint256;
  return {
    ca: record.certificate,
    allowPartialTrustChain: true,
    checkServerIdentity: (_host, { fingerprint256 }) =>
      fingerprint256 === expected ? undefined : new Error("the certificate is not the one in the gateway's record"),
  };
}

export interface Request {
  method?: "GET" | "POST" | "DELETE";
  headers?: Record<string, string>;
  body?: string;
  signal: AbortSignal;
}

/** The response with this trust, as soon as its head is there. By node:http, since `fetch` takes 40 ms to load. */
export async function exchange(url: string, request: Request, trust: ConnectionOptions): Promise<IncomingMessage> {
  const { promise, resolve, reject } = Promise.withResolvers<IncomingMessage>();
  const { body, ...rest } = request;
  const asked = url.startsWith("https:")
    ? process.getBuiltinModule("node:https").request(url, { ...trust, agent: false, ...rest })
    : process.getBuiltinModule("node:http").request(url, { agent: false, ...rest });
  // Permanent: what fails after the head is an error of the response too.
  asked.on("error", reject);
  asked.once("response", resolve);
  asked.end(body);
  return promise;
}

function readRecord(state: string): { certificate?: string | null; urls?: string[] } | undefined {
  try {
    return JSON.parse(readFileSync(join(state, "keeper.json"), "utf8")) as {
      certificate?: string | null;
      urls?: string[];
    };
  } catch {
    return undefined; // never started here, or ended in order
  }
}
