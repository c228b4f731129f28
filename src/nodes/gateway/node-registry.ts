/** The nodes known here: every key that proved itself, the decisions about them, and the open invitations. */
import { createHash } from "node:crypto";
import type { NodeAbout } from "../../protocol/node/messages.ts";
import { randomWord, type Sources } from "../../random.ts";
import { HoldfastError } from "../../errors.ts";
import type { NodesBook, NodeRow, NodeState } from "./rows.ts";

/** Most undecided keys; above it the least recently seen is forgotten. */
const undecidedMax = 256;
/** Most open invitations. */
const invitationsMax = 256;
/** Precision of the time last seen in a known node's row, in milliseconds. */
const seenEveryMs = 60_000;

export interface KnownNode extends Omit<NodeRow, "about"> {
  about: NodeAbout;
}

/** What a node proved and requests. */
export interface Applicant {
  id: string;
  publicKey: string;
  name: string;
  about: NodeAbout;
  invite: string | null;
}

/** Letters, digits, - and _; `local` is this machine. */
const namePattern = /^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$/;

/** An id or its beginning, as `nodes list` shows it or as typed by a user. */
const idPattern = /^[0-9a-f]{8,32}$/;

export class NodeRegistry {
  readonly #book: NodesBook;
  readonly #sources: Sources;
  readonly #nodes = new Map<string, KnownNode>();
  /** By digest: the expiry and the name. */
  readonly #invitations = new Map<string, { expiresAt: number; name: string | null }>();

  constructor(book: NodesBook, sources: Sources) {
    this.#book = book;
    this.#sources = sources;
    for (const row of book.nodes.all()) this.#nodes.set(row.id, { ...row, about: JSON.parse(row.about) as NodeAbout });
    for (const { digest, expiresAt, name } of book.invitations.all())
      this.#invitations.set(digest, { expiresAt, name });
  }

  get gatewayId(): string {
    return this.#book.gatewayId;
  }

  get all(): KnownNode[] {
    return [...this.#nodes.values()];
  }

  get(id: string): KnownNode | undefined {
    return this.#nodes.get(id);
  }

  /** By id, by name, or by a unique beginning of an id. Throws `node_unknown`. */
  find(word: string): KnownNode {
    const exact = this.#nodes.get(word) ?? this.approved(word);
    if (exact !== undefined) return exact;
    // Unknown nodes choose their names but not their ids, so an id never matches such a name.
    const isId = idPattern.test(word);
    const fits = this.all.filter(({ id, name }) =>
      isId ? id.startsWith(word) : name === word || (word.length >= 4 && id.startsWith(word)),
    );
    const [only] = fits;
    if (fits.length === 1 && only !== undefined) return only;
    const why = fits.length === 0 ? `no node ${JSON.stringify(word.slice(0, 64))}` : `${fits.length} nodes are ${word}`;
    const remedy = fits.length === 0 ? "`holdfast nodes list` shows those there are" : "name it by its id";
    throw new HoldfastError("node_unknown", `${why}; ${remedy}`);
  }

  /** Like `find`, for a decision about one node: nodes with the same name, in any state, must be told apart by id. */
  #mustMean(word: string): KnownNode {
    const named = this.#nodes.has(word) ? [] : this.all.filter(({ name }) => name === word);
    if (named.length < 2) return this.find(word);
    const each = named.map(({ id, state }) => `${id.slice(0, 12)} (${state})`).join(", ");
    const message = `${named.length} nodes are called ${word}: ${each}; name the one you mean by its id`;
    throw new HoldfastError("node_unknown", message);
  }

  /** The approved node of that name: names are unique among approved nodes. */
  approved(name: string): KnownNode | undefined {
    return this.all.find((node) => node.name === name && node.state === "approved");
  }

  /**
   * A peer proved that it holds the key. A new key is pending, or approved by a valid invitation, which is then used up.
   * Throws `invite_invalid`, also for a known key that is not approved, and changes nothing.
   */
  meet({ id, publicKey, name, about: said, invite }: Applicant): KnownNode {
    const now = this.#sources.clock.now();
    const about = printable(said);
    const known = this.#nodes.get(id);
    const isNews = known === undefined || JSON.stringify(known.about) !== JSON.stringify(about);
    const fresh: KnownNode = {
      id,
      publicKey,
      name,
      state: "pending",
      about,
      createdAt: now,
      decidedAt: null,
      lastSeenAt: now,
    };
    const node = known === undefined ? fresh : { ...known, about, lastSeenAt: now };
    if (node.state === "approved") {
      // A known node does not use up its invitation: the line was pasted twice, or the reply was lost.
      if (isNews || now - (known?.lastSeenAt ?? 0) >= seenEveryMs) this.#tryToWrite(node);
      return node;
    }
    if (node.state !== "pending") return node;
    if (invite === null) {
      if (known === undefined) this.#makeRoom();
      this.#write(known === undefined ? node : { ...node, name });
      return this.#nodes.get(id) ?? node;
    }
    const invitation = this.#take(invite, now);
    const wanted = invitation.name ?? name;
    return this.#write({ ...node, name: this.#free(wanted, id), state: "approved", decidedAt: now }, true);
  }

  /** Records that it was connected until now. */
  seen(id: string): void {
    const node = this.#nodes.get(id);
    if (node === undefined) return;
    this.#tryToWrite({ ...node, lastSeenAt: this.#sources.clock.now() });
  }

  /** `name`: replaces the requested one. Throws `node_unknown`, and `node_name_taken` with the remedy. */
  approve(word: string, name?: string): KnownNode {
    const node = this.#mustMean(word);
    const named = { ...node, name: checkName(name ?? node.name) };
    this.#mustBeFree(named);
    return this.#decide(named, "approved");
  }

