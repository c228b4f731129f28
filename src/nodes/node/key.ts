/** The node's identity: an Ed25519 key, made at first start, that never leaves its state directory. */
import { createPrivateKey, createPublicKey, generateKeyPairSync, sign, type KeyObject } from "node:crypto";
import { existsSync } from "node:fs";
import { HoldfastError } from "../../errors.ts";
import { createPrivate, readPrivateFile } from "../../platform/self/private-file.ts";
import { nodeIdOf, signedText, type SignedFacts } from "../../protocol/node/proof.ts";

export class NodeKey {
  /** Raw 32 bytes, base64url. */
  readonly publicKey: string;
  readonly #key: KeyObject;

  /** Makes a missing key. Throws `file_exposed` if others could have read it, `state_unusable` if it is invalid. */
  static open(path: string): NodeKey {
    if (!existsSync(path)) {
      const { privateKey } = generateKeyPairSync("ed25519");
      // False when a concurrent start was faster: its key is this node's.
      createPrivate(path, privateKey.export({ type: "pkcs8", format: "pem" }));
    }
    const text = readPrivateFile(path);
    try {
      const key = createPrivateKey(text);
      if (key.asymmetricKeyType === "ed25519") return new NodeKey(key);
    } catch {
      // Reported below, without the contents of the file.
    }
    const advice = "remove it to get a new one, which the gateway has to approve again";
    throw new HoldfastError("state_unusable", `${path} does not hold an Ed25519 key; ${advice}`);
  }

  private constructor(key: KeyObject) {
    this.#key = key;
    this.publicKey = createPublicKey(key).export({ format: "jwk" }).x ?? "";
  }

  get nodeId(): string {
    return nodeIdOf(this.publicKey);
  }

  /** Base64url. */
  prove(facts: SignedFacts): string {
    return sign(null, signedText(facts), this.#key).toString("base64url");
  }
}
