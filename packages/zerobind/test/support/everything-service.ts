import { EventEmitter, once } from "node:events";
import { RpcError, errorDetail } from "zerobind";
import type { OperationContext, StatusCode } from "zerobind";
import { BadRequest } from "zerobind/google";
import { Detail, EchoEverything } from "../gen/test/v1/everything.pb.ts";
import type { EverythingHandler } from "../gen/test/v1/everything.rpc.ts";

type Request<Name extends keyof EverythingHandler> = Parameters<EverythingHandler[Name]>[0];

/** Serves Everything with generated code; `events` tells `told`, `relayed`, `waiting`, `aborted` and `left`. */
export class EverythingService implements EverythingHandler {
  readonly events: EventEmitter = new EventEmitter();

  /** Resolves with the next event of a kind. */
  async next(event: string): Promise<unknown> {
    const [value] = (await once(this.events, event)) as unknown[];
    return value;
  }

  /** Sends all metadata back; the text "wait" is not answered before its caller has left. */
  async echo(request: Request<"echo">, context: OperationContext) {
    context.setHeader(Array.from(context.metadata, ([key, value]) => [`header-${key}`, value] as const));
    context.setTrailer(Array.from(context.metadata, ([key, value]) => [`trailer-${key}`, value] as const));
    if (request.stringField === "wait") await this.#abandoned(context);
    return request;
  }

  /** Without a number it never ends. */
  async *repeat(request: Request<"repeat">, context: OperationContext) {
    const count = request.int32Field || Infinity;
    try {
      for (let n = 0; n < count && !context.signal.aborted; n++) yield request;
    } finally {
      this.events.emit("left");
    }
  }

  async collect(requests: Request<"collect">) {
    let last = EchoEverything.fromPartial({});
    let count = 0;
    for await (const request of requests) {
      last = request;
      count += 1;
    }
    return { ...last, int32Field: count };
  }

  async *relay(requests: Request<"relay">) {
    for await (const request of requests) {
      yield request;
      this.events.emit("relayed", request.stringField);
    }
  }

  moment(time: Request<"moment">) {
    return { value: new Date(Number(time.seconds) * 1000 + time.nanos / 1e6).toISOString() };
  }

  fail({ code, message }: Request<"fail">): never {
    const violations = [{ field: "name", description: "is missing" }];
    const details = [
      errorDetail(BadRequest, { fieldViolations: violations }),
      errorDetail(Detail, { reason: "gone", count: 9007199254740993n }),
      { typeUrl: "type.googleapis.com/elsewhere.v1.Unknown", value: Uint8Array.of(8, 1) },
    ];
    throw new RpcError(code as StatusCode, message, { details });
  }

  tell({ stringField }: Request<"tell">): void {
    this.events.emit("told", stringField);
  }

  toString$() {
    return {};
  }

  #abandoned({ signal }: OperationContext): Promise<void> {
    return new Promise((resolve) => {
      signal.addEventListener("abort", () => {
        this.events.emit("aborted");
        resolve();
      });
      this.events.emit("waiting");
    });
  }
}
