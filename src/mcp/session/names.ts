/**
 * Names of tools and prompts when several servers share one endpoint: `<server>__<tool>`, in the alphabet and length that
 * every model's interface takes. A name that does not fit, or that another server has already, is cut and marked with six
 * letters of its hash, so that it stays the same from start to start and can always be turned back.
 */
import { hash } from "node:crypto";

const separator = "__";
/** What the strictest of the model interfaces takes. */
const nameMax = 64;
const marks = 6;

export interface NamedItem {
  server: string;
  /** As the server calls it. */
  name: string;
}

export class NameBook {
  readonly #byExposed = new Map<string, NamedItem>();
  readonly #exposed = new Map<string, string>();
  /** Names that two servers resolveAbandoned claim to, in words. */
  readonly clashes: string[] = [];

  /** The name under which it is offered; the same item again gets the same name. */
  expose(item: NamedItem): string {
    const key = `${item.server}\0${item.name}`;
    const exposed = this.#exposed.get(key) ?? this.#find(item, key);
    this.#exposed.set(key, exposed);
    return exposed;
  }

  #find(item: NamedItem, key: string): string {
    const plain = `${item.server}${separator}${item.name}`;
    const fits = plain.length <= nameMax && /^[A-Za-z0-9_-]+$/.test(plain);
    if (fits && this.#claim(plain, item)) return plain;
    if (fits) {
      const other = this.#byExposed.get(plain);
      this.clashes.push(`${plain}: ${other?.server} (${other?.name}) and ${item.server} (${item.name})`);
    }
    const mark = hash("sha256", key, "hex").slice(0, marks);
    const marked = `${plain.replaceAll(/[^A-Za-z0-9_-]/g, "_").slice(0, nameMax - marks - 1)}_${mark}`;
    if (!this.#claim(marked, item)) this.clashes.push(`${marked}: not offered a second time`);
    return marked;
  }

  resolve(exposed: string): NamedItem | undefined {
    return this.#byExposed.get(exposed);
  }

  #claim(exposed: string, item: NamedItem): boolean {
    const holder = this.#byExposed.get(exposed);
    if (holder === undefined) this.#byExposed.set(exposed, item);
    return holder === undefined || (holder.server === item.server && holder.name === item.name);
  }
}

/** What a name stands for by its form alone, for a tool that its server does not list. */
export function splitName(exposed: string, servers: readonly string[]): NamedItem | undefined {
  const server = servers
    .filter((each) => exposed.startsWith(`${each}${separator}`))
    .toSorted((a, b) => b.length - a.length)[0];
  if (server === undefined) return undefined;
  return { server, name: exposed.slice(server.length + separator.length) };
}
