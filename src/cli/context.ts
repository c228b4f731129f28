/** The global options: the gateway, the token, and whether people or programs read the output. */
export interface CommandContext {
  /** The state directory, absolute. */
  state: string;
  /** The state directory is the default one. */
  isDefaultState?: boolean;
  /** The given config file, absolute. */
  config?: string;
  /** Print for programs. */
  json: boolean;
  /** The gateway to call; by default the one of the state directory. */
  url?: string;
  /** The bearer token; by default the one in the state directory. */
  token?: string;
  /** The system that starts servers; this one except in tests. */
  platform?: NodeJS.Platform;
}
