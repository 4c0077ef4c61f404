import { describe, expect, test } from "@jest/globals";
import { Channel, ServiceHost, Status, binding, memory } from "@zerobind/core";
import type { OperationContext } from "@zerobind/core";
import { operation, service, throttle } from "@zerobind/core/decorators";
import { Worker } from "./gen/test/v1/callback.rpc.ts";
import { failureOf } from "./support/failure.ts";

const stack = binding(memory());

@service(Worker, { instancing: "session" })
class Base {
  calls = 0;

  @operation("Work")
  toil({ sequence }: { sequence: number }) {
    return { sequence: sequence + ++this.calls };
  }

  @throttle({ maxConcurrentCalls: 1, maxQueuedCalls: 0 })
  async read({ count }: { count: number }, context: OperationContext) {
    await new Promise((resolve) => context.signal.addEventListener("abort", resolve));
    return { count };
  }

  hint({ sequence }: { sequence: number }) {
    return { sequence };
  }

  wait() {
    return {};
  }
}

class Derived extends Base {
  // Says nothing of itself, and so is what it was: the method Work.
  override toil({ sequence }: { sequence: number }) {
    return { sequence: sequence * 10 };
  }

  override async read({ count }: { count: number }) {
    return { count: count + 1 };
  }
}

async function serve(register: (host: ServiceHost) => void) {
  const host = new ServiceHost({ binding: stack });
  register(host);
  await host.open("memory://*");
  const channel = new Channel(host.address, { binding: stack });
  const client = channel.client(Worker);
  return {
    client,
    async [Symbol.asyncDispose]() {
      channel.abort();
      await host.close();
    },
  };
}

describe("decorated classes", () => {
  test("bring contract, names, instancing and throttles along", async () => {
    await using pair = await serve((host) => host.serve(Base));
    expect(await pair.client.work({ sequence: 1 })).toEqual({ sequence: 2 });
    expect(await pair.client.work({ sequence: 1 })).toEqual({ sequence: 3 });
    const controller = new AbortController();
    const first = failureOf(pair.client.read({}, { signal: controller.signal }));
    expect((await failureOf(pair.client.read({}))).code).toBe(Status.RESOURCE_EXHAUSTED);
    controller.abort();
    await first;
  });

  test("are inherited, methods that say nothing new included", async () => {
    await using pair = await serve((host) => host.serve(Derived));
    expect(await pair.client.work({ sequence: 5 })).toEqual({ sequence: 50 });
    expect(await Promise.all([pair.client.read({ count: 1 }), pair.client.hint({ sequence: 4 })])).toEqual([
      { count: 2, total: 0n },
      { sequence: 4 },
    ]);
  });

  test("options of serve go before those of the class, and instances may be served as they are", async () => {
    await using single = await serve((host) => host.serve(Base, { instancing: "single" }));
    await single.client.work({});
    expect(await single.client.work({ sequence: 0 })).toEqual({ sequence: 2 });
    await using instance = await serve((host) => host.serve(Worker, new Base() as never));
    expect(await instance.client.work({ sequence: 1 })).toEqual({ sequence: 2 });
  });

  test("work with experimentalDecorators, too", async () => {
    class Old {
      labour() {
        return { sequence: 77 };
      }

      read() {
        return {};
      }

      hint() {
        return {};
      }

      wait() {
        return {};
      }
    }
    operation({ name: "work" })(Old.prototype, "labour", Object.getOwnPropertyDescriptor(Old.prototype, "labour"));
    service(Worker)(Old);
    await using pair = await serve((host) => host.serve(Old));
    expect(await pair.client.work({})).toEqual({ sequence: 77 });
  });

  test("that name what is not there are refused", () => {
    @service(Worker)
    class Wrong {
      @operation("Wrok")
      work() {
        return {};
      }
    }
    expect(() => new ServiceHost({ binding: stack }).serve(Wrong)).toThrow(
      "Wrong.work: test.v1.Worker has no method Wrok; it has work, read, hint, wait",
    );
    expect(() => operation()({}, "field", { value: 5 })).toThrow("for methods");
  });
});
