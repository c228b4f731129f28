/**
 * The gateway's own certificate, for a bind to other machines without a configured one: made once, used permanently, identified
 * by its fingerprint. Node.js reads certificates and signs, but cannot build them; the library does.
 */
import { generateKeyPairSync, sign } from "node:crypto";
import { existsSync } from "node:fs";
import { hostname } from "node:os";
import { isIP } from "node:net";
import { join } from "node:path";
import type { Sources } from "../random.ts";
import { isWildcard } from "../config/load.ts";
import { readTls, type TlsFiles } from "../config/tls.ts";
import { HoldfastError } from "../errors.ts";
import { writeDurable } from "../platform/self/private-file.ts";
import { openStateDirectory, statePaths } from "./state-directory.ts";
import { makeDirectory } from "../make-directory.ts";

const validMs = 10 * 365 * 86_400_000;
/** Clocks of other machines may be slow. */
const backdatedMs = 86_400_000;

/** Paths of the pair, whether or not it exists. */
export function ownCertificateFiles(state: string): TlsFiles {
  const { tls } = statePaths(state);
  return { cert: join(tls, "cert.pem"), key: join(tls, "key.pem") };
}

/** Makes the pair if it is missing. Throws `state_unusable` when it exists but is unusable. */
export async function makeOwnCertificate(state: string, bind: readonly string[], sources: Sources): Promise<void> {
  const { tls } = openStateDirectory(state);
  const files = ownCertificateFiles(state);
  makeDirectory(tls);
  if (!existsSync(files.cert) || !existsSync(files.key)) {
    const made = await makeCertificate(namesFor(bind), sources);
    // The key first: a certificate without its key would look complete.
    writeDurable(files.key, made.key);
    writeDurable(files.cert, made.cert);
  }
  try {
    readTls(files);
  } catch (cause) {
    const remedy = `remove ${tls} and a new one is made; nodes and clients that know the old one must be told`;
    throw new HoldfastError("state_unusable", `${(cause as Error).message}; ${remedy}`, { cause });
  }
}

/** Names for clients that verify names; the fingerprint needs none. */
function namesFor(bind: readonly string[]): string[] {
  const addresses = bind.filter((address) => !isWildcard(address));
  return [...new Set(["localhost", hostname(), "127.0.0.1", "::1", ...addresses])];
}

/** P-256, self-signed, for a server. PEM. */
async function makeCertificate(names: string[], { clock, random }: Sources): Promise<{ cert: string; key: string }> {
  // Loaded on demand: one start needs it.
  const [x509, { AsnConvert, OctetString }] = await Promise.all([
    import("@peculiar/asn1-x509"),
    import("@peculiar/asn1-schema"),
  ]);
  const { publicKey, privateKey } = generateKeyPairSync("ec", { namedCurve: "prime256v1" });
  const ecdsaWithSha256 = new x509.AlgorithmIdentifier({ algorithm: "1.2.840.10045.4.3.2" });
  const value = new x509.AttributeValue({ utf8String: "holdfast" });
  const commonName = new x509.AttributeTypeAndValue({ type: "2.5.4.3", value });
  const name = new x509.Name([new x509.RelativeDistinguishedName([commonName])]);
  const extension = (extnID: string, critical: boolean, what: object) =>
    new x509.Extension({ extnID, critical, extnValue: new OctetString(AsnConvert.serialize(what)) });
  const alternatives = names.map(
    (one) => new x509.GeneralName(isIP(one) === 0 ? { dNSName: one } : { iPAddress: one }),
  );
  const now = clock.now();
  const content = new x509.TBSCertificate({
    version: x509.Version.v3,
    serialNumber: positive(random.bytes(16)),
    signature: ecdsaWithSha256,
    issuer: name,
    subject: name,
    validity: new x509.Validity({ notBefore: new Date(now - backdatedMs), notAfter: new Date(now + validMs) }),
    subjectPublicKeyInfo: AsnConvert.parse(
      publicKey.export({ type: "spki", format: "der" }),
      x509.SubjectPublicKeyInfo,
    ),
    extensions: new x509.Extensions([
      extension(x509.id_ce_basicConstraints, true, new x509.BasicConstraints({ cA: false })),
      extension(x509.id_ce_keyUsage, true, new x509.KeyUsage(x509.KeyUsageFlags.digitalSignature)),
      extension(x509.id_ce_extKeyUsage, false, new x509.ExtendedKeyUsage([x509.id_kp_serverAuth])),
      extension(x509.id_ce_subjectAltName, false, new x509.SubjectAlternativeName(alternatives)),
    ]),
  });
  const signature = sign("sha256", Buffer.from(AsnConvert.serialize(content)), privateKey);
  const certificate = new x509.Certificate({
    tbsCertificate: content,
    signatureAlgorithm: ecdsaWithSha256,
    signatureValue: new Uint8Array(signature).buffer,
  });
  return {
    cert: pem("CERTIFICATE", Buffer.from(AsnConvert.serialize(certificate))),
    key: privateKey.export({ type: "pkcs8", format: "pem" }),
  };
}

/** A serial number is signed, and its first byte must not be zero. */
function positive(bytes: Buffer): ArrayBuffer {
  bytes[0] = ((bytes[0] ?? 0) & 0x7f) | 0x40;
  return new Uint8Array(bytes).buffer;
}

function pem(label: string, der: Buffer): string {
  const lines = der.toString("base64").replaceAll(/.{1,64}/g, "$&\n");
  return `-----BEGIN ${label}-----\n${lines}-----END ${label}-----\n`;
}
