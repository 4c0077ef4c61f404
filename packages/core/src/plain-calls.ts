import { bodyCodec, protobuf } from "./binding.ts";
import type { CallPort } from "./call-half.ts";
import type { LooseCall } from "./incoming-calls.ts";
import { defaultLimits } from "./limits.ts";
import type { Limits } from "./limits.ts";
import type { Verdict } from "./method-guard.ts";
import type { CallHead, Operation, OperationTable } from "./operation.ts";
import { Outbox } from "./outbox.ts";
import { FrameReader } from "./records.ts";
import { unimplemented } from "./refusals.ts";
import { ServerCall } from "./request-context.ts";
import type { CalleeOwner, ReplyInstead } from "./request-context.ts";
import { RpcError } from "./rpc-error.ts";
import { peerOf } from "./session-context.ts";
import { Status } from "./status.ts";
import { isPromiseLike } from "./stream.ts";
import { now } from "./timer-wheel.ts";
import type { TimerWheel } from "./timer-wheel.ts";
import type { PlainRequest } from "./transport.ts";
import { UndecidedCall } from "./undecided-call.ts";
import type { UndecidedOwner } from "./undecided-call.ts";

/** The end that plain requests come in at. */
export interface PlainOwner {
  readonly table: OperationTable;
  readonly wheel: TimerWheel;
  readonly draining: boolean;
  callOver(call: LooseCall): void;
}

/** How long a plain request has that does not say: nothing tells when its caller has gone. */
const plainTimeoutMs = 30_000;

/** The requests that come to one address without a session. */
export class PlainCalls implements CalleeOwner {
  readonly wheel: TimerWheel;
  readonly #owner: PlainOwner;
  readonly #port: CallPort;
  /** All calls without a session, which the owner ends when it closes. */
  readonly #open: Set<LooseCall>;

  constructor(owner: PlainOwner, limits: Limits, open: Set<LooseCall>) {
    this.wheel = owner.wheel;
    this.#owner = owner;
    this.#port = plainPort(limits);
    this.#open = open;
  }

  accept(request: PlainRequest): void {
    const { path, metadata } = request;
    const operation = this.#owner.table.resolve(path);
    const refusal = this.#refusal(request);
    if (refusal || !operation) {
      request.fail(refusal ?? unimplemented(path));
      return;
    }
    const deadlineMs = now() + (request.timeoutMs > 0 ? request.timeoutMs : plainTimeoutMs);
    const oneWay = operation.oneWay || request.over !== undefined;
    const head = { operation, session: undefined, peer: peerOf(request), metadata, deadlineMs, oneWay };
    if (operation.guard) this.#ask(request, head);
    else this.#begin(request, head);
  }

  enter(call: ServerCall): void {
    this.#owner.table.enter(call);
  }

  finished(call: ServerCall): void {
    if (!this.#open.has(call)) return;
    this.#owner.table.released(call);
    this.#owner.callOver(call);
  }

  #refusal({ path, body }: PlainRequest): RpcError | undefined {
    const { maxMessageBytes } = this.#port.limits;
    if (body.byteLength > maxMessageBytes) {
      return new RpcError(
        Status.RESOURCE_EXHAUSTED,
        `the request has ${body.byteLength} bytes, more than the ${maxMessageBytes} that the server accepts (its limit maxMessageBytes)`,
      );
    }
    return this.#owner.draining ? closing(path) : undefined;
  }

