/** What strangers send to the gateway: Host, Origin, tokens, headers. Nobody is let in by a form that only looks right. */
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import type { IncomingMessage } from "node:http";
import type { Socket } from "node:net";
import { describe } from "node:test";
import * as fc from "fast-check";
import { systemClock } from "../../src/clock.ts";
import { Access, hostName } from "../../src/gateway/access.ts";
import { Grants } from "../../src/gateway/grants.ts";
import { Throttle } from "../../src/gateway/throttle.ts";
import { handshakeProblem } from "../../src/gateway/websocket/handshake.ts";
import { headerText, headerValue } from "../../src/mcp/wire/header-values.ts";
import { replyForm, scopeOf } from "../../src/mcp/wire/headers.ts";
import { mirroredParams, mirrorHeaders, mirrorProblem } from "../../src/mcp/wire/mirrored-params.ts";
import { damaged } from "./helpers/json-texts.ts";
import { property } from "./helpers/property.ts";
import { oddValue } from "./helpers/shapes.ts";

const secret = "hft_abcDEF123-_";
const grant = {
  id: "a",
  name: "a",
  digest: createHash("sha256").update(secret).digest("hex"),
  scopes: ["read" as const],
  expiresAt: null,
};

function accessFor(allowedHosts: string[], allowedOrigins: string[], addresses = ["127.0.0.1", "::1"]): Access {
  const grants = new Grants([grant], systemClock, () => {});
  return new Access({
    clock: systemClock,
    grants,
    throttle: new Throttle(() => {}),
    allowedHosts,
    allowedOrigins,
    addresses,
    port: 4653,
    scheme: "http",
  });
}
function asking(headers: Record<string, string>): IncomingMessage {
  const socket = { remoteAddress: "127.0.0.1", once: () => {} } as unknown as Socket;
  return {
    headers,
    rawHeaders: Object.entries(headers).flat(),
    socket,
    url: "/",
    method: "GET",
  } as unknown as IncomingMessage;
}

const allowed = ["gate.example", "Other.example:8080", "[fe80::7]"];
const hostPart = fc.oneof(
  fc.constantFrom(
    "localhost",
    "LOCALHOST",
    "127.0.0.1",
    "127.1",
    "[::1]",
    "[0:0::1]",
    "::1",
    "gate.example",
    "other.example",
    "evil.example",
    "[fe80::7]",
    "[FE80::0:7]",
  ),
  fc.ipV4(),
  fc.ipV6().map((address) => `[${address}]`),
  fc.domain(),
  fc.string({ maxLength: 6 }),
);
const hostHeader = fc.oneof(
  fc
    .tuple(
      fc.constantFrom("", "", "", "user@", "http://", "gate.example."),
      hostPart,
      fc.constantFrom(
        "",
        ":4653",
        ":8080",
        ":0",
        ":99999",
        ":",
        "/",
        "@evil.example",
        ".evil.example",
        "\\",
        "%00",
        ",localhost",
      ),
    )
    .map((parts) => parts.join("")),
  fc.string(),
);

function isOwnHost(header: string): boolean {
  const url = URL.parse(`http://${header}`);
  if (url === null || url.username !== "" || url.pathname !== "/" || url.search !== "" || url.hash !== "") return false;
  return (
    ["localhost", "[::1]", "gate.example", "other.example", "[fe80::7]"].includes(url.hostname) ||
    url.hostname.startsWith("127.")
  );
}

/** Allowed origins, each with the header that a browser sends from there alone. */
const origins: [allowed: string, header: string | undefined][] = [
  ["http://localhost:3000", "http://localhost:3000"],
  ["https://App.example", "https://app.example"],
  ["https://app.example:443/path?x#y", "https://app.example"],
  ["chrome-extension://abcdefghijklmnopabcdefghijklmnop", "chrome-extension://abcdefghijklmnopabcdefghijklmnop"],
  ["vscode-webview://1x2y", "vscode-webview://1x2y"],
  ["file:///srv/page.html", undefined],
];
const own = ["http://localhost:4653", "http://127.0.0.1:4653", "http://[::1]:4653"];
const originHeader = fc.oneof(
  fc.constantFrom(
    "null",
    "NULL",
    "",
    "file://",
    "chrome-extension://other",
    ...own,
    ...origins.flatMap(([, header]) => header ?? []),
  ),
  fc
    .tuple(
      fc.constantFrom("http", "https", "chrome-extension", "vscode-webview"),
      hostPart,
      fc.constantFrom("", ":3000", ":4653", "/", ".evil.example"),
    )
    .map(([scheme, host, end]) => `${scheme}://${host}${end}`),
);

