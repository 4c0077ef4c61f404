import { Lifecycle, kindOf } from "@zerobind/core";
import type { ParsedAddress } from "../address.ts";
import { AddressGate } from "../gate.ts";
import { openSocket, socketTroubles } from "../open-socket.ts";
import type { OpenSocket, SocketPlan } from "../open-socket.ts";
import { toSettings } from "../options.ts";
import type { ZeromqOptions, ZeromqSettings } from "../options.ts";
import type { SocketEvents } from "../socket.ts";
import { Troubles } from "../trouble.ts";

/** One side of a device. */
export interface DeviceSide {
  readonly address: string;
  /** Which side of the connection the device is. Default `bind`. */
  readonly attach?: "bind" | "connect" | undefined;
}

/** How a device behaves that hands messages on as they are. Times are in milliseconds. */
export interface PumpOptions {
  /** Where what is handed on comes from: an address to bind, or `{ address, attach }`. */
  readonly frontend: string | DeviceSide;
  /** Where it goes. */
  readonly backend: string | DeviceSide;
  /** Options of the transport, for example `{ insecure: true }`. */
  readonly zeromq?: ZeromqOptions | undefined;
  /** Largest frame; a connection that sends a larger one is cut. Default 16 MiB. */
  readonly maxFrameBytes?: number | undefined;
  /** How long `close` may take to hand on what has come. Default 5,000. */
  readonly drainTimeoutMs?: number | undefined;
  /** Told in words of what stands in the way; called at a limited rate. */
  readonly onTrouble?: ((problem: string) => void) | undefined;
}

/** The real addresses of an open device. */
export interface PumpAddresses {
  readonly frontend: readonly string[];
  readonly backend: readonly string[];
}

const optionNames = ["frontend", "backend", "zeromq", "maxFrameBytes", "drainTimeoutMs", "onTrouble", "highWaterMark"];

/** Two sockets, and what is between them. */
export abstract class PumpDevice extends Lifecycle {
  protected readonly troubles: Troubles;
  protected readonly drainTimeoutMs: number;
  protected readonly highWaterMark: number;
  protected front: OpenSocket | undefined;
  protected back: OpenSocket | undefined;
  readonly #sides: { readonly front: CheckedSide; readonly back: CheckedSide };
  readonly #settings: ZeromqSettings;
  readonly #gate: AddressGate;
  readonly #maxFrameBytes: number;

