import { describe, expect, test } from "@jest/globals";
import { Channel, ServiceHost } from "@zerobind/core";
import type { CloseReason, Lifecycle } from "@zerobind/core";
import { Behavior } from "./gen/test/v1/behavior.rpc.ts";
import { BehaviorService } from "./support/behavior-handler.ts";
import { under } from "./support/hostile.ts";
import { byName, stateTable } from "./support/state-table.ts";

/** Something that opens and closes, with a call under way, so that closing takes time. */
interface Subject {
  readonly it: Lifecycle;
  open(): Promise<unknown>;
  /** Makes a call that is under way; its end is not waited for. */
  busy(): Promise<void>;
  release(): Promise<unknown>;
}

async function channelSubject(): Promise<Subject> {
  const service = new BehaviorService();
  const host = new ServiceHost({ binding: under.binding }).serve(Behavior, service);
  await host.open("memory://*");
  const it = new Channel(host.address, { binding: under.binding });
  return {
    it,
    open: () => it.open(),
    async busy() {
      const started = service.next("started");
      it.client(Behavior)
        .echo({ delayMs: 60_000 })
        .catch(() => undefined);
      await started;
    },
    release() {
      it.abort();
      host.abort();
      return Promise.all([it.closed, host.closed]);
    },
  };
}

function hostSubject(): Promise<Subject> {
  const service = new BehaviorService();
  const it = new ServiceHost({ binding: under.binding }).serve(Behavior, service);
  let channel: Channel | undefined;
  return Promise.resolve({
    it,
    open: () => it.open("memory://*"),
    async busy() {
      channel = new Channel(it.address, { binding: under.binding });
      const started = service.next("started");
      channel
        .client(Behavior)
        .echo({ delayMs: 60_000 })
        .catch(() => undefined);
      await started;
    },
    release() {
      channel?.abort();
      it.abort();
      return Promise.all([it.closed, channel?.closed]);
    },
  });
}

const settling: Record<string, (subject: Subject) => Promise<void>> = {
  created: () => Promise.resolve(),
  opening: (subject) => {
    subject.open().catch(() => undefined);
    return Promise.resolve();
  },
  async open(subject) {
    await subject.open();
  },
  async closing(subject) {
    await subject.open();
    await subject.busy();
    void subject.it.close();
  },
  async closed(subject) {
    await subject.open();
    await subject.it.close();
  },
};

const cells = stateTable("lifecycle");
const acts = byName(
  cells.map(({ event }) => event),
  {
    open: (subject: Subject) => subject.open(),
    close: ({ it }: Subject) => it.close(),
    abort({ it }: Subject) {
      it.abort();
      return Promise.resolve();
    },
    dispose: ({ it }: Subject) => it[Symbol.asyncDispose](),
  },
);

describe.each([
  ["a channel", channelSubject],
  ["a host", hostSubject],
])("the life of %s", (_name, make) => {
  test.each(cells)("$state: $event: $expected", async ({ state, event, expected }) => {
    const subject = await make();
    const { it } = subject;
    await settling[state]!(subject);
    expect(it.state).toBe(state);
    const acted = acts.get(event)!(subject).then(
      () => "done",
      () => "rejected",
    );
    if (expected === "rejects") expect(await acted).toBe("rejected");
    else if (expected === "open") {
      expect(await acted).toBe("done");
      expect(it.state).toBe("open");
    } else {
      // The call under way would hold up a graceful end.
      if (state === "closing" && event !== "abort") it.abort();
      const { kind } = await it.closed;
      const first: CloseReason["kind"] = "closed";
      expect(kind).toBe(expected === "the first reason" ? first : expected);
      expect(await acted).toBe("done");
      expect(it.state).toBe("closed");
      expect(it.closeReason?.kind).toBe(kind);
    }
    await subject.release();
  });
});

test("a host that cannot be opened closes with what went wrong", async () => {
  await using first = new ServiceHost({ binding: under.binding }).serve(Behavior, new BehaviorService());
  await first.open("memory://taken");
  const second = new ServiceHost({ binding: under.binding }).serve(Behavior, new BehaviorService());
  await expect(second.open("memory://taken")).rejects.toThrow("in use");
  expect(await second.closed).toMatchObject({ kind: "failed", error: expect.anything() });
});
