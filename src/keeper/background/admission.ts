/** What may be started: by the rules of the config, and on a node by the person at its terminal, who may overrule its lists. */
import type { BackgroundSpec } from "../protocol/background.ts";
import { Consent, PolicyMiss, type AskPerson } from "./consent.ts";
import { resolveSpec, type ExecRules, type Resolved } from "./policy.ts";

export class Admission {
  readonly #rules: ExecRules;
  readonly #consent: Consent | undefined;

  /** `node`: these rules are a node's own. */
  constructor(rules: ExecRules, node: { askPerson: AskPerson | undefined } | undefined) {
    this.#rules = { ...rules, section: node === undefined ? "exec" : "node" };
    this.#consent = node?.askPerson === undefined ? undefined : new Consent(node.askPerson);
  }

  /** Throws `exec_disabled`, `exec_refused` or `invalid_params`, each with the rule or the thing by name. */
  async resolve(spec: BackgroundSpec): Promise<Resolved> {
    try {
      return resolveSpec(spec, this.#rules);
    } catch (thrown) {
      if (!(thrown instanceof PolicyMiss) || this.#consent === undefined) throw thrown;
      await this.#consent.overrule(thrown, spec);
      return resolveSpec(spec, { ...this.#rules, allowCommands: undefined, allowDirectories: undefined });
    }
  }
}
