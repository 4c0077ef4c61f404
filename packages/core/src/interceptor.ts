import type { MethodDescriptor } from "./contract.ts";
import type { CallOptions } from "./call-options.ts";
import type { ContextItems, OperationContext } from "./context.ts";
import type { Metadata } from "./metadata.ts";

/** One call as an interceptor sees it, on either end. */
export interface InterceptedCall {
  readonly side: "client" | "server";
  readonly method: MethodDescriptor;
  /** `package.Service/Method`. */
  readonly path: string;
  /** The request message, or an async iterable of them where the method streams requests. */
  readonly request: unknown;
  /** Client: what will be sent, free to be changed. Server: what the caller sent. */
  readonly metadata: Metadata;
  /** Client only: the options that the caller gave. */
  readonly options: CallOptions | undefined;
  /** Server only: what the handler gets. */
  readonly context: OperationContext | undefined;
  /** Values for the interceptors and the handler further in. */
  readonly items: ContextItems;
}

/**
 * A function around the rest of a call, the same shape on client and server: it may look at the call, change it
 * (`next({ ...call, request })`), answer in its place, or try again. What it returns has the shape of the method: a
 * promise of the reply, or an async iterable of replies where the method streams them.
 *
 * One that looks at each message of a stream is a generator around it. Leaving or cancelling the stream ends the call at
 * once, also while the generator waits; it then sees the end of what it reads, or CANCELLED, and runs its `finally`:
 *
 *     const noting: Interceptor = async function* (call, next) {
 *       for await (const reply of next(call) as AsyncIterable<unknown>) {
 *         note(call.path, reply);
 *         yield reply;
 *       }
 *     };
 *
 * (For methods with a single reply it would `return await next(call)`; `call.method.kind` tells them apart.)
 *
 * On the client, the time that a caller gives counts from its call, whatever the interceptors do with it; they may
 * shorten it by `options`. When it is over, or the caller's signal aborts, the call ends even if they wait for something
 * else; what they make of the end of the call within counts if they do it at once. Times that a method or a channel has
 * by default count from `next`.
 *
 * The first interceptor of a list is the outermost. They are composed once, when the client is made or the service is
 * served; without any, calls pay nothing.
 */
export type Interceptor = (call: InterceptedCall, next: (call: InterceptedCall) => unknown) => unknown;

/** One function that runs the interceptors around `innermost`. */
export function compose(
  interceptors: readonly Interceptor[],
  innermost: (call: InterceptedCall) => unknown,
): (call: InterceptedCall) => unknown {
  return interceptors.reduceRight<(call: InterceptedCall) => unknown>(
    (next, interceptor) => (call) => interceptor(call, next),
    innermost,
  );
}
