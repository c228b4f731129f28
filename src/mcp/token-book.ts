/** Progress tokens that outlive their request's answer: a task reports on the token of the request that started it. */

/** Tasks of one session whose progress is still passed on; the oldest make room. */
const tokensMax = 256;

export class TokenBook {
  readonly #tokens = new Map<number, string>();

  keep(number: number, clientToken: string): void {
    this.#tokens.set(number, clientToken);
    const [oldest] = this.#tokens.keys();
    if (this.#tokens.size > tokensMax && oldest !== undefined) this.#tokens.delete(oldest);
  }

  get(number: number): string | undefined {
    return this.#tokens.get(number);
  }
}
