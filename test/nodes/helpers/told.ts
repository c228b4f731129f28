/** What a node has and tells: its key, and its runs. */
import { createPrivateKey, generateKeyPairSync, type KeyObject } from "node:crypto";
import type { RunView } from "../../../src/protocol/run.ts";
import { nodeIdOf } from "../../../src/protocol/node/proof.ts";

export class Key {
  readonly publicKey: string;
  readonly id: string;
  readonly private: KeyObject;

  constructor() {
    const { privateKey } = generateKeyPairSync("ed25519");
    const { x = "" } = privateKey.export({ format: "jwk" });
    this.publicKey = x;
    this.id = nodeIdOf(x);
    this.private = createPrivateKey(privateKey.export({ type: "pkcs8", format: "pem" }));
  }
}

/** A run as a node tells it; running unless `told` says otherwise. */
export function told(request: string, differing: Partial<RunView> = {}): RunView {
  const used = { outputBytes: 0, lastOutputAt: null, lastInputAt: null, lastViewedAt: null, size: null, growing: null };
  const background = { request, onFrontLoss: "keep" as const, keepMs: 60_000, ...used };
  const what = { id: request, kind: "exec", server: null, command: "true", cwd: "/", pid: 4711 } as const;
  const whose = {
    sessionId: null,
    scopeKey: null,
    host: "local",
    background,
    survivors: [],
    processes: [],
    silentSince: null,
  };
  const times = { startedAt: 1_000_000, endedAt: null, leaderEndedAt: null };
  const end = { endReason: null, exitCode: null, signal: null };
  return { ...what, ...whose, ...times, ...end, state: "running", ...differing };
}

/** As it is after its end. */
export function toldEnded(request: string, differing: Partial<RunView> = {}): RunView {
  const end = { state: "exited" as const, endedAt: 1_000_500, endReason: "exited" as const, exitCode: 0 };
  return told(request, { ...end, pid: null, background: null, ...differing });
}
