/** `${VAR}` and `${VAR:-default}` in config values, as MCP clients write them. */

const pattern = /\$\{([A-Za-z_][A-Za-z0-9_]*)(?::-([^}]*))?\}/g;

/** `onMissing` gets each variable without value or default, and returns the replacement. */
export function expandVariables(
  text: string,
  values: Record<string, string | undefined>,
  onMissing: (variable: string) => string,
): string {
  return text.replaceAll(pattern, (_, variable: string, fallback: string | undefined) => {
    const value = Object.hasOwn(values, variable) ? values[variable] : undefined;
    // As in a shell, `:-` also replaces an empty value.
    if (fallback !== undefined) return value === undefined || value === "" ? fallback : value;
    return value ?? onMissing(variable);
  });
}
