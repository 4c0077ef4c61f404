import { expect, test } from "@jest/globals";
import fc from "fast-check";
import { RpcError, ServiceHost, Status, binding, partial } from "@zerobind/core";
import type { OperationContext } from "@zerobind/core";
import { CallHeader } from "../src/gen/zerobind/v1/wire.pb.ts";
import { Flag, RecordType } from "../src/records.ts";
import { Behavior } from "./gen/test/v1/behavior.rpc.ts";
import { DirectTransport } from "./support/direct-transport.ts";
import type { DirectLink } from "./support/direct-transport.ts";
import { call, data, path } from "./support/hostile.ts";
import { batch, hello } from "./support/raw-peer.ts";
import type { RawRecord } from "./support/raw-peer.ts";
import { Referee } from "./support/referee.ts";

type Kind = "Echo" | "Count" | "Sum" | "Relay";

/** A call that the test has made. */
interface Made {
  readonly kind: Kind;
  readonly id: number;
  readonly link: DirectLink;
  /** The caller has said its end, a message, or that it gives the call up. */
  halfClosed: boolean;
  hasRequest: boolean;
  silent: boolean;
  /** END of the host, as codes. */
  ends: number[];
  recordsAfterEnd: number;
}

/** A handler that was entered. */
interface Entered {
  readonly number: number;
  readonly context: OperationContext;
  readonly finish: (error?: Error) => void;
}

/** A real host, whose clients are the test. */
class Real {
  readonly referees: Referee[] = [];
  readonly defects: unknown[] = [];
  readonly made: Made[] = [];
  readonly entered: Entered[] = [];
  readonly host: ServiceHost;
  readonly transport = new DirectTransport();
  link: DirectLink | undefined;
  tag = 0;

  constructor() {
    const enter = (context: OperationContext): Promise<void> =>
      new Promise((resolve, reject) => {
        const number = this.made.findIndex(({ id }) => String(id) === context.metadata.get("id"));
        this.entered.push({ number, context, finish: (error) => (error ? reject(error) : resolve()) });
      });
    const service = partial(Behavior, {
      async echo(_request, context) {
        await enter(context);
        return {};
      },
      async sum(requests, context) {
        const left = enter(context);
        left.catch(() => undefined);
        for await (const _request of requests);
        await left;
        return {};
      },
      async *count(_request, context) {
        yield {};
        await enter(context);
        yield {};
      },
      async *relay(requests, context) {
        const left = enter(context);
        left.catch(() => undefined);
        yield* requests;
        await left;
      },
    });
    this.host = new ServiceHost({
      binding: binding(Referee.over(this.transport.element, this.referees)),
      drainTimeoutMs: 60_000,
      onError: (error) => this.defects.push(error),
    }).serve(Behavior, service);
  }

  async greet(): Promise<void> {
    if (!this.link || this.link.closed) this.link = this.transport.connect();
    this.link.receive(batch(0, hello()));
    await this.settle();
  }

  say(link: DirectLink, ...records: RawRecord[]): void {
    link.receive(batch(this.tag, ...records));
  }

  async settle(): Promise<void> {
    for (let turn = 0; turn < 4; turn++) await new Promise(setImmediate);
    for (const { type, callId, aux, tag } of this.link?.take() ?? []) {
      if (type === RecordType.WELCOME) this.tag = tag;
      const made = this.made.findLast(({ id, link }) => id === callId && link === this.link);
      if (!made || callId === 0) continue;
      if (made.ends.length > 0 || made.silent) made.recordsAfterEnd += 1;
      if (type === RecordType.END) made.ends.push(aux);
    }
  }
}

type Act = (real: Real, made: Made, handlers: Entered[]) => void | Promise<void>;

let nextId = 1;

function makes(real: Real, kind: Kind): void {
  const { link } = real;
  if (!link || link.closed || real.tag === 0) return;
  const id = (nextId += 2);
  const streams = kind === "Sum" || kind === "Relay";
  real.made.push({
    kind,
    id,
    link,
    halfClosed: !streams,
    hasRequest: !streams,
    silent: false,
    ends: [],
    recordsAfterEnd: 0,
  });
  real.say(link, call(id, path(kind), { ...(streams ? { flags: 0 } : {}), ...identified(kind, id) }));
}

/** The meta that tells a handler which call it has been entered for. */
function identified(kind: Kind, id: number): Pick<RawRecord, "meta"> {
  const metadata = [{ key: "id", value: { $case: "text" as const, value: String(id) } }];
  return { meta: CallHeader.encode(CallHeader.fromPartial({ path: path(kind), metadata })).finish() };
}

