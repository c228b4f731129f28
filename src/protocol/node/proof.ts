/** How a node proves that it holds its key: what is signed, and how a key becomes the node's id. The same on both sides. */
import { subprotocol } from "./messages.ts";
import { createHash, createPublicKey, verify, X509Certificate } from "node:crypto";

export interface SignedFacts {
  nonce: string;
  /** Id of the gateway. */
  gateway: string;
  /** SHA-256 of the certificate (DER) that the TLS connection showed, lower-case hex; "" without TLS. */
  fingerprint: string;
  publicKey: string;
  instance: string;
  name: string;
  invite: string | null;
  once: boolean;
}

/** Everything that the proof stands for, so that nothing of it can be changed or used for another gateway or connection. */
export function signedText(facts: SignedFacts): Buffer {
  const { nonce, gateway, fingerprint, publicKey, instance, name, invite, once } = facts;
  return Buffer.from(
    JSON.stringify([subprotocol, nonce, gateway, fingerprint, publicKey, instance, name, invite ?? "", once]),
  );
}

/** First 32 hex characters of SHA-256 over the raw public key, given in base64url. */
export function nodeIdOf(publicKey: string): string {
  return createHash("sha256").update(Buffer.from(publicKey, "base64url")).digest("hex").slice(0, 32);
}

/** False for whatever is wrong with key or signature. */
export function isProven(facts: SignedFacts, signature: string): boolean {
  try {
    const key = createPublicKey({ key: { kty: "OKP", crv: "Ed25519", x: facts.publicKey }, format: "jwk" });
    return verify(null, signedText(facts), key, Buffer.from(signature, "base64url"));
  } catch {
    return false; // no key, or no signature of this form
  }
}

/** Of a certificate (PEM, the first one if there are several), as `SignedFacts` has it. */
export function fingerprintOf(certificate: string): string {
  return new X509Certificate(certificate).fingerprint256.replaceAll(":", "").toLowerCase();
}
