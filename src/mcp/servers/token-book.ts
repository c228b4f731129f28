/** Progress tokens that outlive their request's answer: a task reports on the token of the request that started it. */

/** Tasks per session with forwarded progress; the oldest make room. */
const tokensMax = 256;

export class TokenBook {
  readonly #tokens = new Map<number, string>();
  readonly #onKeep: () => void;

  /** `onKeep` runs after each new token, for the handoff state. */
  constructor(onKeep: () => void) {
    this.#onKeep = onKeep;
  }

  /** Tokens that the previous front kept. */
  restore(tokens: [number, string][]): void {
    for (const [number, clientToken] of tokens.slice(-tokensMax)) this.#tokens.set(number, clientToken);
  }

  keep(number: number, clientToken: string): void {
    this.#tokens.set(number, clientToken);
    const [oldest] = this.#tokens.keys();
    if (this.#tokens.size > tokensMax && oldest !== undefined) this.#tokens.delete(oldest);
    this.#onKeep();
  }

  get(number: number): string | undefined {
    return this.#tokens.get(number);
  }

  entries(): [number, string][] {
    return [...this.#tokens];
  }
}
