/** What a client says of itself in `initialize`, and what Holdfast answers where servers are several. */
import { version } from "../../version.ts";
import { sessionVersions, statelessVersion } from "../headers.ts";
import type { InitializeResult, Introduction } from "../upstream/handshake.ts";
import type { Merged } from "./merge.ts";

/** Longest client name and version that is kept, in characters. */
const clientTextMax = 100;

/** The client's `initialize`, as we pass it on to servers: with a revision that we know. */
export function readIntroduction(body: Buffer): Introduction {
  const { params } = JSON.parse(body.toString()) as { params?: Partial<Introduction> | null };
  const asked = params?.protocolVersion;
  const newest = sessionVersions[0] ?? "";
  return {
    protocolVersion: typeof asked === "string" && sessionVersions.includes(asked) ? asked : newest,
    capabilities: objectOr(params?.capabilities),
    clientInfo: objectOr(params?.clientInfo),
  };
}

export function clientOf({ clientInfo }: Introduction): { name: string; version: string } {
  const text = (value: unknown) => (typeof value === "string" ? value.slice(0, clientTextMax) : "");
  return { name: text(clientInfo["name"]), version: text(clientInfo["version"]) };
}

/** What every server may turn out to have: a client asks for no list that it was not offered at the beginning. */
const lists = { prompts: { listChanged: true }, resources: { listChanged: true } };

/** `isPartial`: of some servers nothing is known yet. */
export function ownIntroduction(protocolVersion: string, merged: Merged, isPartial: boolean): InitializeResult {
  const { instructions } = merged;
  const capabilities = isPartial ? { ...lists, ...merged.capabilities } : merged.capabilities;
  const serverInfo = { name: "holdfast", title: "Holdfast", version };
  return { protocolVersion, capabilities, serverInfo, ...(instructions === undefined ? {} : { instructions }) };
}

/** What a server says of itself, to a client of another era. */
export function spokenIn(protocolVersion: string, initialize: InitializeResult): InitializeResult {
  return initialize.protocolVersion === statelessVersion ? { ...initialize, protocolVersion } : initialize;
}

function objectOr(value: unknown): Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value) ? (value as Record<string, unknown>) : {};
}
