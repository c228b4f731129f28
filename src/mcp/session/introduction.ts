/** The client's `initialize`, and Holdfast's answer for an aggregate of servers. */
import { version } from "../../version.ts";
import { sessionVersions, statelessVersion } from "../wire/headers.ts";
import type { InitializeResult, Introduction } from "../servers/handshake.ts";
import type { Merged } from "./merge.ts";

/** Longest client name and version kept, in characters. */
const clientTextMax = 100;
/** Characters of the notice about unavailable servers. */
const noticeMax = 2048;

/** The client's `initialize` for the servers, with a known revision. */
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

/** Always offered: clients never ask for a list that was missing at the beginning. */
const lists = { prompts: { listChanged: true }, resources: { listChanged: true } };

interface Missing {
  /** The metadata of some servers is still unknown. */
  isPartial: boolean;
  /** Unavailable and unresponsive servers; the model is told, since their tools are absent. */
  lacking: readonly { name: string; problem: string }[];
}

export function ownIntroduction(protocolVersion: string, merged: Merged, missing: Missing): InitializeResult {
  const capabilities = missing.isPartial ? { ...lists, ...merged.capabilities } : merged.capabilities;
  const serverInfo = { name: "holdfast", title: "Holdfast", version };
  const absent = missing.lacking.map(({ name, problem }) => `- ${name}: ${problem}`).join("\n");
  const notice = absent === "" ? "" : `# Unavailable servers (their tools are absent)\n${absent.slice(0, noticeMax)}`;
  const instructions = [merged.instructions ?? "", notice].filter((part) => part !== "").join("\n\n");
  return { protocolVersion, capabilities, serverInfo, ...(instructions === "" ? {} : { instructions }) };
}

/** A server's metadata for a client of another revision. */
export function spokenIn(protocolVersion: string, initialize: InitializeResult): InitializeResult {
  return initialize.protocolVersion === statelessVersion ? { ...initialize, protocolVersion } : initialize;
}

function objectOr(value: unknown): Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value) ? (value as Record<string, unknown>) : {};
}
