import type { SocketPlan } from "../open-socket.ts";
import { unheardOptions } from "../open-socket.ts";
import { PumpDevice } from "./pump-device.ts";
import type { PumpOptions } from "./pump-device.ts";

/** How a streamer behaves. Times are in milliseconds. */
export interface StreamerOptions extends PumpOptions {
  /**
   * Messages that ZeroMQ keeps for each connection, on each side: what a worker that dies had waiting is lost with it,
   * and what waits for a slow one waits even if others are idle. From 1. Default 10.
   */
  readonly highWaterMark?: number | undefined;
}

const defaults = { highWaterMark: 10 };
/** A side from which nothing has come for so long has nothing more. */
const quietMs = 100;

/**
 * A device between producers and workers: N producers connect to `frontend` (PULL), M workers to `backend` (PUSH). Work
 * goes in turn to all workers that have room. When none has, the device receives no more, and producers wait. While
 * its peers live, nothing is lost, and `close` hands on what has come, once producers are quiet.
 */
export class StreamerDevice extends PumpDevice {
  protected readonly frontPlan: Pick<SocketPlan, "kind" | "own">;
  protected readonly backPlan: Pick<SocketPlan, "kind" | "own">;
  #forwarded = 0;
  #dropped = 0;
  #isWaiting = false;
  #cameMs = 0;
  #cut = false;
  #wake: (() => void) | undefined;

  /** TypeError for addresses and options that cannot be. */
  constructor(options: StreamerOptions) {
    super("streamer", options, defaults.highWaterMark);
    if (this.highWaterMark < 1) throw new TypeError("option highWaterMark of a streamer must be a whole number from 1");
    this.frontPlan = { kind: "pull", own: { ...unheardOptions, receiveHighWaterMark: this.highWaterMark } };
    this.backPlan = {
      kind: "push",
      own: { ...unheardOptions, sendTimeout: -1, sendHighWaterMark: this.highWaterMark },
    };
  }

  /** `forwarded`: messages handed on. `waiting`: 1 while one waits for room. `dropped`: those it had when it was closed. */
  get counters(): Readonly<Record<"forwarded" | "waiting" | "dropped", number>> {
    return { forwarded: this.#forwarded, waiting: this.#isWaiting ? 1 : 0, dropped: this.#dropped };
  }

  protected async fromFront(frames: Buffer[]): Promise<void> {
    this.#isWaiting = true;
    const isSent = (await this.back?.sendWhenRoom(frames)) ?? false;
    this.#isWaiting = false;
    this.#cameMs = performance.now();
    if (isSent) this.#forwarded += 1;
    else this.#dropped += 1;
  }

  protected fromBack(): void {
    // PUSH receives nothing.
  }

  protected async onClose(graceful: boolean): Promise<void> {
    const deadlineMs = performance.now() + this.drainTimeoutMs;
    if (graceful) await this.#quiet(deadlineMs);
    await this.front?.close(0);
    const leftMs = graceful && !this.#cut ? Math.max(deadlineMs - performance.now(), 0) : 0;
    await this.back?.close(leftMs);
  }

  protected onAbort(): void {
    this.#cut = true;
    this.#wake?.();
  }

  /** Resolves when nothing has come for a while and nothing waits, or there is no more time. */
  async #quiet(deadlineMs: number): Promise<void> {
    const sinceMs = performance.now();
    while (!this.#cut && performance.now() < deadlineMs) {
      const idleMs = performance.now() - Math.max(this.#cameMs, sinceMs);
      if (!this.#isWaiting && idleMs >= quietMs) return;
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, quietMs / 4);
        this.#wake = () => {
          clearTimeout(timer);
          resolve();
        };
      });
    }
  }
}
