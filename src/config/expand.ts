/** `${VAR}` and `${VAR:-default}` in config values, as MCP clients write them. */

const pattern = /\$\{([A-Za-z_][A-Za-z0-9_]*)(?::-([^}]*))?\}/g;

/** `onMissing` is told of a variable that has neither value nor default, and says what stands in its place. */
export function expandVariables(
  text: string,
  values: Record<string, string | undefined>,
  onMissing: (variable: string) => string,
): string {
  return text.replaceAll(pattern, (_, variable: string, fallback: string | undefined) => {
    const value = Object.hasOwn(values, variable) ? values[variable] : undefined;
    // As in a shell, `:-` also stands in for a variable that is set but empty.
    if (fallback !== undefined) return value === undefined || value === "" ? fallback : value;
    return value ?? onMissing(variable);
  });
}
