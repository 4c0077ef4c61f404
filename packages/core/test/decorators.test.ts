import { describe, expect, test } from "@jest/globals";
import { Channel, RpcError, ServiceHost, Status, binding, memory, partial } from "@zerobind/core";
import type { OperationContext, ServeOptions } from "@zerobind/core";
import { authorize, operation, service, throttle } from "@zerobind/core/decorators";
import { Observer, Worker } from "./gen/test/v1/callback.rpc.ts";
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

  test.each<[string, (host: ServiceHost) => void]>([
    ["a class", (host) => host.serve(Worker, Base as never)],
    ["an object of it", (host) => host.serve(Worker, new Base() as never)],
    [
      "a class and options for another method",
      (host) => host.serve(Base, { methods: { hint: { serialize: "session" } } }),
    ],
    [
      "a class and options that say nothing",
      (host) => host.serve(Base, { methods: { read: { throttle: undefined } } }),
    ],
    [
      "a class and options that are undefined",
      (host) => host.serve(Base, { instancing: undefined, methods: undefined }),
    ],
  ])("keep their throttles where they are served as %s", async (_how, register) => {
    await using pair = await serve((host) => register(host));
    const controller = new AbortController();
    const first = failureOf(pair.client.read({}, { signal: controller.signal }));
    expect((await failureOf(pair.client.read({}))).code).toBe(Status.RESOURCE_EXHAUSTED);
    controller.abort();
    await first;
  });

  test("keep their instancing where they are served with the contract, unless it is said otherwise", async () => {
    const answers = async (options?: ServeOptions) => {
      await using pair = await serve((host) => host.serve(Worker, Base as never, options));
      const work = async () => (await pair.client.work({ sequence: 0 })).sequence;
      return [await work(), await work()];
    };
    expect(await answers()).toEqual([1, 2]);
    expect(await answers({ instancing: "call" })).toEqual([1, 1]);
  });

  test("say nothing where they are served for another contract", () => {
    const other = { ...Worker, typeName: "test.v2.Worker" };
    const toil = "the handler of test.v2.Worker has no method work";
    expect(() => new ServiceHost({ binding: stack }).serve(other, Base as never)).toThrow(toil);
  });

  test("may give a method of the contract to another of their own than the class that they extend", async () => {
    class Renamed extends Base {
      @operation("Work")
      labour({ sequence }: { sequence: number }) {
        return { sequence: sequence * 100 };
      }
    }
    await using pair = await serve((host) => host.serve(Renamed));
    expect(await pair.client.work({ sequence: 2 })).toEqual({ sequence: 200 });
  });

  test("bring the interceptors of callbacks along", async () => {
    const paths: string[] = [];
    @service(Observer, {
      interceptors: [
        (call, next) => {
          paths.push(call.path);
          return next(call);
        },
      ],
    })
    class Watching {
      progress({ sequence }: { sequence: number }) {
        return { sequence };
      }
    }
    const host = new ServiceHost({ binding: stack });
    host.serve(
      Worker,
      partial(Worker, { work: ({ sequence }, context) => context.callback(Observer).progress({ sequence }) }),
    );
    await host.open("memory://*");
    await using channel = new Channel(host.address, { binding: stack });
    channel.serve(Observer, partial(Observer, Watching as never));
    expect(await channel.client(Worker).work({ sequence: 3 })).toEqual({ sequence: 3 });
    expect(paths).toEqual(["test.v1.Observer/Progress"]);
    await host.close();
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

  test("that say what cannot be are refused where they say it", () => {
    expect(() => operation({ serialise: "session" } as never)).toThrow(/no operation setting "serialise"/);
    expect(() => operation({ serialize: "sesion" as never })).toThrow(/serialize must be "none" or/);
    expect(() => operation({ name: 5 as never })).toThrow(
      /the name of an operation must be a string, not the number 5/,
    );
    expect(() => throttle({ maxConcurent: 1 } as never)).toThrow(/no throttle option "maxConcurent"/);
    expect(() => service(undefined as never)).toThrow(/a contract is wanted/);
    class Twice extends Base {
      @operation("Hint")
      first({ sequence }: { sequence: number }) {
        return { sequence };
      }

      @operation("Hint")
      second({ sequence }: { sequence: number }) {
        return { sequence };
      }
    }
    const both = "Twice: first and second are both said to be hint";
    expect(() => new ServiceHost({ binding: stack }).serve(Twice)).toThrow(both);
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
    expect(() =>
      (throttle({ maxConcurrentCalls: 1 }) as (target: object, context: object) => void)(Wrong, { kind: "class" }),
    ).toThrow("for methods");
    expect(() => (operation() as (target: object) => void)(Wrong)).toThrow("for methods");
  });
});

