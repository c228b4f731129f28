/** Decides what may be started: by the config's rules and, on a node, by the person at its terminal. */
import type { BackgroundSpec } from "../../protocol/background.ts";
import { Consent, PolicyMiss, type AskPerson } from "./consent.ts";
import { HoldfastError } from "../../errors.ts";
import { resolveSpec, type ExecRules, type Resolved } from "./policy.ts";

export interface NodeRules {
  askPerson: AskPerson | undefined;
  /** Longest lease that a gateway may set for a run. */
  leaseMaxMs: number;
}

export class StartRules {
  readonly #rules: ExecRules;
  readonly #consent: Consent | undefined;
  readonly #leaseMaxMs: number | undefined;

  /** `node`: these are a node's own rules. */
  constructor(rules: ExecRules, node: NodeRules | undefined) {
    this.#rules = { ...rules, section: node === undefined ? "exec" : "node" };
    this.#consent = node?.askPerson === undefined ? undefined : new Consent(node.askPerson);
    this.#leaseMaxMs = node?.leaseMaxMs;
  }

  /** Throws `exec_disabled`, `exec_refused` or `invalid_params`, each naming the rule or the value. */
  async resolve(spec: BackgroundSpec): Promise<Resolved> {
    this.#checkLease(spec.leaseMs);
    try {
      return resolveSpec(spec, this.#rules);
    } catch (thrown) {
      if (!(thrown instanceof PolicyMiss) || this.#consent === undefined) throw thrown;
      await this.#consent.overrule(thrown, spec);
      return resolveSpec(spec, { ...this.#rules, allowCommands: undefined, allowDirectories: undefined });
    }
  }

  /** Rejected rather than capped: with a lease different from its node's, a gateway would misjudge which runs are alive. */
  #checkLease(leaseMs: number): void {
    const mostMs = this.#leaseMaxMs;
    if (mostMs === undefined || leaseMs <= mostMs) return;
    const asked = `the gateway asks for a lease of ${leaseMs} ms, and the node's leaseMaxMs is ${mostMs}`;
    const remedy = "lower nodes.leaseMs in the gateway's config, or raise --lease-max on the node";
    throw new HoldfastError("exec_refused", `${asked}; ${remedy}`);
  }
}
