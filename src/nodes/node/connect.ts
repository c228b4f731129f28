/** Opens a WebSocket to an authenticated gateway: the certificate is checked before anything is sent. */
import { createHash } from "node:crypto";
import { isIP, type Socket } from "node:net";
import { connect as connectTls, getCACertificates, type TLSSocket } from "node:tls";
import { WebSocket } from "ws";
import { frameBytesMax, nodePath, subprotocol } from "../../protocol/node/messages.ts";
import { abortAfter, type Clock } from "../../clock.ts";
import { HoldfastError } from "../../errors.ts";

export interface Target {
  host: string;
  port: number;
  /** SHA-256 of the certificate, lower-case hex; null = one that the system trusts for this host. */
  fingerprint: string | null;
}

/**
 * Takes over the socket before it is open: the gateway's first message may arrive with the upgrade response. `fingerprint`:
 * of the certificate shown; "" without TLS.
 */
export type Take<T> = (socket: WebSocket, fingerprint: string) => T;

/** Opens the connection to a gateway on loopback, without TLS: `net.connect`, or a simulated network's. */
export type ConnectTcp = (target: { host: string; port: number }) => Socket;

/** Plain text is for loopback only. */
function usesTls({ host, fingerprint }: Target): boolean {
  return fingerprint !== null || !isLoopback(host);
}

export function addressOf(target: Target): string {
  const { host, port } = target;
  return `${usesTls(target) ? "wss" : "ws"}://${isIP(host) === 6 ? `[${host}]` : host}:${port}${nodePath}`;
}

/**
 * Throws `gateway_unreachable` or `certificate_untrusted` with the remedy, leaving no socket. `signal` aborts at once; the
 * whole attempt takes at most `boundMs`.
 */
export async function connect<T>(
  target: Target,
  bound: { clock: Clock; boundMs: number; signal: AbortSignal; connectTcp: ConnectTcp },
  take: Take<T>,
): Promise<T> {
  const { clock, boundMs, signal, connectTcp } = bound;
  using late = abortAfter(clock, boundMs);
  const ended = AbortSignal.any([signal, late.signal]);
  const raw = usesTls(target) ? openTls(target) : connectTcp({ host: target.host, port: target.port });
  raw.on("error", () => {}); // reported to the waiter, and followed by "close"
  try {
    await settled(raw, usesTls(target) ? "secureConnect" : "connect", ended, target, boundMs);
    raw.setNoDelay(true);
    const fingerprint = checkPeer(raw, target);
    const socket = makeSocket(raw, target);
    const taken = take(socket, fingerprint);
    await settled(socket, "open", ended, target, boundMs);
    return taken;
  } catch (thrown) {
    raw.destroy();
    throw thrown;
  }
}

function openTls({ host, port, fingerprint }: Target): TLSSocket {
  const servername = isIP(host) === 0 ? { servername: host } : {};
  if (fingerprint !== null) return connectTls({ host, port, ...servername, rejectUnauthorized: false });
  return connectTls({
    host,
    port,
    ...servername,
    ca: [...getCACertificates("default"), ...getCACertificates("system")],
  });
}

/** The fingerprint of the certificate shown. Throws for any but the pinned one, and for plain text beyond loopback. */
function checkPeer(raw: Socket, { host, fingerprint }: Target): string {
  if (!("getPeerCertificate" in raw)) {
    if (isLoopback(raw.remoteAddress ?? "")) return "";
    throw unreachable(`${host} is ${raw.remoteAddress}, which is not this machine; name it by --fingerprint`);
  }
  const { raw: certificate } = (raw as TLSSocket).getPeerCertificate();
  const shown = createHash("sha256").update(certificate).digest("hex");
  if (fingerprint === null || fingerprint === shown) return shown;
  const message = `${host} shows the certificate ${shown}, and the pinned one is ${fingerprint}: this is another gateway or an interceptor; if the certificate was replaced, give the new --fingerprint`;
  throw new HoldfastError("certificate_untrusted", message);
}

function makeSocket(raw: Socket, target: Target): WebSocket {
  const socket = new WebSocket(addressOf(target).replace(/^wss/, "ws"), subprotocol, {
    createConnection: () => raw,
    maxPayload: frameBytesMax,
    perMessageDeflate: false,
    followRedirects: false,
    skipUTF8Validation: false,
  });
  socket.on("error", () => {}); // as above
  return socket;
}

/** Waits for one event, the first error, or the bound. */
function settled(
  emitter: Socket | WebSocket,
  event: string,
  bound: AbortSignal,
  target: Target,
  boundMs: number,
): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  const where = addressOf(target);
  const onError = (error: Error) => reject(explain(error, where, target));
  const onClose = () => reject(unreachable(`${where} closed the connection before it answered`));
  const onBound = () => reject(unreachable(`no answer from ${where} within ${boundMs} ms`));
  const on = emitter as Socket;
  on.once(event, resolve);
  on.once("error", onError);
  on.once("close", onClose);
  if (bound.aborted) onBound();
  bound.addEventListener("abort", onBound, { once: true });
  return promise.finally(() => {
    on.off(event, resolve);
    on.off("error", onError);
    on.off("close", onClose);
    bound.removeEventListener("abort", onBound);
  });
}

function explain(error: Error & { code?: string }, where: string, target: Target): HoldfastError {
  const { code = "", message } = error;
  if (/^(?:DEPTH_|SELF_SIGNED|UNABLE_TO_|CERT_|ERR_TLS_CERT_ALTNAME)/.test(code)) {
    const remedy =
      "give its --fingerprint (the join line of `holdfast nodes invite` has it), or let it have a certificate that this machine trusts";
    return new HoldfastError("certificate_untrusted", `${where}: ${message}; ${remedy}`, { cause: error });
  }
  const status = /^Unexpected server response: (\d+)/.exec(message)?.[1];
  if (status !== undefined)
    return unreachable(`${where} answered ${status}: it is not a gateway, or one that takes no nodes`, error);
  if (usesTls(target) && /EPROTO|WRONG_VERSION/.test(`${code} ${message}`))
    return unreachable(
      `${where} does not speak TLS: it is not the gateway's port, or it listens on loopback only`,
      error,
    );
  if (!usesTls(target) && /Parse Error|hang up|ECONNRESET/.test(`${code} ${message}`))
    return unreachable(`${where} does not answer as a gateway; if it has a certificate, give its --fingerprint`, error);
  return unreachable(`${where}: ${message === "" ? code : message}`, error);
}

function unreachable(message: string, cause?: unknown): HoldfastError {
  return new HoldfastError("gateway_unreachable", message, { cause });
}

function isLoopback(host: string): boolean {
  return host === "localhost" || host === "::1" || /^(?:::ffff:)?127\.\d{1,3}\.\d{1,3}\.\d{1,3}$/.test(host);
}
