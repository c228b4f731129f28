/**
 * Names of tools and prompts when several servers share one endpoint: `<server>__<tool>`, in the alphabet and length
 * that every model interface accepts. A name that is unsuitable or already taken is cut and gets six letters of its
 * hash, so that it is stable across starts and always reversible.
 */
import { hash } from "node:crypto";

const separator = "__";
/** The limit of the strictest model interface. */
const nameMax = 64;
const marks = 6;

export interface NamedItem {
  server: string;
  /** The server's own name. */
  name: string;
}

export class NameBook {
  readonly #byExposed = new Map<string, NamedItem>();
  readonly #exposed = new Map<string, string>();
  /** Messages about names that two servers claim. */
  readonly clashes: string[] = [];

  /** The exposed name; the same item always gets the same one. */
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
    const cut = plain.replaceAll(/[^A-Za-z0-9_-]/g, "_").slice(0, nameMax - marks - 1);
    // A server may list what another of its tools becomes: a name twice would cost its clients the whole list.
    for (let salt = 0; ; salt++) {
      const mark = hash("sha256", salt === 0 ? key : `${key}\0${salt}`, "hex").slice(0, marks);
      if (this.#claim(`${cut}_${mark}`, item)) return `${cut}_${mark}`;
    }
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

/** Resolves an exposed name by its form, for a tool that its server does not list. */
export function splitName(exposed: string, servers: readonly string[]): NamedItem | undefined {
  const server = servers
    .filter((each) => exposed.startsWith(`${each}${separator}`))
    .toSorted((a, b) => b.length - a.length)[0];
  if (server === undefined) return undefined;
  return { server, name: exposed.slice(server.length + separator.length) };
}