  /** TypeError for addresses and options that cannot be. */
  constructor(
    what: string,
    options: PumpOptions & { readonly highWaterMark?: number | undefined },
    highWaterMark: number,
  ) {
    super();
    if (typeof options !== "object" || (options as unknown) === null)
      throw new TypeError(`${what} options must be an object, not ${kindOf(options)}`);
    for (const name of Object.keys(options))
      if (!optionNames.includes(name))
        throw new TypeError(`a ${what} has no option "${name}"; it has ${optionNames.join(", ")}`);
    this.#settings = toSettings(options.zeromq);
    this.#gate = new AddressGate(this.#settings);
    this.#sides = {
      front: checkedSide(what, "frontend", options.frontend, this.#gate),
      back: checkedSide(what, "backend", options.backend, this.#gate),
    };
    this.#maxFrameBytes = countOf("maxFrameBytes", options.maxFrameBytes ?? 16 * 1024 * 1024);
    this.drainTimeoutMs = countOf("drainTimeoutMs", options.drainTimeoutMs ?? 5_000);
    this.highWaterMark = countOf("highWaterMark", options.highWaterMark ?? highWaterMark);
    this.troubles = new Troubles((problem) => told(options.onTrouble, problem));
  }

  /** The real addresses, with the ports that wildcards stood for. */
  get addresses(): PumpAddresses {
    const address = (open: OpenSocket | undefined): readonly string[] => (open ? [open.address] : []);
    return { frontend: address(this.front), backend: address(this.back) };
  }

  /** What has passed and what was dropped since it was made. */
  abstract get counters(): Readonly<Record<string, number>>;

  /** Opens both sides; rejects with an error that names the address which cannot be bound. */
  open(): Promise<void> {
    return this.opened();
  }

  protected abstract readonly frontPlan: Pick<SocketPlan, "kind" | "own">;
  protected abstract readonly backPlan: Pick<SocketPlan, "kind" | "own">;
  protected abstract fromFront(frames: Buffer[]): void | Promise<void>;
  protected abstract fromBack(frames: Buffer[]): void | Promise<void>;

  protected async onOpen(): Promise<void> {
    const { front, back } = this.#sides;
    // What comes in front must find the way out.
    this.back = await this.#openSide("back", back, this.backPlan, (frames) => this.fromBack(frames));
    try {
      this.front = await this.#openSide("front", front, this.frontPlan, (frames) => this.fromFront(frames));
    } catch (error) {
      await this.back.close(0);
      throw error;
    }
  }

  /** All connections of a side are gone. */
  protected onLost(_side: "front" | "back"): void {
    // What waited there is lost.
  }

  /** A side has another socket. */
  protected onRenewed(_side: "front" | "back"): void {
    // Peers connect again by themselves.
  }

  protected onClosing(): void {
    // Nothing is begun that could be refused.
  }

  /** A side says something of its connections that is worth telling. */
  #event(side: "front" | "back", address: string, type: string, code: string): void {
    const tell = (text: string): void => this.troubles.report(`${address} ${type}`, () => `${address}: ${text}`);
    if (type === "connect:retry")
      tell("connection refused, nobody is listening or the host cannot be found; trying again");
    else if (type === "stranger") tell(`the other end is of the wrong kind, or does not speak ZeroMQ: ${code}`);
    else if (socketTroubles.has(type)) tell(code);
    else if (type === "lost") this.onLost(side);
    else if (type === "renewed") this.onRenewed(side);
    else if (type === "accept:error") tell(`a peer could not be let in (${code})`);
    else if (type === "receive:error") this.fail(`${address}: cannot receive any more (${code})`);
  }

  #openSide(
    side: "front" | "back",
    { address, mode }: CheckedSide,
    { kind, own }: Pick<SocketPlan, "kind" | "own">,
    message: SocketEvents["message"],
  ): Promise<OpenSocket> {
    const parsed: ParsedAddress = this.#gate.pass(address, mode);
    const plan: SocketPlan = { kind, own, mode, parsed, settings: this.#settings, maxFrameBytes: this.#maxFrameBytes };
    return openSocket(plan, { message, event: (type, code) => this.#event(side, address, type, code) });
  }
}

interface CheckedSide {
  readonly address: string;
  readonly mode: "bind" | "connect";
}

function checkedSide(
  what: string,
  name: string,
  given: string | DeviceSide | undefined,
  gate: AddressGate,
): CheckedSide {
  const side: Partial<DeviceSide> = typeof given === "string" ? { address: given } : (given ?? {});
  const { address, attach = "bind" } = side;
  if (address === undefined)
    throw new TypeError(`a ${what} needs ${name}, for example { ${name}: "tcp://127.0.0.1:5555" }`);
  if (attach !== "bind" && attach !== "connect")
    throw new TypeError(`attach of ${name} must be "bind" or "connect", not ${JSON.stringify(attach)}`);
  gate.check(address, attach);
  return { address, mode: attach };
}

function countOf(name: string, value: number): number {
  if (Number.isInteger(value) && value >= 0 && value <= 0x7fffffff) return value;
  throw new TypeError(`option ${name} must be a whole number from 0 to 2147483647, not ${String(value)}`);
}

function told(onTrouble: ((problem: string) => void) | undefined, problem: string): void {
  try {
    onTrouble?.(problem);
  } catch {
    // Whoever is told has nobody to tell.
  }
}
