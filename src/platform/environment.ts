/** The environment of a run: a clean base plus the config's variables, and none of the gateway's others. */
import { foldName, mergeVariables, variableOf } from "./windows-rules/environment.ts";

type Variables = Readonly<Record<string, string | undefined>>;

/** Names of variables are case-insensitive. */
const isFolded = process.platform === "win32";

/** Basic variables that programs need; secrets live elsewhere. */
const passedOnWindows: readonly string[] = (
  "ALLUSERSPROFILE APPDATA CommonProgramFiles CommonProgramFiles(x86) CommonProgramW6432 COMPUTERNAME ComSpec HOMEDRIVE HOMEPATH " +
  "LANG LOCALAPPDATA NUMBER_OF_PROCESSORS OS PATH PATHEXT PROCESSOR_ARCHITECTURE ProgramData ProgramFiles ProgramFiles(x86) " +
  "ProgramW6432 PSModulePath PUBLIC SystemDrive SystemRoot TEMP TMP TZ USERDOMAIN USERNAME USERPROFILE windir"
).split(" ");

const passedOnUnix: readonly string[] = [
  "HOME",
  "LANG",
  "LANGUAGE",
  "LC_ALL",
  "LC_CTYPE",
  "LOGNAME",
  "PATH",
  "SHELL",
  "TERM",
  "TMPDIR",
  "TZ",
  "USER",
];

/** Network access from here: proxies, certificate authorities, and npm's own variables for both. */
const network = [
  ...["HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"].flatMap((name) => [name, name.toLowerCase()]),
  "SSL_CERT_FILE",
  "SSL_CERT_DIR",
  "NODE_EXTRA_CA_CERTS",
  "NODE_USE_ENV_PROXY",
  "NODE_USE_SYSTEM_CA",
  "REQUESTS_CA_BUNDLE",
  "CURL_CA_BUNDLE",
  "GIT_SSL_CAINFO",
  "PIP_CERT",
  "npm_config_registry",
  "npm_config_proxy",
  "npm_config_https_proxy",
  "npm_config_noproxy",
  "npm_config_cafile",
];

/** Names of the proxy variables that are set. Values may hold passwords, so they are never shown. */
export function proxiesIn(environment: Readonly<Record<string, string | undefined>>): string[] {
  return Object.keys(environment).filter(
    (name) => /^(?:(?:https?|all)_proxy|npm_config_(?:https_)?proxy)$/i.test(name) && environment[name] !== "",
  );
}

export function baseEnvironment(source: NodeJS.ProcessEnv = process.env): Record<string, string> {
  const base: Record<string, string> = {};
  for (const name of [...(isFolded ? passedOnWindows : passedOnUnix), ...network]) {
    const value = variableIn(source, name);
    if (value !== undefined) base[name] = value;
  }
  return base;
}

/** The value of a variable, by its name as the system compares names. */
export function variableIn(variables: Variables, name: string): string | undefined {
  return isFolded ? variableOf(variables, name) : variables[name];
}

/** Later layers count; on Windows also against another spelling of the name. */
export function mergeEnvironment(...layers: readonly Readonly<Record<string, string>>[]): Record<string, string> {
  return isFolded ? mergeVariables(...layers) : Object.assign({}, ...layers);
}

/** Compared names of variables by which the system itself finds programs and libraries. */
export const steersSystem = isFolded ? /^(?:PATHEXT|COMSPEC|SYSTEMDRIVE|SYSTEMROOT|WINDIR)$/ : /^$/;

/** A name as the system compares it. */
export function comparedName(name: string): string {
  return isFolded ? foldName(name) : name;
}
