/** Who may be a node here: every key that ever proved itself, what was decided about it, and who is invited. */
import { createHash } from "node:crypto";
import type { Sources } from "../../random.ts";
import { HoldfastError } from "../../errors.ts";
import type { NodeAbout } from "../../protocol/node/words.ts";
import type { NodesBook, NodeRow, NodeState } from "./rows.ts";

/** Keys that nobody decided about: above it the one that was seen last longest ago is forgotten. */
const undecidedMax = 256;
/** Invitations that are open at one time. */
const invitationsMax = 256;
/** A known node's row says when it was seen to this precision, in milliseconds. */
const seenEveryMs = 60_000;

export interface KnownNode extends Omit<NodeRow, "about"> {
  about: NodeAbout;
}

/** What a node proved, and wants. */
export interface Applicant {
  id: string;
  publicKey: string;
  name: string;
  about: NodeAbout;
  invite: string | null;
}

/** Letters, digits, - and _; `local` is this machine. */
const namePattern = /^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$/;

/** An id, or as much of one as `nodes list` shows or somebody may type instead. */
const idPattern = /^[0-9a-f]{8,32}$/;

export class NodeRegistry {
  readonly #book: NodesBook;
  readonly #sources: Sources;
  readonly #nodes = new Map<string, KnownNode>();
  /** By digest: until when, and for which name. */
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

  /** By id, by name, or by the first letters of an id that fit only one. Throws `node_unknown`. */
  find(word: string): KnownNode {
    const exact = this.#nodes.get(word) ?? this.approved(word);
    if (exact !== undefined) return exact;
    // A stranger chooses his name, but not his id: what may be an id is none of his names.
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

  /** As `find`, for a decision about one node: several of that name, whatever their states, are told apart by their ids. */
  #mustMean(word: string): KnownNode {
    const named = this.#nodes.has(word) ? [] : this.all.filter(({ name }) => name === word);
    if (named.length < 2) return this.find(word);
    const each = named.map(({ id, state }) => `${id.slice(0, 12)} (${state})`).join(", ");
    const message = `${named.length} nodes are called ${word}: ${each}; name the one you mean by its id`;
    throw new HoldfastError("node_unknown", message);
  }

  /** The approved node of that name: names are one of a kind among those that are approved. */
  approved(name: string): KnownNode | undefined {
    return this.all.find((node) => node.name === name && node.state === "approved");
  }

  /**
   * Somebody proved that he holds the key. A new one is pending, or approved by the invitation that it brings, which is used
   * up by it. Throws `invite_invalid`, also for a key that is known already and not approved, with nothing changed.
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
      // An invitation that a known node brings is not used up: its line was pasted twice, or the answer was lost.
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

  /** It was here until now. */
  seen(id: string): void {
    const node = this.#nodes.get(id);
    if (node === undefined) return;
    this.#tryToWrite({ ...node, lastSeenAt: this.#sources.clock.now() });
  }

  /** `name`: another one than it wants. Throws `node_unknown`, and `node_name_taken` with what to do. */
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

  /** What was decided about it is gone too: a stranger, should it come again. Throws `node_approved`. */
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

  /** A secret that lets one key in, once. It is not kept: only its digest is. */
  invite(validMs: number, name: string | null): { secret: string; expiresAt: number } {
    const now = this.#sources.clock.now();
    for (const [digest, { expiresAt }] of this.#invitations) if (expiresAt <= now) this.#forgetInvitation(digest);
    if (this.#invitations.size >= invitationsMax)
      throw new HoldfastError("invalid_params", `${invitationsMax} invitations are open; wait until some are over`);
    if (name !== null && this.approved(checkName(name)) !== undefined) throw taken(name);
    const secret = this.#sources.random.bytes(24).toString("base64url");
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

  /** Of what nothing is decided by: on a full disk people are shown what was known before. */
  #tryToWrite(node: KnownNode): void {
    try {
      this.#write(node);
    } catch {
      this.#nodes.set(node.id, node); // for this life; whoever was let in stays in
    }
  }

  #take(secret: string, now: number): { name: string | null } {
    const digest = digestOf(secret);
    const invitation = this.#invitations.get(digest);
    // Out of the file first: it is good once, whatever happens next.
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

  /** The name, or one like it that nobody has. */
  #free(name: string, id: string): string {
    const wanted = isName(name) ? name : "node";
    const other = this.approved(wanted);
    return other === undefined || other.id === id ? wanted : `${wanted.slice(0, 55)}-${id.slice(0, 8)}`;
  }
}

/** Throws `state_unusable`: a decision that is not on the disk might not be kept. */
function record(write: () => void): void {
  try {
    write();
  } catch (cause) {
    const remedy = "see that the gateway's state directory has room and can be written, and say it again";
    throw new HoldfastError("state_unusable", `it cannot be put on record (${String(cause)}); ${remedy}`, { cause });
  }
}

/** A stranger's words end up on an admin's terminal: nothing in them may steer it. */
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
