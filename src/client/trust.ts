/**
 * Why a client on the gateway's own machine may trust its certificate: the gateway wrote it into its record, in a directory
 * that is its user's alone. So a certificate that nobody signed, or one for another name, is good here, and no other one is.
 */
import { X509Certificate } from "node:crypto";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { Readable } from "node:stream";
import type { ConnectionOptions } from "node:tls";

/** Options for a TLS connection to this gateway; none for plain HTTP, and for a gateway that the record does not name. */
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

/** As `fetch`, over a connection that trusts what it is told to. */
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
    return undefined; // no gateway has run here, or it ended in order
  }
}
