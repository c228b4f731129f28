/**
 * A client on the gateway's own machine trusts the certificate in the gateway's record, whatever its name or issuer,
 * and no other: the record's directory is private.
 */
import { X509Certificate } from "node:crypto";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { Readable } from "node:stream";
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

/** `fetch` with this trust. */
export async function fetchTrusting(url: string, init: RequestInit, trust: ConnectionOptions): Promise<Response> {
  const { promise, resolve, reject } = Promise.withResolvers<Response>();
  const { method = "GET", signal, body } = init;
  const headers = Object.fromEntries(new Headers(init.headers));
  const { request } = await import("node:https");
  const asked = request(url, { ...trust, agent: false, method, headers, ...(signal ? { signal } : {}) });
  asked.once("error", reject);
  asked.once("response", (response) => {
    const answer = Readable.toWeb(response) as ReadableStream<Uint8Array<ArrayBuffer>>;
    resolve(new Response(answer, { status: response.statusCode ?? 500 }));
  });
  asked.end(typeof body === "string" ? body : undefined);
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
