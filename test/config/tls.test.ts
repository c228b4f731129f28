/** A certificate that is renewed while a keeper lives. */
import assert from "node:assert/strict";
import { chmodSync, copyFileSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { it } from "node:test";
import { fileURLToPath } from "node:url";
import { RenewedTls } from "../../src/config/tls.ts";

const fixture = (name: string) => fileURLToPath(new URL(`../fixtures/tls/${name}`, import.meta.url));

it("a certificate renewed badly leaves the last valid one, which other keepers do not get", () => {
  const directory = mkdtempSync(join(tmpdir(), "holdfast-tls-"));
  try {
    const files = { cert: join(directory, "cert.pem"), key: join(directory, "key.pem") };
    const renewed = new RenewedTls(files);
    assert.throws(() => renewed.read(), /the certificate .*cert\.pem cannot be read/);
    copyFileSync(fixture("cert.pem"), files.cert);
    copyFileSync(fixture("key.pem"), files.key);
    chmodSync(files.key, 0o600);
    const valid = { cert: readFileSync(files.cert, "utf8"), key: readFileSync(files.key, "utf8") };
    assert.deepEqual(renewed.read(), valid);
    copyFileSync(fixture("other-cert.pem"), files.cert);
    assert.deepEqual(renewed.read(), valid);
    assert.throws(() => new RenewedTls(files).read(), /is not the one of/);
  } finally {
    rmSync(directory, { recursive: true });
  }
});
