import type { PlainRequest, RpcError } from "@zerobind/core";
import type { PlainCall } from "./plain.ts";

/** A request that nobody waits for. */
export class PulledCall implements PlainRequest {
  readonly path: string;
  readonly body: Uint8Array;
  readonly timeoutMs: number;
  readonly metadata: PlainCall["metadata"];
  readonly remoteAddress: string;
  readonly #over: (error: RpcError | undefined, wasRefused: boolean) => void;
  #isOver = false;

  constructor(
    call: PlainCall,
    remoteAddress: string,
    over: (error: RpcError | undefined, wasRefused: boolean) => void,
  ) {
    this.path = call.path;
    this.body = call.body;
    this.timeoutMs = call.timeoutMs;
    this.metadata = call.metadata;
    this.remoteAddress = remoteAddress;
    this.#over = over;
  }

  onGone(): void {
    // Nothing tells who has sent it.
  }

  reply(): boolean {
    return this.#end(undefined, false);
  }

  fail(error: RpcError): boolean {
    return this.#end(error, true);
  }

  over(error: RpcError | undefined): void {
    this.#end(error, false);
  }

  #end(error: RpcError | undefined, wasRefused: boolean): boolean {
    if (this.#isOver) return false;
    this.#isOver = true;
    this.#over(error, wasRefused);
    return true;
  }
}
