/** What the global options say: which gateway a command is about, with which token, and whether people or programs read the output. */
export interface CommandContext {
  /** The state directory, absolute. */
  state: string;
  /** No state directory was named. */
  isDefaultState?: boolean;
  /** The config file that was named, absolute. */
  config?: string;
  /** Print for programs. */
  json: boolean;
  /** The gateway to call; by default the one of the state directory. */
  url?: string;
  /** The bearer token; by default the one in the state directory. */
  token?: string;
  /** The system that servers would be started on; this one's, unless a test says otherwise. */
  platform?: NodeJS.Platform;
}
