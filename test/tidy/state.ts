/**
 * Modules hold no state: what changes belongs to an object, and goes with it. So two gateways in one process share nothing, and
 * a simulated crash forgets everything. Decided on the syntax tree of each file, with one blind spot: a plain object handed to a
 * function that changes it.
 */
import { posix } from "node:path";
import { changedBy, dotted, rootOf } from "./changes.ts";
import { collections, isLook, isOpenCollection, isReadOnly } from "./collections.ts";
import type { SourceFile } from "./rules.ts";
import {
  bare,
  functionAround,
  isFunction,
  namesDeclared,
  nodeIn,
  nodesIn,
  parse,
  placesIn,
  Scopes,
  targetsOf,
  textIn,
  unexported,
  type Node,
  type Place,
} from "./syntax.ts";

/** What belongs to the process of the operating system: names by file, with the reason. */
export const ofTheProcess: Record<string, readonly [names: string, why: string]> = {
  "src/main.ts": ["code process", "the entry of every command, and its exit code"],
  "src/require-node.ts": ["code", "refuses an old Node.js before anything else is loaded"],
  "src/gateway/main.ts": ["code", "the entry of the gateway's front"],
  "src/nodes/main.ts": ["code", "the entry of a node's front"],
  "src/cli/command-line.ts": ["process", "drops empty variables before a command reads them"],
  "src/oauth/login.ts": ["console", "silences the SDK during one command"],
  "src/library/contain.ts": ["living", "the trees of the host process, which its signal handlers end"],
  "src/platform/darwin/coalition-sweeper.ts": ["code process", "a program of its own, and its exit code"],
  "src/platform/darwin/fifo.ts": ["mkfifo", "the system call, bound once"],
  "src/platform/darwin/terminal-calls.ts": ["loaded", "the same for terminals"],
  "src/platform/darwin/calls.ts": ["bound", "the functions of the system, bound once"],
  "src/platform/linux/executor.ts": ["code process", "a program of its own, and its exit code"],
  "src/platform/linux/ffi.ts": ["calls", "the system calls, bound once"],
  "src/platform/linux/inspection/unix-sockets.ts": ["loaded", "the same for netlink"],
  "src/platform/linux/marked.ts": ["markerScans", "one look at the process table for all who ask in one turn"],
  "src/platform/linux/own-children.ts": ["started adopting", "the process's children, which the kernel gives it"],
  "src/platform/linux/processes.ts": ["knownPageBytes knownBootId", "what the kernel never changes during a boot"],
  "src/platform/linux/programs.ts": ["inMemory", "descriptors that the process keeps open"],
  "src/platform/darwin/system.ts": ["opened darwin", "libproc, bound once, and the chains of the process's own runs"],
  "src/platform/windows/epoch.ts": ["ownJob", "the job that this process is in until its end"],
  "src/platform/windows/ffi.ts": ["bound", "the functions of the system, bound once"],
  "src/platform/windows/system.ts": ["markerScans", "one look at the process table for all who ask in one turn"],
  "src/platform/unix/spare-descriptors.ts": ["spareDescriptors", "descriptors that the process keeps open"],
  "src/platform/windows/security.ts": ["bound", "the system calls, bound once"],
};

/** Objects made by these never change. */
const unchanging: ReadonlySet<string> = new Set(["RegExp", "URL", "TextEncoder", "TextDecoder"]);
/** What may be called while a module is loaded, besides functions of src/: they return values that the rule can follow. */
const harmless: ReadonlySet<string> = new Set([
  "z",
  "Buffer",
  "Symbol",
  "Object",
  "String",
  "process",
  "fileURLToPath",
  "createRequire",
  "extname",
]);
const empty = "is empty, to be filled later: if not, declare it read-only";

interface Found {
  /** What the state is called. */
  name: string;
  what: string;
}

/** One file, and what is found in it. */
class Module {
  readonly path: string;
  readonly #scopes = new Scopes();
  readonly #program: Node;
  readonly #places: Place[];
  /** Where names of this file come from: the file and the name there; or undefined for a package. */
  readonly #imports = new Map<string, string | undefined>();
  readonly #declarators = new Map<string, Node>();
  readonly #exported = new Set<string>();
  /** Functions that return something with state. */
  readonly #makers = new Set<Node>();

