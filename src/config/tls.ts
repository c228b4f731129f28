/** The gateway's certificate and key: readable, matching, and the key private. */
import { createPrivateKey, X509Certificate } from "node:crypto";
import { readFileSync, statSync } from "node:fs";
import { reasonOf } from "../plain-reason.ts";
import { systemClock } from "../clock.ts";

/** Paths of two PEM files. */
export interface TlsFiles {
  cert: string;
  key: string;
}

/** The contents of both. `cert` may include the chain. */
export interface TlsPair {
  cert: string;
  key: string;
}

/** The last valid contents. */
const lastGood = new WeakMap<TlsFiles, TlsPair>();

/** Throws an Error that names the problem and the file. */
export function readTls(files: TlsFiles): TlsPair {
  const cert = read(files.cert, "the certificate");
  const key = read(files.key, "the key");
  if ((statSync(files.key).mode & 0o007) !== 0)
    throw new Error(`the key ${files.key} can be read by others (chmod 600 it)`);
  const certificate = attempt(() => new X509Certificate(cert), `${files.cert} holds no PEM certificate`);
  const privateKey = attempt(() => createPrivateKey(key), `${files.key} holds no PEM key without a passphrase`);
  if (!certificate.checkPrivateKey(privateKey)) throw new Error(`the key ${files.key} is not the one of ${files.cert}`);
  if (Date.parse(certificate.validTo) < systemClock.now())
    throw new Error(`the certificate ${files.cert} expired on ${certificate.validTo}; renew it`);
  const pair = { cert, key };
  lastGood.set(files, pair);
  return pair;
}

/** For a later front: renewed files if valid, else the last valid contents. Never throws once they were valid. */
export function currentTls(files: TlsFiles): TlsPair {
  try {
    return readTls(files);
  } catch (thrown) {
    const before = lastGood.get(files);
    if (before === undefined) throw thrown;
    return before;
  }
}

function read(path: string, what: string): string {
  return attempt(() => readFileSync(path, "utf8"), `${what} ${path} cannot be read`);
}

function attempt<T>(action: () => T, problem: string): T {
  try {
    return action();
  } catch (cause) {
    throw new Error(`${problem} (${reasonOf(cause)})`, { cause });
  }
}
