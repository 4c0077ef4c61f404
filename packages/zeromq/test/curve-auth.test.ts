import { expect, test } from "@jest/globals";
import { readAuth } from "@zerobind/core";
import type { LinkAuth } from "@zerobind/core";
import { Dealer, Request } from "zeromq";
import { Refusal } from "../../core/src/gen/zerobind/v1/wire.pb.ts";
import { authBatch } from "../../core/src/link-auth.ts";
import { BatchReader, RecordType, RefuseReason } from "../../core/src/records.ts";
import { batch, hello, rawCall } from "../../core/test/support/raw-peer.ts";
import { makeKeyPair } from "../src/curve/keys.ts";
import type { CurveKeyPair } from "../src/curve/keys.ts";
import { answerTo } from "../src/curve/proof.ts";
import { decodeZ85 } from "../src/curve/z85.ts";
import { clientOf, secureHost } from "./curve-support.ts";
import type { SecureHost } from "./curve-support.ts";
import { raw } from "./support.ts";

const echo = "test.v1.Behavior/Echo";

function curveOptions({ serverKeys }: SecureHost, keys: CurveKeyPair) {
  return { curveServerKey: serverKeys.publicKey, curvePublicKey: keys.publicKey, curveSecretKey: keys.secretKey };
}

/** A native peer that CURVE has let in, and the challenge that it got. */
async function visitor(host: SecureHost, keys = host.alice): Promise<{ dealer: Dealer; challenge: Uint8Array }> {
  const dealer = raw(new Dealer(curveOptions(host, keys)));
  dealer.connect(host.address);
  await dealer.send(["", batch(0, hello())]);
  const [, question] = await dealer.receive();
  return { dealer, challenge: readAuth([question!])!.challenge };
}

/** The type of the record that comes next, with the reason if it is a refusal. */
async function answered(dealer: Dealer): Promise<{ type: number; reason: number; message: string }> {
  const [, ...frames] = await dealer.receive();
  const reader = new BatchReader(frames);
  reader.next();
  const message = reader.type === RecordType.REFUSE ? reader.meta(Refusal).message : "";
  return { type: reader.type, reason: reader.aux, message };
}

test("a native peer is asked who it is, and is welcome once it has proved it", async () => {
  const host = await secureHost();
  const { dealer, challenge } = await visitor(host);
  expect(challenge).toHaveLength(32);
  await dealer.send(["", authBatch(answerTo(challenge, host.alice, host.serverKeys.publicKey))]);
  expect((await answered(dealer)).type).toBe(RecordType.WELCOME);
});

const wrong: [string, (right: LinkAuth, host: SecureHost, challenge: Uint8Array) => Partial<LinkAuth>][] = [
  ["no proof", ({ publicKey }) => ({ publicKey })],
  ["noise for a proof", (right) => ({ ...right, proof: new Uint8Array(32).fill(7) })],
  ["a short proof", (right) => ({ ...right, proof: right.proof.subarray(0, 31) })],
  ["the key of another", (right) => ({ ...right, publicKey: decodeZ85(makeKeyPair().publicKey)! })],
  ["a key of zeros", (right) => ({ ...right, publicKey: new Uint8Array(32) })],
  ["the proof for another server", (_, host, challenge) => answerTo(challenge, host.alice, makeKeyPair().publicKey)],
  [
    "the proof for an older challenge",
    (_, host) => answerTo(new Uint8Array(32), host.alice, host.serverKeys.publicKey),
  ],
  ["a key that is not allowed", (_, host, challenge) => answerTo(challenge, makeKeyPair(), host.serverKeys.publicKey)],
];

test.each(wrong)("whoever answers with %s is refused, though CURVE has let it in", async (_name, answer) => {
  const host = await secureHost();
  const { dealer, challenge } = await visitor(host);
  const right = answerTo(challenge, host.alice, host.serverKeys.publicKey) as LinkAuth;
  await dealer.send(["", authBatch(answer(right, host, challenge))]);
  expect(await answered(dealer)).toMatchObject({ type: RecordType.REFUSE, reason: RefuseReason.UNAUTHENTICATED });
});

