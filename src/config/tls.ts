/** The gateway's certificate and key: readable, matching, and the key private. */
import { createPrivateKey, X509Certificate } from "node:crypto";
import { readFileSync, statSync } from "node:fs";
import { reasonOf } from "../plain-reason.ts";
import { systemClock } from "../clock.ts";
import { othersAccess, privateRemedy } from "../platform/access.ts";

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

/** Throws an Error that names the problem and the file. */
export function readTls(files: TlsFiles): TlsPair {
  const cert = read(files.cert, "the certificate");
  const key = read(files.key, "the key");
  if (othersAccess(files.key, statSync(files.key), { group: false }) !== "none")
    throw new Error(`the key ${files.key} can be read by others (${privateRemedy(files.key)})`);
  const certificate = attempt(() => new X509Certificate(cert), `${files.cert} holds no PEM certificate`);
  const privateKey = attempt(() => createPrivateKey(key), `${files.key} holds no PEM key without a passphrase`);
  if (!certificate.checkPrivateKey(privateKey)) throw new Error(`the key ${files.key} is not the one of ${files.cert}`);
  if (Date.parse(certificate.validTo) < systemClock.now())
    throw new Error(`the certificate ${files.cert} expired on ${certificate.validTo}; renew it`);
  return { cert, key };
}

/** Files that may be renewed while a keeper lives. */
export class RenewedTls {
  readonly #files: TlsFiles;
  #lastGood: TlsPair | undefined;

  constructor(files: TlsFiles) {
    this.#files = files;
  }

  /** For a front: renewed files if valid, else the last valid contents. Throws as `readTls` until they were valid once. */
  read(): TlsPair {
    try {
      this.#lastGood = readTls(this.#files);
    } catch (thrown) {
      if (this.#lastGood === undefined) throw thrown;
    }
    return this.#lastGood;
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
