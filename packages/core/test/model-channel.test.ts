import { expect, test } from "@jest/globals";
import fc from "fast-check";
import { Channel, PushStream, RpcError, Status, binding } from "@zerobind/core";
import { CallHeader } from "../src/gen/zerobind/v1/wire.pb.ts";
import { Flag, RecordType } from "../src/records.ts";
import { Behavior } from "./gen/test/v1/behavior.rpc.ts";
import type { BehaviorClient } from "./gen/test/v1/behavior.rpc.ts";
import { DirectTransport } from "./support/direct-transport.ts";
import type { DirectLink } from "./support/direct-transport.ts";
import { data, unary } from "./support/hostile.ts";
import { collect } from "./support/pair.ts";
import { batch, welcome } from "./support/raw-peer.ts";
import type { RawRecord } from "./support/raw-peer.ts";
import { Referee } from "./support/referee.ts";

type Kind = "echo" | "count" | "sum" | "relay";

/** What must be so of each call, by number. */
interface Model {
  readonly calls: { readonly kind: Kind; over: boolean; sent: boolean; replied: boolean }[];
  connected: boolean;
}

/** A real channel, whose server is the test. */
class Real {
  readonly referees: Referee[] = [];
  readonly troubles: string[] = [];
  readonly transport = new DirectTransport();
  readonly channel = new Channel("direct://server", {
    binding: binding(Referee.over(this.transport.element, this.referees)),
    drainTimeoutMs: 60_000,
    connectTimeoutMs: 60_000,
    onTrouble: (trouble) => this.troubles.push(trouble),
  });
  readonly client: BehaviorClient = this.channel.client(Behavior);
  readonly calls: { controller: AbortController; source: PushStream<object>; endings: unknown[]; id: number }[] = [];
  link: DirectLink | undefined;

  say(...records: RawRecord[]): void {
    this.link?.receive(batch(77, ...records));
  }

  start(kind: Kind): void {
    const [controller, source, number] = [new AbortController(), new PushStream<object>(), this.calls.length];
    const options = { signal: controller.signal, metadata: { number: String(number) } };
    const { client } = this;
    const outcomes = {
      echo: () => client.echo({}, options),
      sum: () => client.sum(source, options),
      count: () => collect(client.count({}, options)),
      relay: () => collect(client.relay(source, options)),
    };
    const call = { controller, source, endings: [] as unknown[], id: 0 };
    this.calls.push(call);
    outcomes[kind]().then(
      () => call.endings.push("OK"),
      (error: unknown) => call.endings.push(error),
    );
  }

  /** Lets everything happen that is to happen, and learns the ids that calls have got. */
  async settle(): Promise<void> {
    for (let turn = 0; turn < 4; turn++) await new Promise(setImmediate);
    for (const { type, callId, meta } of this.link?.take() ?? []) {
      if (type !== RecordType.CALL) continue;
      const number = CallHeader.decode(meta).metadata.find(({ key }) => key === "number")?.value?.value;
      this.calls[Number(number)]!.id = callId;
    }
  }
}

/** The id of a call; of one that was never sent, an id that no call has. */
function idOf({ calls }: Real, index: number): number {
  return calls[index]!.id || 0xfffffffe;
}

type Act = (model: Model, real: Real, index: number) => void;

const closeAll = (model: Model, real: Real): void => {
  for (const [index, call] of model.calls.entries()) {
    if (!call.sent || call.over) continue;
    call.over = true;
    expect(real.calls[index]!.id).not.toBe(0);
  }
  model.connected = false;
};

/** Ends a call that the server knows; for another it is late or unknown. */
function endsIf(model: Model, index: number): void {
  const call = model.calls[index]!;
  if (call.sent) call.over = true;
}

