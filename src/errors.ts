/** One error class for all of Holdfast: a fixed code for programs, a message with the remedy for people. */

/** Every code Holdfast can raise. A code is never reused for another meaning; docs/errors.md explains each. */
export const errorCodes = {
  unsupported_platform: "this operating system has no containment tier yet",
  unsupported_node: "the Node.js that runs this is too old",
  config_unreadable: "the config file cannot be read",
  config_invalid: "the config file has invalid content",
  client_config_unreadable: "a client's config file cannot be read",
  client_config_invalid: "a client's config file has invalid content",
  client_config_unwritable: "a config file cannot be replaced",
  client_config_changed: "another program changed the config file",
  state_locked: "another gateway owns this state directory",
  state_unusable: "the state directory cannot be used",
  file_exposed: "a private file is open to others",
  port_in_use: "the port is taken",
  bind_refused: "the address cannot be bound",
  spawn_failed: "a process could not be started",
  guardian_down: "nothing is started without a guardian",
  server_unknown: "no such MCP server in the config",
  server_down: "the MCP server cannot be started now",
  login_required: "the remote MCP server requires a login",
  login_failed: "the login failed",
  run_unknown: "no such run",
  session_unknown: "no such session",
  session_limit: "too many sessions",
  run_limit: "too many runs",
  answer_unreadable: "the MCP server's answer cannot be read",
  run_ended: "the run has ended",
  run_alive: "the run has not ended",
  exec_disabled: "background runs are not enabled in the config",
  exec_refused: "the config does not allow this command or directory",
  scope_replaced: "a later start with the same scope key won",
  input_gap: "input does not follow what the run has received",
  request_reused: "the request id belongs to another command",
  node_rejected: "the gateway has rejected this node",
  node_revoked: "the gateway has revoked this node",
  node_duplicate: "another process with this node's key is connected",
  invite_invalid: "the invitation is used, expired or unknown",
  proof_invalid: "the node has not proven that it holds its key",
  certificate_untrusted: "the gateway's certificate is not trusted",
  gateway_other: "this is not the node's gateway",
  node_timeout: "a phase of a node started with --once took too long",
  version_unsupported: "gateway and node do not speak the same protocol",
  node_unknown: "no such node, or it is not approved",
  node_absent: "the node is not connected",
  node_lost: "the node was lost; the end of its run is not known yet",
  node_name_taken: "another node has that name",
  node_approved: "the node is approved",
  input_full: "the run does not read its input",
  keys_invalid: "no such key",
  request_refused: "the keeper rejected a message of the front",
  gateway_unreachable: "no gateway answers",
  answer_late: "the gateway did not answer within the client's limit; the call may still be carried out",
  gateway_busy: "the gateway is stopping",
  host_unreachable: "the ssh host cannot be reached or used",
  gateway_lost: "the front lost its keeper",
  unauthorized: "the token is missing or wrong",
  token_unknown: "no such token",
  forbidden: "the Host or Origin is not allowed",
  invalid_params: "the parameters do not match the method",
  method_unknown: "no such method",
  websocket_only: "the method works on a WebSocket only",
  gap: "the requested events or output are no longer kept",
  survivors: "processes could not be ended",
  usage: "the command line is wrong",
  internal: "a defect in Holdfast",
} as const;

export type ErrorCode = keyof typeof errorCodes;

export class HoldfastError extends Error {
  override readonly name = "HoldfastError";
  readonly code: ErrorCode;
  constructor(code: ErrorCode, message: string, options?: { cause?: unknown }) {
    super(message, options);
    this.code = code;
  }
}

/** Wraps any thrown value in a HoldfastError, so that every boundary has a code to pass on. */
export function asHoldfastError(thrown: unknown, code: ErrorCode = "internal"): HoldfastError {
  if (thrown instanceof HoldfastError) return thrown;
  const message = thrown instanceof Error ? thrown.message : String(thrown);
  return new HoldfastError(code, message, { cause: thrown });
}
