import { execFileSync } from "node:child_process";
import { chmodSync, readFileSync, readdirSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "@jest/globals";
import fc from "fast-check";
import { curveKeyPair } from "zeromq";
import { CertificateError, formatCertificate, parseCertificate } from "../src/curve/certificate.ts";
import { publicKeyOf, readPublicKey, readSecret } from "../src/curve/keys.ts";
import type { SecretKeySource } from "../src/curve/keys.ts";
import { decodeZ85, encodeZ85 } from "../src/curve/z85.ts";
import { loadKeyPair, loadPublicKey, makeKeyPair, saveKeyPair } from "../src/index.ts";
import { privateFile, temporaryFolder } from "./key-support.ts";
import { python, withPython } from "./python.ts";

const fixture = (name: string) => join(import.meta.dirname, "fixtures", name);
const zeros = "0".repeat(40);
const what = "option secretKey";

/** What the function throws. */
function thrownBy(work: () => unknown): Error {
  try {
    work();
  } catch (error) {
    return error as Error;
  }
  throw new Error("nothing was thrown");
}

test("Z85 is that of ZeroMQ's document", () => {
  const bytes = Buffer.from("864fd26fb559f75b", "hex");
  expect(encodeZ85(bytes)).toBe("HelloWorld");
  expect(Buffer.from(decodeZ85("HelloWorld")!)).toEqual(bytes);
  expect([encodeZ85(new Uint8Array()), decodeZ85("")]).toEqual(["", new Uint8Array()]);
  expect(encodeZ85(new Uint8Array(4).fill(255))).toBe("%nSc0");
  expect(() => encodeZ85(new Uint8Array(3))).toThrow(RangeError);
});

test.each(["Hello World", "Hell", "HelloWorl~", "HelloWorl\u0000", "Hell\u{1f600}", "%nSc1", "#####", 'Hell"'])(
  "%j is no Z85",
  (text) => expect(decodeZ85(text)).toBeUndefined(),
);

test("Z85 gives all bytes back, and has one text for them", () => {
  fc.assert(
    fc.property(fc.uint8Array({ minLength: 32, maxLength: 32 }), (bytes) => {
      const text = encodeZ85(bytes);
      expect(text).toHaveLength(40);
      expect(decodeZ85(text)).toEqual(bytes);
    }),
  );
});

test("key pairs are those of ZeroMQ", () => {
  for (const { publicKey, secretKey } of [makeKeyPair(), curveKeyPair(), loadKeyPairOfCzmq()])
    expect(publicKeyOf(secretKey)).toBe(publicKey);
  expect(makeKeyPair().secretKey).not.toBe(makeKeyPair().secretKey);
});

function loadKeyPairOfCzmq() {
  return loadKeyPair(privateFile(readFileSync(fixture("czmq.cert_secret"), "utf8")));
}

test("certificates of CZMQ are read", () => {
  const { publicKey, secretKey, metadata } = parseCertificate(readFileSync(fixture("czmq.cert_secret"), "utf8"));
  expect(Object.fromEntries(metadata)).toEqual({
    name: "Ada Lovelace",
    email: "ada@example.org",
    roles: "admin, audit",
  });
  expect(loadKeyPairOfCzmq()).toEqual({ publicKey, secretKey });
  expect(loadPublicKey(fixture("czmq.cert"))).toBe(publicKey);
  expect(loadPublicKey(fixture("czmq.cert_secret"))).toBe(publicKey);
});

withPython("certificates are read by pyzmq, and its are read here", () => {
  const folder = temporaryFolder();
  const pair = makeKeyPair();
  const { publicFile, secretFile } = saveKeyPair(pair, {
    directory: folder,
    name: "ours",
    metadata: { roles: "a, b" },
  });
  const script = `
import json, sys, zmq.auth
ours, folder = sys.argv[1:]
made = zmq.auth.create_certificates(folder, "theirs", {"name": "Ada # Lovelace", "roles": "admin"})
text = lambda keys: [key and key.decode() for key in keys]
print(json.dumps([text(zmq.auth.load_certificate(ours)), text(zmq.auth.load_certificate(ours + "_secret")),
  made, text(zmq.auth.load_certificate(made[1]))]))`;
  const output = execFileSync(python, ["-c", script, publicFile, folder], { encoding: "utf8" });
  const [ours, oursSecret, [theirFile = "", theirSecretFile = ""], [publicKey = "", secretKey = ""]] = JSON.parse(
    output,
  ) as [string[], string[], string[], string[]];
  expect(ours).toEqual([pair.publicKey, null]);
  expect(oursSecret).toEqual([pair.publicKey, pair.secretKey]);
  expect(secretFile).toBe(`${publicFile}_secret`);
  expect(loadPublicKey(theirFile)).toBe(publicKey);
  // pyzmq leaves its mode to the umask.
  chmodSync(theirSecretFile, 0o600);
  expect(loadKeyPair(theirSecretFile)).toEqual({ publicKey, secretKey });
  expect(parseCertificate(readFileSync(theirSecretFile, "utf8")).metadata.get("roles")).toBe("admin");
});

const pair = makeKeyPair();

test.each<[string, string]>([
  ["tabs", `metadata\n\tname = 'Ada'\ncurve\n\tpublic-key = "${pair.publicKey}"\n`],
  [
    "line ends of Windows and a mark of Unicode",
    `\ufeff# x\r\n\r\nmetadata\r\n    name=Ada  # she\r\ncurve # keys\r\n    public-key = '${pair.publicKey}' # it\r\n`,
  ],
  [
    "other sections, and no line end",
    `curve\n    public-key = "${pair.publicKey}"\nother\n    flag\nmetadata\n    name = Ada`,
  ],
])("a certificate may have %s", (_name, text) => {
  const { publicKey, secretKey, metadata } = parseCertificate(text);
  expect([publicKey, secretKey, metadata.get("name")]).toEqual([pair.publicKey, undefined, "Ada"]);
});

test.each<[string, RegExp]>([
  ["", /has no section "curve"/],
  ["curve", /has no "public-key"/],
  ["curve\n    public-key", /has no "public-key"|no key/],
  ["    public-key = x\ncurve\n", /"public-key" before any section, in line 1/],
  ["curve\n    public-key = a\n    public-key = b", /"public-key" twice, in line 3/],
  ["curve\n    public-key = a\ncurve\n    public-key = b", /section "curve" twice, in line 3/],
  ["curve\n    other\n        public-key = b", /"public-key" indented unlike others, in line 3/],
  ['curve\n    public-key = "a', /lacks the quote at the end of "public-key" in line 2/],
  ['curve\n    public-key = "a" b', /something behind the value of "public-key"/],
  ["curve\n    public-key a", /lacks the "=" of "public-key"/],
  ["{}", /not in the format of certificates in line 1/],
])("%j is no certificate", (text, message) => {
  const error = thrownBy(() => {
    const { publicKey } = parseCertificate(text);
    if (publicKey === "") throw new CertificateError("has no key");
  });
  expect(error).toBeInstanceOf(CertificateError);
  expect(error.message).toMatch(message);
});

test("certificates that others could not read are not written", () => {
  for (const [name, value] of [
    ["a b", "x"],
    ["name", 'a "b"'],
    ["name", "a\nb"],
    ["name", "100%s"],
    ["name", "x".repeat(256)],
  ] as const)
    expect(() => formatCertificate({ ...pair, metadata: new Map([[name, value]]) })).toThrow(TypeError);
});

test("a secret key comes from an object, text, a file or the environment", () => {
  const folder = temporaryFolder();
  const { secretFile } = saveKeyPair(pair, { directory: folder, name: "server" });
  process.env["ZEROBIND_TEST_KEY"] = pair.secretKey;
  process.env["ZEROBIND_TEST_CERTIFICATE"] = readFileSync(secretFile, "utf8");
  const sources: SecretKeySource[] = [
    pair,
    pair.secretKey,
    { file: secretFile },
    { file: privateFile(`${pair.secretKey}\n`) },
    { env: "ZEROBIND_TEST_KEY" },
    { env: "ZEROBIND_TEST_CERTIFICATE" },
  ];
  for (const source of sources) expect(readSecret(source, what)).toEqual(pair);
  expect(loadKeyPair(secretFile)).toEqual(pair);
  delete process.env["ZEROBIND_TEST_KEY"];
  delete process.env["ZEROBIND_TEST_CERTIFICATE"];
});

test("a public key comes from text, a file or the environment", () => {
  const { publicFile, secretFile } = saveKeyPair(pair, { directory: temporaryFolder(), name: "server" });
  process.env["ZEROBIND_TEST_KEY"] = pair.publicKey;
  for (const source of [pair.publicKey, { file: publicFile }, { file: secretFile }, { env: "ZEROBIND_TEST_KEY" }])
    expect(readPublicKey(source, what)).toBe(pair.publicKey);
  delete process.env["ZEROBIND_TEST_KEY"];
  expect(() => readPublicKey(pair as never, "option serverKey")).toThrow(/option serverKey takes a public key alone/);
});

const other = makeKeyPair();

test.each<[string, unknown, RegExp]>([
  [
    "short",
    pair.secretKey.slice(1),
    /option secretKey: the secret key must be 40 characters in Z85; there are 39; .*quotes/,
  ],
  ["of other characters", `~${pair.secretKey.slice(1)}`, /is 40 characters, but not in Z85/],
  ["all zeros", zeros, /all zeros/],
  ["a path", "./keys/server.cert_secret", /there are 25. Text is the key itself; a file is \{ file/],
  ["empty", "", /there are 0/],
  ["of another pair", { ...other, secretKey: pair.secretKey }, /does not belong to the secret key/],
  ["with a public key of zeros", { ...pair, publicKey: zeros }, /public key is all zeros/],
  ["a number", 5, /must be a key as text, \{ file \} or \{ env \} or \{ publicKey, secretKey \}, not the number 5/],
  ["nothing", null, /not null/],
  ["undefined", undefined, /not undefined/],
  ["an empty object", {}, /must have file or env, and nothing else/],
  ["two sources", { file: "x", env: "y" }, /must have file or env, and nothing else/],
  ["a file without a name", { file: "" }, /file must be a name/],
  ["an unset variable", { env: "ZEROBIND_NOT_SET" }, /environment variable ZEROBIND_NOT_SET is not set/],
  [
    "a missing file",
    { file: "/no/such/file" },
    /option secretKey: cannot read \/no\/such\/file: there is no such file; zerobind keygen/,
  ],
  ["a directory", { file: "/" }, /option secretKey: .*\/.*(directory|no regular file)/],
])("a secret key that is %s is refused", (_name, given, message) => {
  const error = thrownBy(() => readSecret(given as SecretKeySource, what));
  expect(error.message).toMatch(message);
  expect(error.message.startsWith(what)).toBe(true);
  expect(showsAnyOf(error, pair.secretKey)).toBe(false);
});

/** Whether any five characters of a secret stand in an error, or in what caused it. */
function showsAnyOf(error: Error, secret: string): boolean {
  const text = `${error.stack} ${JSON.stringify(error)} ${error.cause instanceof Error ? error.cause.stack : ""}`;
  return Array.from({ length: 36 }, (_, at) => secret.slice(at, at + 5)).some((part) => text.includes(part));
}

test.each<[string, string, RegExp]>([
  [
    "public",
    formatCertificate({ ...pair, secretKey: undefined, metadata: new Map() }),
    /is a public certificate.*; the secret one is NAME.cert_secret/,
  ],
  [
    "with a secret key of zeros",
    formatCertificate({ ...pair, secretKey: zeros, metadata: new Map() }),
    /is a public certificate/,
  ],
  [
    "with keys of two pairs",
    formatCertificate({ ...other, secretKey: pair.secretKey, metadata: new Map() }),
    /does not belong/,
  ],
  ["cut off", formatCertificate({ ...pair, metadata: new Map() }).slice(0, -10), /lacks the quote/],
  [
    "with a short key",
    formatCertificate({ ...pair, secretKey: pair.secretKey.slice(2), metadata: new Map() }),
    /there are 38/,
  ],
  [
    "with a key in no quotes",
    `curve\n    public-key = "${pair.publicKey}"\n    secret-key = #${pair.secretKey.slice(1)}`,
    /there are 0/,
  ],
  ["empty", "", /there are 0/],
  ["too large", "#".repeat(70_000), /more than 65536 bytes/],
])("a secret file that is %s is refused with its name", (_name, text, message) => {
  const file = privateFile(text);
  const error = thrownBy(() => loadKeyPair(file));
  expect(error.message).toMatch(message);
  expect(error.message).toContain(file);
  expect(showsAnyOf(error, pair.secretKey)).toBe(false);
});

test.each([0o640, 0o604, 0o620, 0o666, 0o601])("a secret file of mode %o is refused, with what to do", (mode) => {
  const { secretFile } = saveKeyPair(pair, { directory: temporaryFolder(), name: "server" });
  chmodSync(secretFile, mode);
  expect(() => readSecret({ file: secretFile }, what)).toThrow(
    `${what}: ${secretFile} has a secret key, and others than its owner may use the file (mode 0${mode.toString(8)}); run: chmod 600 ${secretFile}`,
  );
  // Nothing of the secret key is needed for the public one.
  expect(loadPublicKey(secretFile)).toBe(pair.publicKey);
});

test("a named pipe is refused at once", () => {
  const pipe = join(temporaryFolder(), "pipe");
  execFileSync("sh", ["-c", 'mkfifo -m 600 "$0"', pipe]);
  expect(() => loadKeyPair(pipe)).toThrow(/is no regular file/);
});

test("public keys that give no secrecy are refused", () => {
  const one = new Uint8Array(32);
  one[0] = 1;
  expect(() => readPublicKey(encodeZ85(one), "option serverKey")).toThrow(/option serverKey: .*give no secrecy/);
});

test("saved files have their mode, and replace none unless forced", () => {
  const directory = join(temporaryFolder(), "new", "keys");
  const { publicFile, secretFile } = saveKeyPair(pair, { directory, name: "ada" });
  expect([directory, secretFile].map((path) => statSync(path).mode & 0o777)).toEqual([0o700, 0o600]);
  expect(() => saveKeyPair(other, { directory, name: "ada" })).toThrow(/ada\.cert is there already/);
  expect(loadKeyPair(secretFile)).toEqual(pair);
  chmodSync(secretFile, 0o644);
  saveKeyPair(other, { directory, name: "ada", force: true });
  expect(loadKeyPair(secretFile)).toEqual(other);
  expect(loadPublicKey(publicFile)).toBe(other.publicKey);
  expect(readdirSync(directory).toSorted()).toEqual(["ada.cert", "ada.cert_secret"]);
});

test("one file that is there keeps both from being written", () => {
  const directory = temporaryFolder();
  for (const name of ["a.cert", "b.cert_secret"]) writeFileSync(join(directory, name), "mine");
  for (const name of ["a", "b"]) expect(() => saveKeyPair(pair, { directory, name })).toThrow(/is there already/);
  expect(readdirSync(directory).toSorted()).toEqual(["a.cert", "b.cert_secret"]);
});

test.each([
  "",
  ".",
  "..",
  "a/b",
  "a\\b",
  "-x",
  ".x",
  "a b",
  "a\nb",
  "server.cert",
  "server.cert_secret",
  "x".repeat(101),
])("%j is no name for files", (name) => {
  const directory = temporaryFolder();
  expect(() => saveKeyPair(pair, { directory, name })).toThrow(TypeError);
  expect(readdirSync(directory)).toEqual([]);
});
