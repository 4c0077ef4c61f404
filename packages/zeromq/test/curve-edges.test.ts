import { expect, test } from "@jest/globals";
import { binding, partial, ServiceHost } from "@zerobind/core";
import { makeKeyPair, serverCurve, zeromq } from "@zerobind/zeromq";
import type { CurveKeyPair } from "@zerobind/zeromq";
import { readAuth } from "@zerobind/core";
import { Dealer, Push, Request } from "zeromq";
import { authBatch, unauthenticatedBatch } from "../../core/src/link-auth.ts";
import { RecordType, BatchReader } from "../../core/src/records.ts";
import { Behavior } from "../../core/test/gen/test/v1/behavior.rpc.ts";
import { batch, hello } from "../../core/test/support/raw-peer.ts";
import { answerTo } from "../src/curve/proof.ts";
import { openSocket } from "../src/open-socket.ts";
import type { OpenSocket } from "../src/open-socket.ts";
import { toSettings } from "../src/options.ts";
import { parseAddress } from "../src/address.ts";
import { readSecret } from "../src/curve/keys.ts";
import { clientOf, failure, quick, secureHost } from "./curve-support.ts";
import type { SecureHost } from "./curve-support.ts";
import { pause, raw, track } from "./support.ts";

const echo = "test.v1.Behavior/Echo";
const question = [echo, Buffer.from([10, 1, 65])];

function curveOptions({ serverKeys }: Pick<SecureHost, "serverKeys">, keys: CurveKeyPair) {
  return { curveServerKey: serverKeys.publicKey, curvePublicKey: keys.publicKey, curveSecretKey: keys.secretKey };
}

/** A device with peers behind it, by their hops; none stands for the connection's own peer. */
function deviceAt(host: SecureHost) {
  const dealer = raw(new Dealer(curveOptions(host, host.alice)));
  dealer.receiveTimeout = 1_000;
  dealer.connect(host.address);
  const type = (frames: Buffer[]): number => {
    const reader = new BatchReader(frames);
    reader.next();
    return reader.type;
  };
  /** The next one for somebody that is what it says of a connection. */
  const last = async (hops: readonly string[]): Promise<Buffer> => {
    for (;;) {
      const frames = await dealer.receive();
      const told = String(frames[0]) === (hops[0] ?? "") ? type(frames.slice(hops.length + 1)) : 0;
      if ([RecordType.AUTH, RecordType.WELCOME, RecordType.REFUSE].includes(told as never)) return frames.at(-1)!;
    }
  };
  return {
    dealer,
    answerOf: async (...hops: string[]): Promise<number> => type([await last(hops)]),
    greet: async (...hops: string[]): Promise<Uint8Array> => {
      await dealer.send([...hops, "", batch(0, hello())]);
      return readAuth([await last(hops)])!.challenge;
    },
    prove: async (challenge: Uint8Array, ...hops: string[]): Promise<number> => {
      await dealer.send([...hops, "", authBatch(answerTo(challenge, host.alice, host.serverKeys.publicKey))]);
      return type([await last(hops)]);
    },
  };
}

test("a peer that begins anew gets in again", async () => {
  const { greet, prove } = deviceAt(await secureHost());
  for (let round = 0; round < 3; round++) expect(await prove(await greet())).toBe(RecordType.WELCOME);
});

test("whoever leaves does not take those along who are being asked behind the same device", async () => {
  const { dealer, greet, prove } = deviceAt(await secureHost());
  expect(await prove(await greet("one"), "one")).toBe(RecordType.WELCOME);
  const challenge = await greet("two");
  await dealer.send(["one", "", unauthenticatedBatch("bye")]);
  await pause(50);
  expect(await prove(challenge, "two")).toBe(RecordType.WELCOME);
});

test("a plain call on the same connection does not keep a peer from proving who it is", async () => {
  const host = await secureHost();
  const { dealer, greet, prove, answerOf } = deviceAt(host);
  const challenge = await greet();
  await dealer.send(["", ...question]);
  await dealer.receive();
  expect(await prove(challenge)).toBe(RecordType.WELCOME);
  host.curve.revoke(host.alice.publicKey);
  expect(await answerOf()).toBe(RecordType.REFUSE);
});