describe("@authorize", () => {
  @authorize("authenticated")
  @service(Worker)
  class Guarded {
    @operation("Work")
    @authorize(["admin"])
    toil({ sequence }: { sequence: number }) {
      return { sequence };
    }

    @authorize("anyone")
    read({ count }: { count: number }) {
      return { total: 0n, count };
    }

    hint({ sequence }: { sequence: number }) {
      return { sequence };
    }

    @authorize(({ roles }) => roles.includes("patient"))
    wait() {
      return { sequence: 0 };
    }
  }

  // Its own methods stay as guarded as those that they override.
  class Bolder extends Guarded {
    override toil({ sequence }: { sequence: number }) {
      return { sequence: sequence * 2 };
    }

    @authorize("anyone")
    override hint({ sequence }: { sequence: number }) {
      return { sequence: sequence * 3 };
    }
  }

  /** The codes of Work, Read, Hint and Wait for whoever says to be somebody. */
  async function codes(register: (host: ServiceHost) => void, roles?: string[]): Promise<number[]> {
    await using host = new ServiceHost({
      binding: stack,
      authenticate: () => (roles ? { name: "somebody", roles } : undefined),
    });
    register(host);
    await host.open("memory://*");
    await using channel = new Channel(host.address, { binding: stack });
    const { work, read, hint, wait } = channel.client(Worker);
    const calls = [work({}), read({}), hint({}), wait({})];
    return await Promise.all(
      calls.map((call) =>
        (call as Promise<unknown>).then(
          () => Status.OK,
          (error: unknown) => RpcError.from(error).code,
        ),
      ),
    );
  }

  const { OK, UNAUTHENTICATED: stranger, PERMISSION_DENIED: denied } = Status;

  test("on a class and its methods says who may call them", async () => {
    const register = (host: ServiceHost): unknown => host.serve(Guarded);
    expect(await codes(register)).toEqual([stranger, OK, stranger, stranger]);
    expect(await codes(register, [])).toEqual([denied, OK, OK, denied]);
    expect(await codes(register, ["admin", "patient"])).toEqual([OK, OK, OK, OK]);
  });

  test("is inherited, by overridden methods too, unless they say something else", async () => {
    expect(await codes((host) => host.serve(Bolder))).toEqual([stranger, OK, OK, stranger]);
    expect(await codes((host) => host.serve(Bolder), ["admin"])).toEqual([OK, OK, OK, denied]);
  });

  test("gives way to what serve is given, method by method and for the rest", async () => {
    const options = { authorize: ["boss"], methods: { work: { authorize: "anyone" as const } } };
    expect(await codes((host) => host.serve(Guarded, options), ["admin"])).toEqual([OK, OK, denied, denied]);
    expect(await codes((host) => host.serve(Worker, new Guarded() as never))).toEqual([
      stranger,
      OK,
      stranger,
      stranger,
    ]);
  });

  test("is said once: of the class that is nearest, by it or by @service", async () => {
    @service(Worker, { authorize: ["boss"] })
    class Derived extends Guarded {}
    expect(await codes((host) => host.serve(Derived), [])).toEqual([denied, OK, denied, denied]);
    @authorize("anyone")
    @service(Worker, { authorize: "authenticated" })
    class Twice extends Guarded {}
    expect(() => new ServiceHost({ binding: stack }).serve(Twice)).toThrow("Twice: who may call it is said twice");
  });

  test("holds for the method of the contract, also where a class that extends it has another of its own for that", async () => {
    class Renamed extends Guarded {
      @operation("Work")
      labour({ sequence }: { sequence: number }) {
        return { sequence: sequence * 4 };
      }
    }
    expect(await codes((host) => host.serve(Renamed), [])).toEqual([denied, OK, OK, denied]);
    class Opened extends Renamed {
      @authorize("anyone")
      override labour({ sequence }: { sequence: number }) {
        return { sequence };
      }
    }
    expect(await codes((host) => host.serve(Opened))).toEqual([OK, OK, stranger, stranger]);
  });

  test("is refused where nobody would be asked: without @service, or of another contract", () => {
    class Plain {
      work() {
        return { sequence: 1 };
      }
    }
    class OnMethod extends Plain {
      @authorize(["admin"])
      override work() {
        return { sequence: 2 };
      }
    }
    @authorize(["admin"])
    class OnClass extends Plain {}
    class Heir extends OnClass {}
    const host = new ServiceHost({ binding: stack });
    for (const each of [OnMethod, OnClass, Heir])
      for (const handler of [each, new each()])
        expect(() => host.serve(Worker, partial(Worker, handler as never))).toThrow(
          `${each.name}: @authorize says who may call it, and nobody would be asked, since it has no @service(test.v1.Worker)`,
        );
    const other = { ...Worker, typeName: "test.v2.Worker" };
    const handler = partial(other, Guarded as never);
    expect(() => host.serve(other, handler)).toThrow("Guarded: @authorize says");
    host.serve(other, handler, { authorize: "authenticated" });
    host.serve(Worker, partial(Worker, Plain as never));
  });

  test("is not lost below a decorator that puts another function in the place of the method", async () => {
    const wrapped = <This, Args extends unknown[], R>(method: (this: This, ...args: Args) => R) =>
      function (this: This, ...args: Args): R {
        return method.apply(this, args);
      };
    @service(Worker)
    class Wrapped extends Base {
      @wrapped
      @authorize(["admin"])
      override hint({ sequence }: { sequence: number }) {
        return { sequence };
      }
    }
    const lost =
      "Wrapped.hint: @authorize is below a decorator that puts another function in its place, and nobody would be asked; make @authorize the topmost";
    expect(() => new Wrapped()).toThrow(lost);
    await using host = new ServiceHost({ binding: stack }).serve(Wrapped);
    await expect(host.open("memory://*")).rejects.toThrow(lost);
    class Again extends Wrapped {
      @authorize(["admin"])
      @wrapped
      override hint({ sequence }: { sequence: number }) {
        return { sequence };
      }
    }
    expect(await codes((each) => each.serve(Again), [])).toEqual([denied, denied, denied, denied]);

    class Old extends Base {
      override hint({ sequence }: { sequence: number }) {
        return { sequence };
      }
    }
    const descriptor = Object.getOwnPropertyDescriptor(Old.prototype, "hint")!;
    authorize(["admin"])(Old.prototype, "hint", descriptor);
    Object.defineProperty(Old.prototype, "hint", { ...descriptor, value: wrapped(Old.prototype.hint) });
    service(Worker)(Old);
    expect(await codes((each) => each.serve(Old))).toEqual([stranger, stranger, stranger, stranger]);
  });

  test("refuses methods that carry out no calls", () => {
    const rule = authorize(["admin"]) as (target: object, context: object) => void;
    const method = { kind: "method", name: "work" };
    for (const each of [{ static: true }, { private: true }])
      expect(() => rule(() => undefined, { ...method, ...each })).toThrow("are for methods of instances");
  });

  test("refuses what is no rule, and what is neither a class nor a method", () => {
    expect(() => authorize([])).toThrow('the rule of @authorize must be "anyone", "authenticated"');
    expect(() => authorize("nobody" as never)).toThrow(TypeError);
    expect(() => authorize("anyone")({}, "field")).toThrow("@operation, @throttle and @authorize are for methods");
  });

  test("works with the older decorators, too", async () => {
    class Old {
      work() {
        return { sequence: 1 };
      }
    }
    const descriptor = Object.getOwnPropertyDescriptor(Old.prototype, "work")!;
    authorize(["admin"])(Old.prototype, "work", descriptor);
    authorize("anyone")(Old);
    service(Worker)(partial(Worker, Old));
    expect((await codes((host) => host.serve(Old)))[0]).toBe(stranger);
    expect((await codes((host) => host.serve(Old), ["admin"]))[0]).toBe(OK);
  });
});
