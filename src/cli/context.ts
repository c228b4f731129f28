/** What every command that speaks to a gateway is given: which one, with what right, and for whose eyes it prints. */
export interface CommandContext {
  /** The state directory, absolute. */
  state: string;
  /** Print for programs. */
  json: boolean;
  /** The gateway to speak to; else the one of the state directory. */
  url?: string;
  /** The system that servers would be started on; this one's, unless a test says otherwise. */
  platform?: NodeJS.Platform;
  /** The bearer token; else the one in the state directory. */
  token?: string;
}