  constructor({ path, text }: SourceFile) {
    this.path = path;
    this.#program = parse(text);
    this.#places = placesIn(this.#program);
    for (const statement of this.#statements) this.#declare(statement);
    for (const place of this.#places) this.#noteMaker(place);
  }

  /** `file#name` of each function that makes something with state. */
  get makers(): string[] {
    return this.#statements
      .map(unexported)
      .flatMap((statement) => {
        const declarators = nodesIn(statement["declarations"]);
        const values = declarators.flatMap(({ init }) => nodesIn(init).map(bare));
        return [statement, ...values].some((node) => this.#makers.has(node)) ? namesDeclared(statement) : [];
      })
      .map((name) => `${this.path}#${name}`);
  }

  found(makers: ReadonlySet<string>): Found[] {
    return [
      ...this.#statements.flatMap((statement) => this.#statement(statement, makers)),
      ...this.#places.flatMap((place) => [
        ...this.#statics(place, makers),
        ...this.#changes(place),
        ...this.#gifts(place),
      ]),
    ];
  }

  get #statements(): Node[] {
    return nodesIn(this.#program["body"]);
  }

  #declare(statement: Node): void {
    const declaration = unexported(statement);
    for (const declarator of nodesIn(declaration["declarations"]))
      for (const name of nodesIn(declarator["id"]).flatMap(targetsOf))
        this.#declarators.set(textIn(name["name"]), declarator);
    if (statement !== declaration) for (const name of namesDeclared(statement)) this.#exported.add(name);
    if (statement.type !== "ImportDeclaration") return;
    const target = textIn(nodeIn(statement["source"])?.["value"]);
    const file = target.startsWith(".") ? posix.join(posix.dirname(this.path), target) : undefined;
    for (const { local, imported } of nodesIn(statement["specifiers"])) {
      const name = textIn(nodeIn(local)?.["name"]);
      this.#imports.set(name, file && `${file}#${textIn(nodeIn(imported)?.["name"])}`);
    }
  }

  /** A function that returns something with state, or changes a variable from within a function of its own. */
  #noteMaker(place: Place): void {
    const { type, argument, body } = place.node;
    const returned = nodeIn(type === "ReturnStatement" ? argument : isFunction(place.node) ? body : undefined);
    const isStateful = returned !== undefined && this.#stateOf(returned, false, new Set()) !== undefined;
    const returning = isStateful ? functionAround(place) : undefined;
    if (returning !== undefined) this.#makers.add(returning.node);
    for (const target of changedBy(place.node)) {
      const root = rootOf(target);
      const scope = root.type === "Identifier" ? this.#scopes.of(textIn(root["name"]), place) : undefined;
      const maker = scope === undefined ? undefined : functionAround(scope);
      if (maker !== undefined && maker.node !== functionAround(place)?.node) this.#makers.add(maker.node);
    }
  }

  #isModules(name: string, place: Place): boolean {
    return this.#scopes.of(name, place)?.node === this.#program;
  }

  #statement(statement: Node, makers: ReadonlySet<string>): Found[] {
    const declaration = unexported(statement);
    if (/(?<!Empty)Statement$/.test(declaration.type))
      return [{ name: "code", what: "runs when the file is imported" }];
    if (declaration.type !== "VariableDeclaration" || declaration["declare"] === true) return [];
    return nodesIn(declaration["declarations"]).flatMap((declarator) => {
      const name = namesDeclared({ type: "VariableDeclaration", start: 0, declarations: [declarator] }).join(", ");
      if (declaration["kind"] !== "const") return [{ name, what: "is a variable" }];
      const init = nodeIn(declarator["init"]);
      const what = init === undefined ? undefined : this.#stateOf(init, isReadOnly(declarator), makers);
      if (what !== undefined) return [{ name, what }];
      if (this.#exported.has(name) && isOpenCollection(declarator))
        return [{ name, what: "is exported: declare it read-only" }];
      return [];
    });
  }

  /** What makes this value of a module one that changes. */
  #stateOf(given: Node, isReadonly: boolean, makers: ReadonlySet<string>, isPart = false): string | undefined {
    const value = bare(given);
    const parts = [
      ...nodesIn(value["elements"]),
      ...nodesIn(value["properties"]).map((one) => nodeIn(one["value"]) ?? one),
    ];
    if (value.type === "ArrayExpression" || value.type === "ObjectExpression") {
      if (parts.length === 0) return isReadonly || isPart ? undefined : empty;
      return parts.map((part) => this.#stateOf(part, isReadonly, makers, true)).find((what) => what !== undefined);
    }
    const callee = dotted(nodeIn(value["callee"]));
    if (value.type === "NewExpression") {
      if (unchanging.has(callee)) return undefined;
      if (!collections.has(callee)) return `is the only ${callee}`;
      const isEmpty = nodesIn(value["arguments"]).length === 0;
      return isEmpty && !isReadonly ? empty : undefined;
    }
    return value.type === "CallExpression" ? this.#stateOfCall(value, callee, makers) : undefined;
  }

  #stateOfCall(call: Node, callee: string, makers: ReadonlySet<string>): string | undefined {
    const called = nodeIn(call["callee"]);
    if (called === undefined) return undefined;
    if (isFunction(bare(called))) return this.#makers.has(bare(called)) ? "is a function with state" : undefined;
    const root = rootOf(called);
    if (root.type === "CallExpression" || root.type === "NewExpression") return this.#stateOf(root, true, makers);
    const name = textIn(root["name"]);
    const origin = this.#imports.has(name) ? this.#imports.get(name) : `${this.path}#${name}`;
    if (origin !== undefined && makers.has(origin)) return `comes from ${name}(), which keeps state`;
    const isOurs = this.#imports.has(name)
      ? origin !== undefined
      : this.#scopes.of(name, { node: this.#program, parent: undefined }) !== undefined;
    if (callee === "Buffer.alloc" && nodesIn(call["arguments"])[0]?.["value"] !== 0)
      return "is a buffer to be written to";
    return isOurs || root.type !== "Identifier" || harmless.has(name)
      ? undefined
      : `comes from ${name}(), which may keep state`;
  }

  #statics({ node }: Place, makers: ReadonlySet<string>): Found[] {
    if (!/^(?:PropertyDefinition|AccessorProperty)$/.test(node.type) || node["static"] !== true) return [];
    const name = textIn(nodeIn(node["key"])?.["name"]);
    if (node["readonly"] !== true) return [{ name, what: "is a static member that can change" }];
    const value = nodeIn(node["value"]);
    const what = value === undefined ? undefined : this.#stateOf(value, false, makers);
    return what === undefined ? [] : [{ name, what }];
  }

  #changes(place: Place): Found[] {
    return changedBy(place.node).flatMap((target) => {
      const root = rootOf(target);
      if (root.type === "ThisExpression")
        return isInStatic(place) ? [{ name: "this", what: "is a class that is changed" }] : [];
      if (root.type !== "Identifier") return [];
      const name = textIn(root["name"]);
      const isCall = place.node.type === "CallExpression";
      const scope = this.#scopes.of(name, place);
      if (scope === undefined) return isCall ? [] : [{ name, what: "is a global that is changed" }];
      if (scope.node !== this.#program) return [];
      if (this.#imports.has(name) && this.#imports.get(name) === undefined && isCall) return [];
      return [{ name, what: "is changed" }];
    });
  }

  /** A collection that leaves the file's sight; a pattern that remembers where it stopped. */
  #gifts({ node, parent }: Place): Found[] {
    const name = textIn(node["name"]);
    if (node.type !== "Identifier" || parent === undefined || !this.#isModules(name, parent)) return [];
    const declarator = this.#declarators.get(name);
    if (declarator === undefined || declarator === parent.node || isLabel(node, parent.node)) return [];
    const flags = textIn((bare(nodeIn(declarator["init"]) ?? node)["regex"] as { flags?: string } | undefined)?.flags);
    const asked = parent.node.type === "MemberExpression" ? textIn(nodeIn(parent.node["property"])?.["name"]) : "";
    if (flags.includes("y") || (flags.includes("g") && /^(?:exec|test|lastIndex)$/.test(asked)))
      return [{ name, what: "is a pattern that remembers where it stopped" }];
    return isOpenCollection(declarator) && !isLook(node, parent)
      ? [{ name, what: "is handed on: declare it read-only" }]
      : [];
  }
}

