import { expect, jest, test } from "@jest/globals";
import { Channel, ServiceHost, binding, partial, plainJobs, plainResults } from "@zerobind/core";
import { pushPull } from "@zerobind/zeromq";
import type { PushPullOptions } from "@zerobind/zeromq";
import { Pull, Push } from "zeromq";
import { ResizeJob, ResizeResult } from "../../core/test/gen/test/v1/patterns.pb.ts";
import { Imaging } from "../../core/test/gen/test/v1/patterns.rpc.ts";
import { patterns, pythonPeer, withMessages } from "./python.ts";
import type { PythonPeer } from "./python.ts";
import { pause, raw, track } from "./support.ts";

const stack = (options: PushPullOptions = {}) =>
  binding(pushPull({ reconnectMinMs: 20, reconnectMaxMs: 100, ...options }));
const range = (count: number): number[] => Array.from({ length: count }, (_, index) => index);
const anywhere = "tcp://127.0.0.1:*";

async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await pause(5);
}

/** Where jobs come from and results go to, both bound. */
async function ends(options: PushPullOptions = {}) {
  const results: ResizeResult[] = [];
  const troubles: string[] = [];
  const sink = track(new ServiceHost({ binding: stack(options), onTrouble: (text) => troubles.push(text) }));
  sink.serve(plainResults(Imaging), partial(plainResults(Imaging), { resize: (result) => void results.push(result) }));
  await sink.open(anywhere);
  const ventilator = track(new Channel(anywhere, { binding: stack(options), attach: "bind" }));
  await ventilator.open();
  return { results, troubles, sink, ventilator, jobs: ventilator.client(plainJobs(Imaging)) };
}

/** A worker that knows ZeroMQ and protobuf and nothing else. It has connected when it says so. */
async function pythonWorker(name: string, from: string, to: string): Promise<PythonPeer> {
  const peer = pythonPeer(`${patterns}
pull, push = context.socket(zmq.PULL), context.socket(zmq.PUSH)
pull.rcvhwm = push.sndhwm = 1
monitor = pull.get_monitor_socket(zmq.EVENT_HANDSHAKE_SUCCEEDED)
pull.connect("${from}")
push.connect("${to}")
monitor.recv_multipart()
say("ready")
while True:
    method, body = pull.recv_multipart()
    job = pb.ResizeJob.FromString(body)
    time.sleep(job.work_ms / 1000)
    result = pb.ResizeResult(id=job.id, pixels=job.width * job.height, worker="${name}")
    push.send_multipart([method, result.SerializeToString()])
`);
  expect(await peer.line()).toBe("ready");
  return peer;
}

withMessages("workers in Python share jobs and send results", async () => {
  const { results, troubles, sink, ventilator, jobs } = await ends({ highWaterMark: 1 });
  await Promise.all(["one", "two"].map((name) => pythonWorker(name, ventilator.address, sink.address)));
  for (const id of range(200)) await jobs.resize({ id, width: id, height: 2, workMs: 1 }, { waitForReady: true });
  await until(() => results.length === 200);
  results.sort((left, right) => left.id - right.id);
  expect(results.map(({ id, pixels }) => [id, pixels])).toEqual(range(200).map((id) => [id, BigInt(id * 2)]));
  expect(new Set(results.map(({ worker }) => worker))).toEqual(new Set(["one", "two"]));
  expect(troubles).toEqual([]);
});

withMessages("what a killed worker had is lost, and the others go on", async () => {
  const { results, sink, ventilator, jobs } = await ends({ highWaterMark: 1 });
  const [killed] = await Promise.all(
    ["killed", "stays"].map((name) => pythonWorker(name, ventilator.address, sink.address)),
  );
  const count = 100;
  for (const id of range(count)) await jobs.resize({ id, workMs: 5 }, { waitForReady: true });
  await until(() => results.some(({ worker }) => worker === "killed"));
  await killed!.close();
  // What is sent before its end has been noticed may be lost, too.
  let id = count;
  while (!results.some((result) => result.id >= count + 10)) {
    await jobs.resize({ id: id++ }, { waitForReady: true });
    await pause(5);
  }
  expect(new Set(results.map((result) => result.id)).size).toBe(results.length);
  expect(results.filter((result) => result.id < count).length).toBeLessThan(count);
});

// How much one worker hoards depends on buffers of the system, which now and then takes much more at once.
jest.retryTimes(2);

/** Small jobs that a worker has that takes none, of 400, while another one does all others. */
async function hoarded(options: PushPullOptions): Promise<number> {
  const { results, sink, ventilator, jobs } = await ends(options);
  const hoarder = raw(new Pull({ receiveHighWaterMark: 1 }));
  hoarder.connect(ventilator.address);
  const out = track(new Channel(sink.address, { binding: stack() })).client(plainResults(Imaging));
  const worker = track(new ServiceHost({ binding: stack({ ...options, maxRunningCalls: 1 }) }));
  worker.serve(
    plainJobs(Imaging),
    partial(plainJobs(Imaging), { resize: ({ id }) => out.resize({ id }, { waitForReady: true }) }),
  );
  await worker.open({ address: ventilator.address, attach: "connect" });
  const pixels = new Uint8Array(1_000);
  const count = 400;
  for (const id of range(count)) await jobs.resize({ id, pixels }, { waitForReady: true });
  // The last ones may be hoarded, too.
  let sent = count;
  while (!results.some(({ id }) => id >= count - 1)) {
    await jobs.resize({ id: sent++, pixels }, { waitForReady: true });
    await pause(5);
  }
  let before = -1;
  while (before !== results.length) {
    before = results.length;
    await pause(100);
  }
  return sent - results.length;
}

test("a small high-water mark and small buffers limit what one worker hoards", async () => {
  const hoard = await hoarded({ highWaterMark: 1, bufferBytes: 16_384 });
  expect(hoard).toBeGreaterThan(0);
  // Half of all where nothing limits it.
  expect(hoard).toBeLessThan(150);
}, 60_000);

test("a typed worker between bare sockets", async () => {
  const [push, pull] = [raw(new Push()), raw(new Pull())];
  await Promise.all([push.bind(anywhere), pull.bind(anywhere)]);
  const results = track(new Channel(pull.lastEndpoint!, { binding: stack() })).client(plainResults(Imaging));
  const errors: string[] = [];
  const worker = track(new ServiceHost({ binding: stack(), onError: (error) => errors.push(String(error)) }));
  worker.serve(
    plainJobs(Imaging),
    partial(plainJobs(Imaging), {
      async resize({ id, width, height }) {
        if (id === 1) throw new Error("one");
        await results.resize({ id, pixels: BigInt(width * height), worker: "typed" });
      },
    }),
  );
  await worker.open({ address: push.lastEndpoint!, attach: "connect" });
  const method = "test.v1.Imaging/Resize";
  const send = (id: number) =>
    push.send([method, ResizeJob.encode(ResizeJob.fromPartial({ id, width: 3, height: 4 })).finish()]);
  for (const id of range(3)) await send(id);
  const received: [string, ResizeResult][] = [];
  for (let count = 0; count < 2; count++) {
    const frames = await pull.receive();
    expect(frames).toHaveLength(2);
    received.push([frames[0]!.toString(), ResizeResult.decode(frames[1]!)]);
  }
  expect(received).toEqual([0, 2].map((id) => [method, { id, pixels: 12n, worker: "typed" }]));
  expect(errors).toEqual(["Error: one"]);
});