const acts: Record<string, Act> = {
  connects(model, real) {
    if (model.connected) return;
    real.link?.lose();
    real.link = real.transport.connect();
    real.say(welcome());
    model.connected = true;
  },
  "starts an echo": (model, real) => starts(model, real, "echo"),
  "starts a count": (model, real) => starts(model, real, "count"),
  "starts a sum": (model, real) => starts(model, real, "sum"),
  "starts a relay": (model, real) => starts(model, real, "relay"),
  "is answered"(model, real, index) {
    const { kind, replied } = model.calls[index]!;
    const hasOne = (kind === "echo" || kind === "sum") && !replied;
    real.say({ type: RecordType.END, flags: hasOne ? unary : Flag.END, callId: idOf(real, index) });
    endsIf(model, index);
  },
  "is answered with an error"(model, real, index) {
    real.say({ type: RecordType.END, flags: Flag.END, callId: idOf(real, index), aux: Status.ABORTED });
    endsIf(model, index);
  },
  "gets a message"(model, real, index) {
    const call = model.calls[index]!;
    real.say(data(idOf(real, index)));
    if (!call.sent || call.over) return;
    // A second reply where there is one is a fault.
    if (call.replied && (call.kind === "echo" || call.kind === "sum")) call.over = true;
    call.replied = true;
  },
  "gets a message that is none"(model, real, index) {
    real.say(data(idOf(real, index), Flag.MESSAGE, Uint8Array.of(255)));
    endsIf(model, index);
  },
  "gets credit": (_model, real, index) =>
    real.say({ type: RecordType.CREDIT, callId: idOf(real, index), aux: 100, meta: new Uint8Array(4) }),
  "is refused"(model, real, index) {
    real.say({ type: RecordType.REFUSE, callId: idOf(real, index), aux: Status.RESOURCE_EXHAUSTED });
    endsIf(model, index);
  },
  "is cancelled"(model, real, index) {
    real.calls[index]!.controller.abort();
    model.calls[index]!.over = true;
  },
  "pushes a request": (_model, real, index) => void real.calls[index]!.source.push({}).catch(() => undefined),
  "ends its requests": (_model, real, index) => real.calls[index]!.source.end(),
  "fails in its requests"(model, real, index) {
    const { kind, sent } = model.calls[index]!;
    const { source } = real.calls[index]!;
    source.fail(new RpcError(Status.ABORTED, "no more"));
    if (sent && (kind === "sum" || kind === "relay") && !sourceOver.has(source)) model.calls[index]!.over = true;
    sourceOver.add(source);
  },
  "loses its connection"(model, real) {
    real.link?.lose();
    closeAll(model, real);
  },
  "gets a malformed record"(model, real) {
    if (!model.connected) return;
    real.say({ type: 200 });
    closeAll(model, real);
  },
  "is asked to go away"(model, real) {
    if (!model.connected) return;
    real.say({ type: RecordType.GOAWAY });
    // Without a call the session is over; with one it goes on with that.
    if (!model.calls.some(({ sent, over }) => sent && !over)) model.connected = false;
    else {
      real.link!.lose();
      closeAll(model, real);
    }
  },
};

/** Sources that have ended by themselves: to fail then is nothing new. */
const sourceOver = new WeakSet<object>();

function starts(model: Model, real: Real, kind: Kind): void {
  model.calls.push({ kind, over: false, sent: false, replied: false });
  real.start(kind);
}

class Command implements fc.AsyncCommand<Model, Real> {
  readonly name: string;
  readonly pick: number;

  constructor(name: string, pick: number) {
    this.name = name;
    this.pick = pick;
  }

  check({ calls }: Readonly<Model>): boolean {
    return calls.length > 0 || this.name === "connects" || this.name.startsWith("starts");
  }

  async run(model: Model, real: Real): Promise<void> {
    const index = model.calls.length > 0 ? this.pick % model.calls.length : 0;
    if (this.name === "ends its requests" && real.calls[index]) sourceOver.add(real.calls[index].source);
    acts[this.name]!(model, real, index);
    await real.settle();
    for (const call of model.calls) if (model.connected) call.sent = true;
    await real.settle();
    // Of a source that failed before its call was sent, the call hears when it is sent.
    for (const [number, call] of model.calls.entries()) {
      const { endings } = real.calls[number]!;
      const isEarlyFailure = sourceOver.has(real.calls[number]!.source) && endings.length === 1;
      if (isEarlyFailure && (call.kind === "sum" || call.kind === "relay")) call.over = true;
      expect([number, call.kind, endings.length]).toEqual([number, call.kind, call.over ? 1 : 0]);
    }
    expect(real.referees.flatMap(({ faults }) => faults)).toEqual([]);
  }

  toString(): string {
    return `${this.name}(${this.pick})`;
  }
}

test("any sequence of events leaves each call of a channel with one ending and nothing behind", async () => {
  const command = fc
    .tuple(fc.constantFrom(...Object.keys(acts)), fc.nat(20))
    .map(([name, pick]) => new Command(name, pick));
  await fc.assert(
    fc.asyncProperty(fc.commands([command], { maxCommands: 40, size: "+1" }), async (commands) => {
      let real!: Real;
      const setup = async () => {
        real = new Real();
        await real.channel.open();
        return { model: { calls: [], connected: false }, real };
      };
      await fc.asyncModelRun(setup, commands);
      // What is open still is ended; then nothing may hold up a close.
      for (const { controller } of real.calls) controller.abort();
      await real.settle();
      for (const { endings } of real.calls) expect(endings).toHaveLength(1);
      expect(await real.channel.close()).toMatchObject({ kind: "closed" });
      expect(real.troubles.filter((trouble) => trouble.includes("internal error"))).toEqual([]);
      expect(real.referees.flatMap(({ faults }) => faults)).toEqual([]);
    }),
    { numRuns: 200 },
  );
}, 60_000);