  /** Begins the call if it may, now or when that is known. */
  #ask(request: PlainRequest, head: CallHead): void {
    const { wheel } = this;
    const over = (call: UndecidedCall, verdict: Verdict): void => {
      if (verdict instanceof RpcError) request.fail(verdict);
      else this.#begin(request, { ...head, peer: call.peer });
    };
    const owner: UndecidedOwner = {
      wheel,
      decided: (call, verdict) => {
        // Before the call itself is open, so that whoever waits for all to end does not look in between.
        this.#open.delete(call);
        over(call, verdict);
        this.#owner.callOver(call);
      },
      undecided: (call, error) => {
        if (error) request.fail(error);
        this.#owner.callOver(call);
      },
      expired: (call) => call.failHere(new RpcError(Status.DEADLINE_EXCEEDED, late(call.path))),
      keeps: () => true,
    };
    const call = new UndecidedCall(owner, this.#port, 0, 0, head);
    const verdict = head.operation.guard?.decide(call) ?? head.peer;
    if (!isPromiseLike(verdict)) return over(call, verdict);
    this.#open.add(call);
    if (!head.oneWay) request.onGone((reason) => call.abort(gone(reason)));
    call.wait(verdict);
  }

  #begin(request: PlainRequest, head: CallHead): void {
    const { operation, oneWay } = head;
    const refusal = this.#notTaken(operation);
    if (refusal) {
      request.fail(refusal);
      return;
    }
    const call = new ServerCall(this, this.#port, 0, head, new PlainReply(request));
    this.#open.add(call);
    if (!oneWay) request.onGone((reason) => call.abort(gone(reason)));
    // A REQ waits for its answer even where the contract has none.
    if (operation.oneWay && !request.over) request.reply(new Uint8Array(), undefined, undefined);
    const body = new FrameReader(request.body);
    let message: unknown;
    try {
      message = this.#port.codec.read(operation.descriptor.input, body, body.len);
    } catch (cause) {
      const why = cause instanceof Error ? cause.message : String(cause);
      call.fail(
        new RpcError(Status.INTERNAL, `the second frame is no ${operation.descriptor.input.$type}: ${why}`, { cause }),
      );
      return;
    }
    call.openWith(message);
  }

  #notTaken(operation: Operation): RpcError | undefined {
    const { path, notPlain } = operation;
    const refusal = operation.refusal?.(0);
    if (refusal || notPlain === undefined) return refusal ?? this.#owner.table.admit(operation);
    const text = `${path} ${notPlain}, which the plain profile cannot carry; call it with the native profile`;
    return new RpcError(Status.UNIMPLEMENTED, text);
  }
}

/** The answer to calls that a closing server does not wait for. */
export function closing(path: string): RpcError {
  return new RpcError(Status.UNAVAILABLE, `${path}: the server is closing`);
}

function gone(reason: string): RpcError {
  return new RpcError(Status.CANCELLED, `the caller is gone: ${reason}`);
}

function late(path: string): string {
  return `the deadline of ${path} passed before the server had decided whether to let it in`;
}

/** Plain requests know no elements, windows or fragments; their port only decodes. */
function plainPort(limits: Limits): CallPort {
  const codec = bodyCodec({ elements: [], encoder: protobuf });
  const nothing = (): void => undefined;
  const told = { sendFailed: nothing, released: nothing, relieved: nothing, overrun: nothing };
  const port = { openCalls: 0, send: () => false, ...told };
  const outbox = new Outbox(port, codec);
  outbox.close();
  return { outbox, codec, limits, peerLimits: defaultLimits, joining: 0 };
}

/** Answers a plain request in the place of records. */
class PlainReply implements ReplyInstead {
  readonly #request: PlainRequest;

  constructor(request: PlainRequest) {
    this.#request = request;
  }

  end(call: ServerCall, error: RpcError | undefined, value: unknown): void {
    if (this.#request.over) return this.#request.over(error);
    if (call.operation.oneWay) return;
    if (error) {
      const { code, message, details } = error;
      this.#request.fail(
        new RpcError(code, message, {
          details,
          header: call.blocks.header,
          trailer: error.trailer ?? call.blocks.trailer,
        }),
      );
      return;
    }
    const body = call.encodeReply(value);
    if (body instanceof RpcError) this.#request.fail(body);
    else this.#request.reply(body, call.blocks.header, call.blocks.trailer);
  }
}
