/** Statements for the rows of the nodes' database. Times are milliseconds since the epoch. */
import type { DatabaseSync, StatementSync } from "node:sqlite";
import type { Random } from "../../random.ts";
import type { RecordedRun } from "../../protocol/keeper/run-view.ts";
import { makeDurable } from "./database.ts";

export type NodeState = "pending" | "approved" | "rejected" | "revoked";

export interface NodeRow {
  /** First 32 hex digits of the SHA-256 of its public key. */
  id: string;
  /** 32 bytes, base64url. */
  publicKey: string;
  name: string;
  state: NodeState;
  /** JSON of what it reports about itself. */
  about: string;
  createdAt: number;
  decidedAt: number | null;
  lastSeenAt: number;
}

export interface InvitationRow {
  /** SHA-256 of the secret, hex. */
  digest: string;
  /** The name given to the node; null = the one it requests. */
  name: string | null;
  createdAt: number;
  expiresAt: number;
}

/** In state `lost` its node did not return in time; only the node can report the outcome. */
export interface RunRow extends Omit<RecordedRun, "host" | "pid"> {
  /** Of the keeper that started it. */
  epoch: number;
  node: string;
  onFrontLoss: "keep" | "kill";
}

const nodeColumns = ["id", "publicKey", "name", "state", "about", "createdAt", "decidedAt", "lastSeenAt"] as const;
const invitationColumns = ["digest", "name", "createdAt", "expiresAt"] as const;
const runColumns = [
  ...(["id", "epoch", "node", "kind", "server", "sessionId", "scopeKey", "onFrontLoss", "command", "cwd"] as const),
  ...(["state", "startedAt", "endedAt", "leaderEndedAt", "endReason", "exitCode", "signal"] as const),
] as const;

const snake = (name: string) => name.replaceAll(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);

/** One table whose columns are the fields of `T` in snake case. */
class Table<T extends object> {
  readonly #put: StatementSync;
  readonly #remove: StatementSync;
  readonly #all: StatementSync;

  constructor(database: DatabaseSync, table: string, columns: readonly (keyof T & string)[]) {
    const names = columns.map(snake).join(", ");
    const places = columns.map((name) => `$${name}`).join(", ");
    const [key = ""] = columns.map(snake);
    // "insert or replace" would move the row, and rows stay in the order of their first writing.
    const updates = columns.map((name) => `${snake(name)} = excluded.${snake(name)}`).join(", ");
    this.#put = database.prepare(
      `insert into ${table} (${names}) values (${places}) on conflict (${key}) do update set ${updates}`,
    );
    this.#remove = database.prepare(`delete from ${table} where ${key} = ?`);
    const fields = columns.map((name) => `${snake(name)} as ${name}`).join(", ");
    this.#all = database.prepare(`select ${fields} from ${table} order by rowid`);
  }

  put(row: T): void {
    this.#put.run({ ...row } as Record<string, string | number | null>);
  }

  /** True if it existed. */
  remove(key: string): boolean {
    return this.#remove.run(key).changes > 0;
  }

  all(): T[] {
    return this.#all.all() as unknown as T[];
  }
}

/** Every method throws SQLite's errors: the caller decides whether a failure matters. */
export class NodesBook {
  /** Identifies this gateway to its nodes: 32 hex digits, created with the file. */
  readonly gatewayId: string;
  readonly nodes: Table<NodeRow>;
  readonly invitations: Table<InvitationRow>;
  readonly runs: Table<RunRow>;
  readonly #database: DatabaseSync;

  constructor(database: DatabaseSync, random: Random) {
    this.#database = database;
    this.nodes = new Table(database, "nodes", nodeColumns);
    this.invitations = new Table(database, "invitations", invitationColumns);
    this.runs = new Table(database, "runs", runColumns);
    const known = database.prepare("select id from gateway").get() as { id: string } | undefined;
    this.gatewayId = known?.id ?? random.bytes(16).toString("hex");
    if (known === undefined) database.prepare("insert into gateway (id) values (?)").run(this.gatewayId);
  }

  makeDurable(): void {
    makeDurable(this.#database);
  }

  close(): void {
    if (this.#database.isOpen) this.#database.close();
  }
}
