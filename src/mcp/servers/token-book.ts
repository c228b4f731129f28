/** Progress tokens that outlive their request's answer: a task reports on the token of the request that started it. */

/** Tasks of one session whose progress is still passed on; the oldest make room. */
const tokensMax = 256;

export class TokenBook {
  readonly #tokens = new Map<number, string>();
  readonly #onKeep: () => void;

  /** `onKeep` runs after each new token: whoever comes after this front must know it too. */
  constructor(onKeep: () => void) {
    this.#onKeep = onKeep;
  }

  /** Tokens that the front before kept. */
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
