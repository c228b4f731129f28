/** The front's own log: one JSON object per line on stderr, which its keeper keeps. No secrets, no message contents. */

export type Log = (event: string, fields: Record<string, unknown>) => void;

export const stderrLog: Log = (event, fields) => {
  process.stderr.write(`${JSON.stringify({ time: new Date().toISOString(), event, ...fields })}\n`);
};
