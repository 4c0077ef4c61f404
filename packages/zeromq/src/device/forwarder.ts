import { parseAddress } from "../address.ts";
import { checkSubscriptions } from "../curve/secured.ts";
import type { SocketPlan } from "../open-socket.ts";
import { toSettings } from "../options.ts";
import { PumpDevice } from "./pump-device.ts";
import type { PumpOptions } from "./pump-device.ts";

/** How a forwarder behaves. Times are in milliseconds. */
export interface ForwarderOptions extends PumpOptions {
  /**
   * Messages that may wait for one subscriber that reads too slowly; what comes then is dropped for this one, and for
   * no other. 0: any number, in this process's memory. Default 1,000.
   */
  readonly highWaterMark?: number | undefined;
}

const defaults = { highWaterMark: 1_000 };

/**
 * A device between publishers and subscribers: N publishers connect to `frontend` (XSUB), M subscribers to `backend`
 * (XPUB), and neither needs to know of the others. Only what some subscriber wants is asked of the publishers. Messages
 * of one publisher keep their order. It keeps nothing: who subscribes later gets what comes later, and what is
 * published while nobody wants it, or while the device is away, is gone. Publishers that decide who gets what
 * (`authorize`, `requires`) send it nothing, since it cannot say for whom it asks.
 */
export class ForwarderDevice extends PumpDevice {
  protected readonly frontPlan: Pick<SocketPlan, "kind" | "own">;
  protected readonly backPlan: Pick<SocketPlan, "kind" | "own">;
  #forwarded = 0;
  /** What is subscribed, as latin1. */
  readonly #topics = new Set<string>();
  #dropped = 0;
  readonly #sendFailed = (): void => void (this.#dropped += 1);

  /** TypeError for addresses and options that cannot be. */
  constructor(options: ForwarderOptions) {
    super("forwarder", options, defaults.highWaterMark);
    const { curve } = toSettings(options.zeromq);
    for (const side of [options.frontend, options.backend]) {
      const { address, attach = "bind" } = typeof side === "string" ? { address: side } : side;
      checkSubscriptions(parseAddress(address, attach), curve, attach);
    }
    // Subscriptions must not get lost, however many come at once: ZeroMQ drops those beyond its marks in silence.
    this.frontPlan = { kind: "xsub", own: { sendHighWaterMark: 0 } };
    this.backPlan = { kind: "xpub", own: { sendHighWaterMark: this.highWaterMark, receiveHighWaterMark: 0 } };
  }

  /**
   * `forwarded`: messages handed on. `topics`: different subscriptions at the moment. `dropped`: what was neither a
   * message nor a subscription. What slow subscribers miss ZeroMQ drops without telling.
   */
  get counters(): Readonly<Record<"forwarded" | "topics" | "dropped", number>> {
    return { forwarded: this.#forwarded, topics: this.#topics.size, dropped: this.#dropped };
  }

  protected fromFront(frames: Buffer[]): void {
    this.#forwarded += 1;
    this.back?.socket.send(frames, this.#sendFailed);
  }

  /** `01 topic` subscribes, `00 topic` ends that; XPUB tells only the first and the last of each topic. */
  protected fromBack(frames: Buffer[]): void {
    const first = frames.length === 1 ? frames[0]?.[0] : undefined;
    if (first !== 0 && first !== 1) {
      this.#dropped += 1;
      const text = "something that is no subscription came from a subscriber and was dropped";
      return this.troubles.report("drop", () => text);
    }
    const topic = frames[0]!.toString("latin1", 1);
    if (first === 1) this.#topics.add(topic);
    else this.#topics.delete(topic);
    this.front?.socket.send(frames, this.#sendFailed);
  }

  protected override onLost(side: "front" | "back"): void {
    if (side === "front") return;
    for (const topic of this.#topics) this.#ask(0, topic);
    this.#topics.clear();
  }

  protected override onRenewed(side: "front" | "back"): void {
    if (side === "front") for (const topic of this.#topics) this.#ask(1, topic);
  }

  #ask(kind: 0 | 1, topic: string): void {
    this.front?.socket.send([Buffer.concat([Buffer.of(kind), Buffer.from(topic, "latin1")])], this.#sendFailed);
  }

  protected async onClose(graceful: boolean): Promise<void> {
    await this.front?.close(0);
    await this.back?.close(graceful ? Math.min(this.drainTimeoutMs, 250) : 0);
  }

  protected onAbort(): void {
    // Closing takes no time worth cutting.
  }
}