test("whoever has a key of its own that is allowed cannot pass for another", async () => {
  const mallory = makeKeyPair();
  const host = await secureHost({ allow: (key) => (key === mallory.publicKey ? "mallory" : "alice") });
  const { dealer, challenge } = await visitor(host, mallory);
  const claimed = answerTo(challenge, mallory, host.serverKeys.publicKey);
  await dealer.send(["", authBatch({ ...claimed, publicKey: decodeZ85(host.alice.publicKey)! })]);
  expect((await answered(dealer)).type).toBe(RecordType.REFUSE);
});

test("what is said before the proof gets no further, and neither do calls of strangers", async () => {
  const host = await secureHost();
  const { dealer, challenge } = await visitor(host);
  await dealer.send(["", batch(1, rawCall(1, echo))]);
  await dealer.send(["", authBatch(answerTo(challenge, host.alice, host.serverKeys.publicKey))]);
  expect((await answered(dealer)).type).toBe(RecordType.WELCOME);
  const other = raw(new Dealer(curveOptions(host, host.alice)));
  other.connect(host.address);
  await other.send(["", batch(4711, rawCall(1, echo))]);
  expect(await answered(other)).toMatchObject({ type: RecordType.REFUSE, reason: RefuseReason.UNKNOWN_SESSION });
  expect(host.calls).toEqual([]);
});

test("whoever does not say who it is in time is refused", async () => {
  const host = await secureHost({}, { handshakeTimeoutMs: 200 });
  const { dealer } = await visitor(host);
  expect(await answered(dealer)).toMatchObject({
    reason: RefuseReason.UNAUTHENTICATED,
    message: "who it is was not proved within 200 ms",
  });
});

test("a peer that begins anew on its connection is asked again", async () => {
  const host = await secureHost();
  const { dealer, challenge } = await visitor(host);
  await dealer.send(["", authBatch(answerTo(challenge, host.alice, host.serverKeys.publicKey))]);
  await answered(dealer);
  await dealer.send(["", batch(0, hello())]);
  const [, question] = await dealer.receive();
  expect(readAuth([question!])!.challenge).not.toEqual(challenge);
});

test("nothing that a caller says makes it somebody", async () => {
  const host = await secureHost({}, { principal: "guest" });
  const request = raw(new Request({ ...curveOptions(host, host.alice), routingId: "alice" }));
  request.connect(host.address);
  await request.send([echo, Buffer.from([10, 1, 65])]);
  await request.receive();
  const metadata = { principal: "root", "x-principal": "root", authorization: "root", roles: "admin" };
  await clientOf(host, host.alice).client.echo({ text: "B" }, { metadata });
  // Plain peers cannot prove who they are: they are whom their endpoint takes everybody for.
  expect(host.calls).toMatchObject([
    { text: "A", peer: { principal: "guest", roles: [] } },
    { text: "B", peer: { principal: "alice", roles: ["admin", "buyer"] } },
  ]);
});

test("plain clients that were there when a key was revoked have to connect again", async () => {
  const host = await secureHost();
  const plain = async (): Promise<{ ask: () => Promise<string> }> => {
    const request = raw(new Request(curveOptions(host, host.alice)));
    request.connect(host.address);
    const ask = async (): Promise<string> => {
      await request.send([echo, Buffer.from([10, 1, 65])]);
      const [status, body] = await request.receive();
      return status!.length === 0 ? String(body) : String(status);
    };
    await ask();
    return { ask };
  };
  const before = await plain();
  host.curve.revoke(makeKeyPair().publicKey);
  expect(await before.ask()).toContain("connect again");
  expect(await (await plain()).ask()).toBe("\n\u0001A");
  expect(host.calls).toHaveLength(3);
});