const silence = (real: Real): void => {
  for (const made of real.made) if (made.link === real.link && made.ends.length === 0) made.silent = true;
};

const acts: Record<string, Act> = {
  greets: (real) => (real.link && !real.link.closed ? undefined : real.greet()),
  "greets again": async (real) => {
    silence(real);
    await real.greet();
  },
  "makes an echo": (real) => makes(real, "Echo"),
  "makes a count": (real) => makes(real, "Count"),
  "makes a sum": (real) => makes(real, "Sum"),
  "makes a relay": (real) => makes(real, "Relay"),
  "sends a request": (real, { id, link }) => real.say(link, data(id)),
  "ends its requests"(real, made) {
    made.halfClosed = true;
    real.say(made.link, data(made.id, Flag.END));
  },
  "grants credit": (real, { id, link }) =>
    real.say(link, { type: RecordType.CREDIT, callId: id, aux: 50, meta: new Uint8Array(4) }),
  async cancels(real, made) {
    await real.settle();
    if (made.ends.length === 0) made.silent = true;
    real.say(made.link, { type: RecordType.CANCEL, callId: made.id, aux: 1 });
  },
  "has its handler finish": (_real, _made, handlers) => handlers.forEach(({ finish }) => finish()),
  "has its handler fail": (_real, _made, handlers) =>
    handlers.forEach(({ finish }) => finish(new RpcError(Status.ABORTED, "no"))),
  "sends what is malformed"(real) {
    if (!real.link || real.link.closed) return;
    silence(real);
    real.say(real.link, { type: 200 });
    real.tag = 0;
  },
  "is lost"(real) {
    silence(real);
    real.link?.lose();
    real.tag = 0;
  },
};

class Command implements fc.AsyncCommand<object, Real> {
  readonly name: string;
  readonly pick: number;

  constructor(name: string, pick: number) {
    this.name = name;
    this.pick = pick;
  }

  check(): boolean {
    return true;
  }

  async run(_model: object, real: Real): Promise<void> {
    const number = real.made.length > 0 ? this.pick % real.made.length : 0;
    const needsCall = !/^(greets|makes|is lost|sends what)/.test(this.name);
    if (needsCall && real.made.length === 0) return;
    const handlers = real.entered.filter((entered) => entered.number === number);
    await acts[this.name]!(real, real.made[number]!, handlers);
    await real.settle();
    check(real);
  }

  toString(): string {
    return `${this.name}(${this.pick})`;
  }
}

/** What must be so at any time. */
function check(real: Real): void {
  for (const [number, made] of real.made.entries()) {
    const handlers = real.entered.filter((entered) => entered.number === number);
    expect(handlers.length).toBeLessThanOrEqual(1);
    expect(made.ends.length).toBeLessThanOrEqual(1);
    expect(made.recordsAfterEnd).toBe(0);
    // A handler whose caller has gone is told.
    if (made.silent) for (const { context } of handlers) expect(context.signal.aborted).toBe(true);
  }
  expect(real.referees.flatMap(({ faults }) => faults)).toEqual([]);
  expect(real.defects.filter((error) => !(error instanceof RpcError))).toEqual([]);
}

test("any sequence of events leaves each call of a host with one answer at most, one handler and nothing behind", async () => {
  const answered = { OK: 0, other: 0, silent: 0 };
  const command = fc
    .tuple(fc.constantFrom(...Object.keys(acts)), fc.nat(20))
    .map(([name, pick]) => new Command(name, pick));
  await fc.assert(
    fc.asyncProperty(fc.commands([command], { maxCommands: 40, size: "+1" }), async (commands) => {
      let real!: Real;
      const setup = async () => {
        real = new Real();
        await real.host.open("direct://host");
        await real.greet();
        return { model: {}, real };
      };
      await fc.asyncModelRun(setup, commands);
      // All callers say their end and all handlers finish: then every call that was not given up has its answer.
      for (const { id, link, halfClosed } of real.made) if (!halfClosed) real.say(link, data(id, Flag.END));
      await real.settle();
      for (const { finish } of real.entered) finish();
      await real.settle();
      check(real);
      for (const { ends, silent } of real.made) {
        expect(ends.length).toBe(silent ? 0 : 1);
        answered[silent ? "silent" : ends[0] === 0 ? "OK" : "other"] += 1;
      }
      real.link?.lose();
      expect(await real.host.close()).toMatchObject({ kind: "closed" });
    }),
    { numRuns: 200 },
  );
  // The sequences reach all that they are to test.
  for (const count of Object.values(answered)) expect(count).toBeGreaterThan(20);
}, 60_000);