async function pullAt(keys: readonly string[]): Promise<{
  opened: OpenSocket;
  got: string[];
  events: string[];
  curve: ReturnType<typeof serverCurve>;
  serverKeys: CurveKeyPair;
}> {
  const serverKeys = makeKeyPair();
  const curve = serverCurve({ secretKey: serverKeys, allow: keys });
  const [got, events]: [string[], string[]] = [[], []];
  const opened = await openSocket(
    {
      kind: "pull",
      mode: "bind",
      parsed: parseAddress("tcp://127.0.0.1:*", "bind"),
      settings: toSettings({ ...quick, curve }),
      maxFrameBytes: 1_000,
      own: {},
    },
    {
      message: (frames) => void got.push(String(frames[0])),
      event: (type, code) => {
        if (["curve", "renewed"].includes(type)) events.push(`${type} ${code}`);
      },
    },
  );
  track({ close: () => opened.close(0) });
  return { opened, got, events, curve, serverKeys };
}

test("a socket that stays is renewed once or twice for many keys that are revoked at once", async () => {
  const [alice, ...others] = Array.from({ length: 20 }, () => makeKeyPair());
  const { opened, got, events, curve, serverKeys } = await pullAt([alice!, ...others].map((keys) => keys.publicKey));
  for (const { publicKey } of others) curve.revoke(publicKey);
  await pause(300);
  expect(events.filter((event) => event.startsWith("curve"))).toEqual([]);
  expect(events.length).toBeLessThanOrEqual(2);
  const push = raw(new Push({ ...curveOptions({ serverKeys }, alice!), reconnectInterval: 20 }));
  push.connect(opened.address);
  await push.send("hi");
  await pause(200);
  expect(got).toEqual(["hi"]);
});

test("closing waits for a renewal that is under way", async () => {
  const keys = makeKeyPair();
  const { opened, curve } = await pullAt([keys.publicKey]);
  curve.revoke(keys.publicKey);
  await new Promise((resolve) => setTimeout(resolve, 5));
  await opened.close(0);
  const again = raw(new Dealer());
  await again.bind(opened.address);
});

test("a plain client whose key is revoked the moment it comes in is not served", async () => {
  const host: SecureHost = await secureHost({
    allow: (key) => {
      setImmediate(() => host.curve.revoke(key));
      return "bob";
    },
  });
  const request = raw(
    new Request({ ...curveOptions(host, makeKeyPair()), reconnectInterval: -1, receiveTimeout: 500 }),
  );
  request.connect(host.address);
  await request.send(question);
  await request.receive().catch(() => undefined);
  expect(host.calls).toEqual([]);
});

test("a key that a function let in loses what it has when it comes to stand for somebody else", async () => {
  const host = await secureHost({ allow: () => ({ name: "root", roles: ["admin"] }) });
  const { client } = clientOf(host, host.alice);
  await client.echo({ text: "1" });
  host.curve.allow(host.alice.publicKey, { name: "guest", roles: [] });
  const again = (): Promise<unknown> => client.echo({ text: "2" }, { waitForReady: true });
  await again().catch(again);
  expect(host.calls.map(({ peer }) => peer.principal)).toEqual(["root", "guest"]);
});

test("a missing directory of certificates is named when a host opens", async () => {
  const curve = serverCurve({ secretKey: makeKeyPair(), allow: "/nowhere/clients" });
  const host = track(new ServiceHost({ binding: binding(zeromq({ curve })) }));
  const error = await failure(host.serve(Behavior, partial(Behavior, {})).open("tcp://127.0.0.1:*"));
  expect(error.message).toContain("/nowhere/clients");
});

test("a secret that is given for the name of a variable or file does not show", () => {
  const { secretKey } = makeKeyPair();
  for (const given of [{ env: secretKey }, { file: secretKey }]) {
    let message = "";
    try {
      readSecret(given, "x");
    } catch (error) {
      message = String(error);
    }
    expect(message).not.toBe("");
    expect(message).not.toContain(secretKey);
  }
});

test("of a file that has two bare keys nothing is shown", () => {
  const secret = `AB${makeKeyPair().secretKey.slice(2)}`;
  process.env["TWO_BARE_KEYS"] = `${secret} x\n${makeKeyPair().publicKey}\n`;
  expect(() => readSecret({ env: "TWO_BARE_KEYS" }, "x")).toThrow(/^(?!.*AB).*TWO_BARE_KEYS/);
});