/** A name that stands for no value: of a member, or of a property. */
function isLabel(node: Node, parent: Node): boolean {
  if (parent.type === "MemberExpression") return parent["property"] === node && parent["computed"] !== true;
  return (
    /^(?:Property|MethodDefinition|PropertyDefinition)$/.test(parent.type) &&
    parent["key"] === node &&
    parent["value"] !== node
  );
}

function isInStatic(from: Place): boolean {
  for (let place: Place | undefined = from; place !== undefined; place = place.parent) {
    if (place.node.type === "StaticBlock") return true;
    if (place.node.type.startsWith("Function")) return place.parent?.node["static"] === true;
  }
  return false;
}

/** One line for each piece of state that a module holds, and for each exception without need. */
export function stateIn(files: readonly SourceFile[], exceptions: typeof ofTheProcess): string[] {
  const modules = files.map((file) => new Module(file));
  const makers = new Set(modules.flatMap((module) => module.makers));
  const found = modules.flatMap((module) =>
    module.found(makers).map(({ name, what }) => ({ key: `${module.path} ${name}`, what })),
  );
  const keys = new Set(found.map(({ key }) => key));
  const allowed = new Set(
    Object.entries(exceptions).flatMap(([path, [names]]) => names.split(" ").map((name) => `${path} ${name}`)),
  );
  const lines = found.filter(({ key }) => !allowed.has(key)).map(({ key, what }) => `${key} ${what}`);
  return [
    ...new Set(lines),
    ...[...allowed].filter((key) => !keys.has(key)).map((key) => `${key} is an exception without need`),
  ];
}
