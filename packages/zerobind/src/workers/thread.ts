// The program of a pool's threads; see worker-pool.ts.
import { workerData } from "node:worker_threads";
import { ServiceHost } from "@zerobind/core";
import type { Contract, OperationContext } from "@zerobind/core";
import { jobContext } from "./job-metadata.ts";
import { noSockets } from "./no-sockets.ts";
import { portAddress, portBinding } from "./port-transport.ts";
import { threadContract } from "./thread-messages.ts";
import type { FromThread, ThreadData, ThreadMethod, ToThread } from "./thread-messages.ts";

type Member = (request: unknown, context: unknown) => unknown;
type Instance = Record<string, Member>;

const { module, typeName, methods, calls, control } = workerData as ThreadData;
noSockets();
const tell = (message: FromThread): void => control.postMessage(message);

try {
  const instance = await load();
  const host = new ServiceHost({
    binding: portBinding(calls, true),
    // What a call may be is for the host that it came to, and for how long its handler works without a break.
    limits: { maxMessageBytes: 0xffffffff, maxMetadataBytes: 0xffffffff },
    pingIntervalMs: Infinity,
    pingTimeoutMs: Infinity,
    onError: (error, failure) => tell({ say: "threw", error: cloneable(error), failure }),
  });
  host.serve(threadContract(typeName, methods) as Contract<unknown, object>, handlerOf(instance));
  await host.open(portAddress);
  control.on("message", (message: ToThread) => {
    if (message.say === "ping") tell({ say: "pong" });
    else void end(host, instance);
  });
  tell({ say: "ready" });
} catch (error) {
  tell({ say: "failed", error: cloneable(error) });
  control.close();
  calls.close();
}

async function load(): Promise<Instance> {
  const exported = (await import(module)) as { readonly handler?: unknown; readonly default?: unknown };
  const handler = exported.handler ?? exported.default;
  const instance: unknown = isClass(handler) ? new handler() : await handler;
  if (typeof instance !== "object" || instance === null)
    throw new TypeError(`it exports no handler: write "export const handler = { … }" for ${typeName}`);
  const missing = methods.filter(({ localName }) => typeof (instance as Instance)[localName] !== "function");
  if (missing.length === 0) return instance as Instance;
  const names = missing.map(({ localName }) => localName).join(", ");
  throw new TypeError(`its handler of ${typeName} has no method ${names}`);
}

function isClass(handler: unknown): handler is new () => object {
  return typeof handler === "function";
}

function handlerOf(instance: Instance): object {
  return Object.fromEntries(methods.map((method) => [method.localName, memberOf(instance, method)]));
}

function memberOf(instance: Instance, { localName, kind, isJob }: ThreadMethod): unknown {
  if (kind === "server_stream" || kind === "bidi_stream")
    return (request: unknown, context: OperationContext) => instance[localName]!(request, context);
  return async (request: unknown, context: OperationContext) => ({
    value: await instance[localName]!(request, isJob ? jobContext(context) : context),
  });
}

/** The thread ends by itself once nothing in it is open. */
async function end(host: ServiceHost, instance: Partial<AsyncDisposable & Disposable>): Promise<void> {
  await host.close();
  try {
    const { [Symbol.asyncDispose]: asyncDispose } = instance;
    if (asyncDispose) await asyncDispose.call(instance);
    else instance[Symbol.dispose]?.();
  } catch (error) {
    tell({ say: "threw", error: cloneable(error), failure: { path: typeName, id: undefined } });
  }
  control.close();
}

/** An error that can leave the thread, with its stack. */
function cloneable(error: unknown): unknown {
  try {
    return structuredClone(error);
  } catch {
    const copy = new Error(error instanceof Error ? error.message : String(error));
    if (error instanceof Error && error.stack !== undefined) copy.stack = error.stack;
    return copy;
  }
}