describe("a request", () => {
  property("is let in by its Host only if that is the gateway's own", 1000, hostHeader, (host) => {
    const isIn = accessFor(allowed, []).screen(asking({ host })) === undefined;
    if (isIn) assert.ok(isOwnHost(host), host);
    const name = hostName(host);
    if (name !== undefined && /^(?:localhost|127(?:\.\d{1,3}){3}|\[::1\])$/.test(name)) assert.ok(isIn, host);
  });
  property(
    "is let in by its Origin only if that is allowed, as a browser writes it",
    800,
    fc.tuple(originHeader, fc.subarray(origins)),
    ([origin, some]) => {
      const isIn =
        accessFor(
          [],
          some.map(([given]) => given),
        ).screen(asking({ host: "localhost", origin })) === undefined;
      assert.equal(isIn, [...own, ...some.map(([, header]) => header)].includes(origin.toLowerCase()));
    },
  );
  property(
    "is judged at any address that the gateway can listen on",
    200,
    fc.oneof(fc.ipV4(), fc.ipV6()),
    (address) => {
      const access = accessFor([], [], [address]);
      const host = address.includes(":") ? `[${address}]:4653` : `${address}:4653`;
      assert.equal(access.screen(asking({ host, origin: `http://${new URL(`http://${host}`).host}` })), undefined);
    },
  );
  const authorization = fc.oneof(
    fc
      .tuple(
        fc.constantFrom("Bearer ", "bearer   ", "BEARER ", "Bearer", "Basic ", ""),
        fc.constantFrom(secret, secret.toUpperCase(), `${secret}x`, ""),
        fc.constantFrom("", " ", "\t", ",x"),
      )
      .map((parts) => parts.join("")),
    damaged(fc.constant(`Bearer ${secret}`)),
    fc.string(),
  );
  property("is authorized by the token alone, whole", 500, authorization, (header) => {
    const answer = accessFor([], []).authorize(asking({ authorization: header }));
    const isRight = /^bearer +/i.test(header) && header.replace(/^bearer +/i, "") === secret;
    assert.equal("scopes" in answer, isRight, header);
  });
  const names = "upgrade sec-websocket-version sec-websocket-key sec-websocket-protocol x-holdfast-scope accept".split(
    " ",
  );
  const anyHeaders = fc.dictionary(
    fc.constantFrom(...names),
    fc.oneof(fc.string({ unit: "binary" }), fc.constantFrom("websocket", "13", "*/*;q=0", "application/json")),
  );
  property(
    "of any headers and address is judged without an exception",
    300,
    fc.tuple(
      anyHeaders,
      fc.oneof(
        fc.string(),
        fc.webPath(),
        fc.webQueryParameters().map((query) => `/mcp?${query}`),
      ),
    ),
    ([headers, url]) => {
      const request = Object.assign(asking(headers), { url });
      handshakeProblem(request);
      replyForm(headers["accept"]);
      const scope = scopeOf(request);
      assert.ok(scope === undefined || scope === null || /^[A-Za-z0-9._~-]{1,128}$/.test(scope));
    },
  );
});

describe("a header that repeats a value", () => {
  property(
    "says any text, in characters that a header may have",
    500,
    fc.oneof(fc.string({ unit: "binary" }), fc.constantFrom("=?base64?YQ==?=", " x", "x\t")),
    (text) => {
      const value = headerValue(text);
      assert.match(value, /^[!-~](?:[ -~]*[!-~])?$/);
      assert.equal(headerText(value), text);
    },
  );
  const property_ = fc.record(
    {
      type: fc.constantFrom("string", "integer", "boolean", "number"),
      "x-mcp-header": fc.constantFrom("A", "b-2", "a", "x y", 1),
    },
    { requiredKeys: ["type"] },
  );
  const schema = fc.record({
    type: fc.constant("object"),
    properties: fc.dictionary(
      fc.constantFrom("p", "q", "__proto__", "toString"),
      fc.oneof(property_, fc.record({ properties: fc.dictionary(fc.constantFrom("r", "s"), property_) }), oddValue),
    ),
  });
  const values = fc.dictionary(
    fc.constantFrom("p", "q", "toString"),
    fc.oneof(
      fc.string({ unit: "binary" }),
      fc.integer(),
      fc.double(),
      fc.boolean(),
      fc.dictionary(fc.constantFrom("r", "s"), fc.oneof(fc.string(), fc.integer())),
      // Half a surrogate pair has no form in a header.
      oddValue.map((value) => (typeof value === "string" ? value.toWellFormed() : value)),
    ),
  );
  property(
    "agrees with the arguments that it was made from, and with no others",
    500,
    fc.tuple(schema, values, fc.string()),
    ([inputSchema, given, other]) => {
      const params = mirroredParams(inputSchema);
      if (typeof params === "string") return;
      const headers = Object.fromEntries(
        Object.entries(mirrorHeaders(params, given)).map(([name, value]) => [name.toLowerCase(), String(value)]),
      );
      assert.equal(mirrorProblem(params, given, headers), undefined);
      for (const name of Object.keys(headers)) {
        if (headers[name] !== other && Number(headers[name]) !== Number(other))
          assert.equal(typeof mirrorProblem(params, given, { ...headers, [name]: other }), "string");
        const { [name]: _, ...fewer } = headers;
        assert.equal(typeof mirrorProblem(params, given, fewer), "string");
      }
    },
  );
});