  reject(word: string): KnownNode {
    return this.#decide(this.#mustMean(word), "rejected");
  }

  revoke(word: string): KnownNode {
    return this.#decide(this.find(word), "revoked");
  }

  /** Removes the decision too, so that it returns as an unknown node. Throws `node_approved`. */
  forget(word: string): KnownNode {
    const node = this.#mustMean(word);
    if (node.state === "approved") {
      const remedy = "`holdfast nodes revoke` ends what runs there and puts it out; then it can be forgotten";
      throw new HoldfastError("node_approved", `node ${node.name} is approved; ${remedy}`);
    }
    record(() => {
      this.#book.nodes.remove(node.id);
      this.#nodes.delete(node.id);
      this.#book.makeDurable();
    });
    return node;
  }

  rename(word: string, name: string): KnownNode {
    const node = { ...this.#mustMean(word), name: checkName(name) };
    if (node.state === "approved") this.#mustBeFree(node);
    return this.#write(node, true);
  }

  /** A single-use secret that admits one key. Only its digest is kept. */
  invite(validMs: number, name: string | null): { secret: string; expiresAt: number } {
    const now = this.#sources.clock.now();
    for (const [digest, { expiresAt }] of this.#invitations) if (expiresAt <= now) this.#forgetInvitation(digest);
    if (this.#invitations.size >= invitationsMax)
      throw new HoldfastError("invalid_params", `${invitationsMax} invitations are open; wait until some are over`);
    if (name !== null && this.approved(checkName(name)) !== undefined) throw taken(name);
    const secret = randomWord(this.#sources.random, 24);
    const expiresAt = now + validMs;
    record(() => this.#book.invitations.put({ digest: digestOf(secret), name, createdAt: now, expiresAt }));
    this.#invitations.set(digestOf(secret), { expiresAt, name });
    return { secret, expiresAt };
  }

  #decide(node: KnownNode, state: NodeState): KnownNode {
    return this.#write({ ...node, state, decidedAt: this.#sources.clock.now() }, true);
  }

  #write(node: KnownNode, durable = false): KnownNode {
    record(() => {
      this.#book.nodes.put({ ...node, about: JSON.stringify(node.about) });
      this.#nodes.set(node.id, node);
      if (durable) this.#book.makeDurable();
    });
    return node;
  }

  /** For rows without a decision: on a full disk the last known state is shown. */
  #tryToWrite(node: KnownNode): void {
    try {
      this.#write(node);
    } catch {
      this.#nodes.set(node.id, node); // in memory for this process, so that admitted nodes stay admitted
    }
  }

  #take(secret: string, now: number): { name: string | null } {
    const digest = digestOf(secret);
    const invitation = this.#invitations.get(digest);
    // Deleted from the file first: it is valid once, whatever happens next.
    if (invitation !== undefined) this.#forgetInvitation(digest);
    if (invitation === undefined || invitation.expiresAt <= now)
      throw new HoldfastError(
        "invite_invalid",
        "the invitation is used up, over, or of another gateway; ask for a new one (`holdfast nodes invite`), or join without one and be approved",
      );
    return invitation;
  }

  #forgetInvitation(digest: string): void {
    record(() => {
      this.#book.invitations.remove(digest);
      this.#invitations.delete(digest);
      this.#book.makeDurable();
    });
  }

  #makeRoom(): void {
    const undecided = this.all.filter(({ state }) => state === "pending");
    if (undecided.length < undecidedMax) return;
    const [oldest] = undecided.toSorted((a, b) => a.lastSeenAt - b.lastSeenAt);
    if (oldest === undefined) return;
    this.#book.nodes.remove(oldest.id);
    this.#nodes.delete(oldest.id);
  }

  #mustBeFree({ id, name }: KnownNode): void {
    const other = this.approved(name);
    if (other !== undefined && other.id !== id) throw taken(name);
  }

  /** The name, or a similar one that is free. */
  #free(name: string, id: string): string {
    const wanted = isName(name) ? name : "node";
    const other = this.approved(wanted);
    return other === undefined || other.id === id ? wanted : `${wanted.slice(0, 55)}-${id.slice(0, 8)}`;
  }
}

/** Throws `state_unusable`: a decision that was not written might be lost. */
function record(write: () => void): void {
  try {
    write();
  } catch (cause) {
    const remedy = "see that the gateway's state directory has room and can be written, and say it again";
    throw new HoldfastError("state_unusable", `it cannot be put on record (${String(cause)}); ${remedy}`, { cause });
  }
}

/** Texts of unknown peers reach an admin's terminal, so control characters are replaced. */
function printable(about: NodeAbout): NodeAbout {
  const clean = (text: string) => text.replaceAll(/[^ -~]/g, "?");
  const { version, platform, arch, tier, hostname } = about;
  return {
    version: clean(version),
    platform: clean(platform),
    arch: clean(arch),
    tier: clean(tier),
    hostname: clean(hostname),
  };
}

function isName(name: string): boolean {
  return namePattern.test(name) && name !== "local";
}

function checkName(name: string): string {
  if (isName(name)) return name;
  const rule = "a node's name is letters, digits, - and _, at most 64, and not `local`";
  throw new HoldfastError("invalid_params", `${JSON.stringify(name.slice(0, 80))}: ${rule}`);
}

function taken(name: string): HoldfastError {
  const remedy = "give this one another with --name, or rename or revoke that one (`holdfast nodes list`)";
  return new HoldfastError("node_name_taken", `another node has the name ${name}; ${remedy}`);
}

function digestOf(secret: string): string {
  return createHash("sha256").update(secret).digest("hex");
}
