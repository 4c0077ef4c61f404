import { expect, test } from "@jest/globals";
import { Channel, Status, binding } from "@zerobind/core";
import { curveClient, makeKeyPair, plainWorkers, serverCurve, zeromq } from "@zerobind/zeromq";
import type { CurveKeyPair } from "@zerobind/zeromq";
import { Reply, Router } from "zeromq";
import { failure, quick, secureHost } from "./curve-support.ts";
import { answerEcho, unary } from "./plain-support.ts";
import { pythonPeer, withPython } from "./python.ts";
import { pause, raw, track } from "./support.ts";

/** Answers like Echo, for as long as the socket is open. */
async function answer(socket: Reply): Promise<void> {
  try {
    for await (const frames of socket) await socket.send(answerEcho(frames) as Buffer[]);
  } catch {
    // It was closed.
  }
}

test("a REP that binds with CURVE is called by whoever has its key", async () => {
  const [server, client] = [makeKeyPair(), makeKeyPair()];
  const zap = raw(new Router());
  await zap.bind("inproc://zeromq.zap.01");
  void (async () => {
    for await (const [route, , , id] of zap) await zap.send([route!, "", "1.0", id!, "200", "", "", ""]);
  })().catch(() => undefined);
  const rep = raw(new Reply({ curveServer: true, curveSecretKey: server.secretKey }));
  await rep.bind("tcp://127.0.0.1:*");
  void answer(rep);
  const clientOf = (serverKey: string): Channel => {
    const curve = curveClient({ serverKey, keyPair: client });
    const stack = binding(zeromq({ ...quick, profile: "plain", curve }));
    return track(new Channel(rep.lastEndpoint!, { binding: stack }));
  };
  expect((await clientOf(server.publicKey).client(unary).echo({ text: "hi" })).text).toBe("HI");
  const wrong = await failure(
    clientOf(makeKeyPair().publicKey).client(unary).echo({ text: "hi" }, { timeoutMs: 5_000 }),
  );
  expect(wrong.code).toBe(Status.UNAUTHENTICATED);
});

test.each(["tcp://127.0.0.1:*", "ipc://*"])("REP workers at %s come in with an allowed key only", async (address) => {
  const [server, worker, stranger] = [makeKeyPair(), makeKeyPair(), makeKeyPair()];
  const curve = serverCurve({ secretKey: server, allow: [worker.publicKey] });
  const channel = track(new Channel(address, { attach: "bind", binding: binding(plainWorkers({ ...quick, curve })) }));
  await channel.open();
  const connected = (keys: CurveKeyPair): Reply => {
    const options = {
      curveServerKey: server.publicKey,
      curvePublicKey: keys.publicKey,
      curveSecretKey: keys.secretKey,
    };
    const socket = raw(new Reply({ ...options, reconnectInterval: 50 }));
    socket.connect(channel.address);
    void answer(socket);
    return socket;
  };
  connected(stranger);
  raw(new Reply()).connect(channel.address);
  await pause(300);
  const echo = (text: string): Promise<{ text: string }> =>
    channel.client(unary).echo({ text }, { waitForReady: true, timeoutMs: 5_000 });
  const early = echo("early");
  connected(worker);
  expect((await early).text).toBe("EARLY");
  curve.revoke(worker.publicKey);
  expect((await failure(channel.client(unary).echo({ text: "late" }, { timeoutMs: 500 }))).code).not.toBe(Status.OK);
  curve.allow(worker.publicKey);
  connected(worker);
  expect((await echo("again")).text).toBe("AGAIN");
});

withPython("a client in Python with a certificate of its own making is let in, and one without is not", async () => {
  const host = await secureHost();
  const script = (keys: string): string => `
request = context.socket(zmq.REQ)
request.linger = 0
request.rcvtimeo = 1000
${keys}
request.connect("${host.address}")
request.send_multipart([b"test.v1.Behavior/Echo", b"\\n\\x02hi"])
try:
    say(request.recv_multipart()[1])
except zmq.Again:
    say("nothing")
`;
  const known = `
public, secret = zmq.curve_keypair()
say(public.decode())
time.sleep(0.3)
request.curve_publickey, request.curve_secretkey = public, secret
request.curve_serverkey = b${JSON.stringify(host.serverKeys.publicKey)}
`;
  const python = pythonPeer(script(known));
  host.curve.allow(await python.line());
  expect(await python.line()).toBe(String.raw`b'\n\x02hi'`);
  expect(await pythonPeer(script("")).line()).toBe("nothing");
  expect(host.calls).toHaveLength(1);
});
