/** The environment of a run: a clean base plus the config's variables, and none of the gateway's others. */

/** Basic variables that programs need; secrets live elsewhere. */
const passedOn = [
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
  for (const name of [...passedOn, ...network]) {
    const value = source[name];
    if (value !== undefined) base[name] = value;
  }
  return base;
}
