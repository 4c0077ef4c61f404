import {
  chmodSync,
  cpSync,
  mkdirSync,
  renameSync,
  rmSync,
  symlinkSync,
  unlinkSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { expect, test } from "@jest/globals";
import { AllowList } from "../src/curve/allow-list.ts";
import type { Allow, AllowFunction } from "../src/curve/allow-list.ts";
import { formatCertificate } from "../src/curve/certificate.ts";
import { makeKeyPair, saveKeyPair } from "../src/index.ts";
import { temporaryFolder } from "./key-support.ts";
import { track } from "./support.ts";

const what = "option allow";
const peer = { address: "127.0.0.1", domain: "test" };
const key = (): string => makeKeyPair().publicKey;

/** An open list, with what it tells. */
async function opened(allow: Allow) {
  const list = new AllowList(allow, what);
  const revoked: string[] = [];
  const warnings: string[] = [];
  let wake = (): void => undefined;
  const told = (into: string[]) => (text: string) => {
    into.push(text);
    wake();
  };
  track(list);
  await list.open(told(revoked), told(warnings));
  return {
    list,
    revoked,
    warnings,
    decide: async (publicKey: string) => list.decide(publicKey, peer),
    until: async (condition: () => boolean) => {
      while (!condition()) await new Promise<void>((resolve) => (wake = resolve));
    },
  };
}

/** Writes a public certificate. */
function certify(folder: string, name: string, publicKey: string, metadata: Record<string, string> = {}): string {
  const path = join(folder, name);
  writeFileSync(
    path,
    formatCertificate({ publicKey, secretKey: undefined, metadata: new Map(Object.entries(metadata)) }),
  );
  return path;
}

test("listed keys are admitted, under their names", async () => {
  const [plain, named, stranger] = [key(), key(), key()];
  const { decide } = await opened(new Set([plain, { key: named, name: "ada", roles: ["admin", "admin"] }]));
  expect(await decide(plain)).toEqual({ name: plain, roles: [] });
  expect(await decide(named)).toEqual({ name: "ada", roles: ["admin"] });
  expect(await decide(stranger)).toBeUndefined();
});

const some = key();
test.each<[unknown, RegExp]>([
  [undefined, /option allow must be a directory of certificates, an array of public keys or a function, not undefined/],
  ["", /must be a directory/],
  [{}, /not an object/],
  [["short"], /option allow\[0\]: the public key must be 40 characters/],
  [[some, some], /option allow\[1\] is there twice/],
  [[5], /option allow\[0\] must be a public key or \{ key, name, roles \}, not the number 5/],
  [[{ key: some, role: "x" }], /a principal has name and roles, not "role"/],
  [[{ key: some, roles: "admin" }], /roles must be an array/],
  [[{ key: some, name: "a\nb" }], /without control characters/],
  [["0".repeat(40)], /all zeros/],
])("%j cannot be allowed", (allow, message) => {
  expect(() => new AllowList(allow as Allow, what)).toThrow(message);
  expect(() => new AllowList(allow as Allow, what)).toThrow(TypeError);
});

test("keys are added and revoked while the list is open, and stay so", async () => {
  const [one, two] = [key(), key()];
  const { list, revoked, decide } = await opened([one]);
  list.allow(two, { name: "two", roles: ["r"] });
  expect(await decide(two)).toEqual({ name: "two", roles: ["r"] });
  list.allow(two);
  expect(await decide(two)).toEqual({ name: "two", roles: ["r"] });
  expect(revoked).toEqual([]);
  // Who holds the key with other rights has to come again.
  list.allow(two, "two");
  expect(revoked).toEqual([two]);
  list.revoke(one);
  list.revoke(two);
  expect(revoked).toEqual([two, one, two]);
  expect([await decide(one), await decide(two)]).toEqual([undefined, undefined]);
  list.allow(one);
  expect(await decide(one)).toEqual({ name: one, roles: [] });
  for (const bad of ["x", undefined]) {
    expect(() => list.allow(bad as string)).toThrow(/allow\(\): the public key/);
    expect(() => list.revoke(bad as string)).toThrow(/revoke\(\): the public key/);
  }
});

test("a function decides, and what it gives has to be a principal", async () => {
  const ada = key();
  let answer: unknown = "ada";
  const asked: unknown[] = [];
  const ask: AllowFunction = (...args) => {
    asked.push(args);
    if (answer instanceof Error) throw answer;
    return answer as string;
  };
  const { list, decide, revoked } = await opened(ask);
  expect(await decide(ada)).toEqual({ name: "ada", roles: [] });
  expect(asked).toEqual([[ada, peer]]);
  answer = Promise.resolve({ name: "ada", roles: ["admin"] });
  expect(await decide(ada)).toEqual({ name: "ada", roles: ["admin"] });
  answer = undefined;
  expect(await decide(ada)).toBeUndefined();
  for (const bad of [null, true, "", 1, [], {}, { name: "" }, { name: "x", roles: [1] }, { name: "x", more: 1 }]) {
    answer = bad;
    await expect(decide(ada)).rejects.toThrow(/option allow: what the function gave/);
  }
  answer = new Error("no database");
  await expect(decide(ada)).rejects.toThrow("no database");
  answer = "ada";
  list.revoke(ada);
  expect(revoked).toEqual([ada]);
  expect(await decide(ada)).toBeUndefined();
  list.allow(ada);
  expect(await decide(ada)).toEqual({ name: ada, roles: [] });
});

test("a key that is revoked while the function thinks is refused", async () => {
  const ada = key();
  let answer = (_name: string): void => undefined;
  const { list, decide } = await opened(() => new Promise<string>((resolve) => (answer = resolve)));
  const decided = decide(ada);
  list.revoke(ada);
  answer("ada");
  expect(await decided).toBeUndefined();
});

test("a directory admits what its certificates say, and nothing else in it counts", async () => {
  const folder = temporaryFolder();
  const [ada, bob, carol, dan, eve] = [key(), key(), key(), key(), key()];
  certify(folder, "a.cert", ada, { name: "Ada", roles: "admin, audit,," });
  certify(folder, "bob.key", bob);
  certify(folder, "carol.pub", carol);
  certify(folder, "dan.txt", dan);
  certify(folder, ".hidden.cert", eve);
  certify(folder, "readme.md", eve);
  saveKeyPair({ ...makeKeyPair(), publicKey: eve }, { directory: folder, name: "x" });
  unlinkSync(join(folder, "x.cert"));
  const { decide, warnings } = await opened(folder);
  expect(await decide(ada)).toEqual({ name: "Ada", roles: ["admin", "audit"] });
  for (const [name, each] of Object.entries({ bob, carol, dan }))
    expect(await decide(each)).toEqual({ name, roles: [] });
  expect(await decide(eve)).toBeUndefined();
  expect(warnings).toEqual([]);
});

test("certificates that are broken or odd are warned of by name, once each", async () => {
  const folder = temporaryFolder();
  const [good, bad] = [makeKeyPair(), makeKeyPair()];
  certify(folder, "zeros.cert", "0".repeat(40));
  certify(folder, "short.cert", bad.publicKey.slice(1));
  certify(folder, "name.cert", bad.publicKey, { name: "" });
  mkdirSync(join(folder, "folder.cert"));
  writeFileSync(join(folder, "empty.cert"), "");
  writeFileSync(join(folder, "huge.cert"), " ".repeat(70_000));
  symlinkSync("nowhere", join(folder, "link.cert"));
  writeFileSync(join(folder, "both.cert"), formatCertificate({ ...good, metadata: new Map() }));
  const { decide, list, warnings } = await opened(folder);
  await list.reload();
  await decide(key());
  expect(await decide(good.publicKey)).toEqual({ name: "both", roles: [] });
  expect(await decide(bad.publicKey)).toBeUndefined();
  expect(warnings.map((warning) => warning.replace(`${what}: ${folder}/`, "")).toSorted()).toEqual([
    "both.cert has a secret key, which should be nowhere but with its owner; the public certificate is enough",
    'empty.cert does not count: it has no section "curve"',
    "folder.cert is no file",
    "huge.cert is too large for a certificate",
    expect.stringMatching(/^name.cert does not count: name of a principal must be text/),
    expect.stringMatching(/^short.cert does not count: the public key must be 40 characters in Z85; there are 39/),
    "zeros.cert does not count: the public key is all zeros, which stands for no key",
  ]);
});

test("a missing directory is an error, an empty one is warned of", async () => {
  const folder = temporaryFolder();
  const missing = join(folder, "missing");
  await expect(new AllowList(missing, what).open(() => undefined)).rejects.toThrow(
    `${what}: cannot read ${missing}: there is no such directory; make it, and put the public certificates there`,
  );
  const { warnings } = await opened(folder);
  expect(warnings).toEqual([
    `${what}: ${folder} has no public certificates (*.cert, *.key, *.pub, *.txt): it admits nobody`,
  ]);
});

test("what others can write to is warned of", async () => {
  const folder = temporaryFolder();
  chmodSync(certify(folder, "a.cert", key()), 0o646);
  chmodSync(folder, 0o777);
  const { warnings } = await opened(folder);
  expect(warnings).toEqual([
    expect.stringContaining(`${folder} may be written by everybody`),
    expect.stringContaining(`${folder}/a.cert may be written by everybody`),
  ]);
});

test("a key that stands for two principals counts for none, until one is removed", async () => {
  const folder = temporaryFolder();
  const ada = key();
  certify(folder, "ada.cert", ada);
  const { decide, list, revoked, warnings } = await opened(folder);
  expect(await decide(ada)).toBeDefined();
  certify(folder, "boss.cert", ada, { roles: "admin" });
  await list.reload();
  expect(revoked).toEqual([ada]);
  expect(warnings).toEqual([
    `${what}: ${folder}: ada.cert and boss.cert have the same key for different principals, so neither counts; remove one`,
  ]);
  expect(await decide(ada)).toBeUndefined();
  unlinkSync(join(folder, "ada.cert"));
  expect(await decide(ada)).toEqual({ name: "boss", roles: ["admin"] });
  certify(folder, "copy.cert", ada, { name: "boss", roles: "admin" });
  await list.reload();
  expect(await decide(ada)).toEqual({ name: "boss", roles: ["admin"] });
  expect(warnings).toHaveLength(1);
});

test("a certificate that is added a moment before its holder comes counts", async () => {
  const folder = temporaryFolder();
  const { decide, revoked } = await opened(folder);
  for (let round = 0; round < 5; round += 1) {
    const ada = key();
    expect(await decide(ada)).toBeUndefined();
    certify(folder, `${round}.cert`, ada);
    expect(await decide(ada)).toEqual({ name: `${round}`, roles: [] });
  }
  expect(revoked).toEqual([]);
});

test("those who ask for unknown keys share one look at the directory", async () => {
  const folder = temporaryFolder();
  const { decide } = await opened(folder);
  const start = performance.now();
  expect(await Promise.all(Array.from({ length: 500 }, () => decide(some)))).toEqual(Array(500).fill(undefined));
  expect(performance.now() - start).toBeLessThan(1_500);
});

test("removed, changed and replaced certificates revoke their keys without being asked", async () => {
  const folder = temporaryFolder();
  const [ada, bob, carol] = [key(), key(), key()];
  for (const [name, each] of Object.entries({ ada, bob, carol })) certify(folder, `${name}.cert`, each);
  const { decide, revoked, until } = await opened(folder);
  unlinkSync(join(folder, "ada.cert"));
  await until(() => revoked.includes(ada));
  certify(folder, "bob.cert", bob, { roles: "admin" });
  await until(() => revoked.includes(bob));
  certify(folder, "carol.cert", key());
  await until(() => revoked.includes(carol));
  expect([await decide(ada), await decide(carol)]).toEqual([undefined, undefined]);
  expect(await decide(bob)).toEqual({ name: "bob", roles: ["admin"] });
});

test("a change that leaves time and size as they were counts", async () => {
  const folder = temporaryFolder();
  const [ada, bob] = [key(), key()];
  const path = certify(folder, "x.cert", ada);
  const past = new Date(1_000_000);
  utimesSync(path, past, past);
  const { decide, list } = await opened(folder);
  certify(folder, "x.cert", bob);
  utimesSync(path, past, past);
  await list.reload();
  expect([await decide(ada), await decide(bob)]).toEqual([undefined, { name: "x", roles: [] }]);
});

test("a directory that is exchanged or removed is followed", async () => {
  const folder = join(temporaryFolder(), "clients");
  const [ada, bob] = [key(), key()];
  mkdirSync(folder);
  certify(folder, "ada.cert", ada);
  const { decide, revoked, warnings, until } = await opened(folder);
  cpSync(folder, `${folder}.new`, { recursive: true });
  certify(`${folder}.new`, "bob.cert", bob);
  renameSync(folder, `${folder}.old`);
  renameSync(`${folder}.new`, folder);
  expect(await decide(bob)).toEqual({ name: "bob", roles: [] });
  unlinkSync(join(folder, "bob.cert"));
  await until(() => revoked.includes(bob));
  rmSync(folder, { recursive: true });
  await until(() => revoked.includes(ada));
  expect(await decide(ada)).toBeUndefined();
  expect(warnings.at(-1)).toBe(`${what}: ${folder} is there no more: it admits nobody`);
});

test("a revoked key stays revoked whatever its directory does", async () => {
  const folder = temporaryFolder();
  const ada = key();
  certify(folder, "ada.cert", ada);
  const { decide, list, revoked } = await opened(folder);
  list.revoke(ada);
  certify(folder, "ada.cert", ada, { roles: "admin" });
  await list.reload();
  expect(await decide(ada)).toBeUndefined();
  expect(revoked).toEqual([ada]);
  list.allow(ada);
  expect(await decide(ada)).toEqual({ name: "ada", roles: ["admin"] });
});

test("a list that is not open admits nobody from its directory, and can be opened again", async () => {
  const folder = temporaryFolder();
  const ada = key();
  certify(folder, "ada.cert", ada);
  const list = new AllowList(folder, what);
  expect(await list.decide(ada, peer)).toBeUndefined();
  await list.open(() => undefined);
  await expect(list.open(() => undefined)).rejects.toThrow(/open already/);
  expect(await list.decide(ada, peer)).toBeDefined();
  const asked = list.decide(some, peer);
  list.close();
  list.close();
  expect([await asked, await list.decide(ada, peer)]).toEqual([undefined, undefined]);
  await list.reload();
  await list.open(() => undefined);
  expect(await list.decide(ada, peer)).toBeDefined();
  list.close();
});
