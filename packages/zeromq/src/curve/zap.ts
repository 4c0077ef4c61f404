import type { Principal } from "@zerobind/core";
import { makeLossNotice, ZmqSocket } from "../socket.ts";
import type { SocketEvents } from "../socket.ts";
import { codeOf } from "../socket.ts";
import { encodeZ85 } from "./z85.ts";

/*
 * ZAP, RFC 27 of ZeroMQ: libzmq asks whom to let in, over inproc, and waits for the answer before it lets a peer say
 * anything. There is one handler in a process, whatever the number of sockets; each ServerCurve is a domain of it. All
 * that is not a clear yes is a no: sockets enforce their domain, so that without a handler nobody gets in either.
 */

const address = "inproc://zeromq.zap.01";
const version = "1.0";
/** Requests that may wait for an answer; those beyond are told to come again. */
const maxPending = 1_024;
/** libzmq takes no longer user ids. */
const maxUserIdBytes = 255;

/** Who decides for a domain whom to let in. */
export interface ZapDomain {
  readonly decideTimeoutMs: number;
  /** Whoever has the key, if it may come in. `peerAddress`: where it comes from. */
  decide(key: string, peerAddress: string): Principal | undefined | Promise<Principal | undefined>;
  /** Told in words of what went wrong. */
  trouble(kind: string, describe: () => string): void;
}

type Answer = readonly [status: "200" | "300" | "400" | "500", text: string, userId?: string];

/** The handler of this process. */
class ZapHandler implements SocketEvents {
  readonly #domains = new Map<string, ZapDomain>();
  #socket: ZmqSocket | undefined;
  #pending = 0;
  /** Opening and closing wait for each other. */
  #last: Promise<void> = Promise.resolve();

  /** Answers for a domain from now on, until the function is called that it resolves to. Rejects if there is a foreign handler. */
  async enter(name: string, domain: ZapDomain): Promise<() => Promise<void>> {
    this.#domains.set(name, domain);
    try {
      await this.#inTurn(() => this.#openIfNeeded());
    } catch (cause) {
      this.#domains.delete(name);
      throw cause;
    }
    return async () => {
      if (this.#domains.get(name) === domain) this.#domains.delete(name);
      await this.#inTurn(() => this.#closeIfUnused());
    };
  }

  event(type: string, code: string): void {
    if (type !== "receive:error") return;
    const describe = (): string => `the ZAP handler cannot receive any more (${code}): nobody new is let in`;
    for (const domain of this.#domains.values()) domain.trouble("zap", describe);
  }

  /** `[routing id][empty][version][request id][domain][address][identity][mechanism][credentials …]` */
  message(frames: Buffer[]): void {
    const [route, empty, spoken, id, domainName, peerAddress, , mechanism, key, ...more] = frames;
    if (!route || !id || !domainName || !peerAddress || !mechanism || empty?.length !== 0) return;
    const reply = (answer: Answer): void => this.#reply(route, id, answer);
    const domain = this.#domains.get(domainName.toString());
    if (!domain) return reply(["400", "no such domain"]);
    if (spoken?.toString() !== version) return reply(["500", "unknown version of ZAP"]);
    if (mechanism.toString() !== "CURVE" || key?.length !== 32 || more.length > 0)
      return reply(["400", "only CURVE is let in"]);
    if (this.#pending >= maxPending) return reply(["300", "busy, come again"]);
    this.#pending += 1;
    void decided(domain, encodeZ85(key), peerAddress.toString()).then((answer) => {
      this.#pending -= 1;
      reply(answer);
    });
  }

  #reply(route: Buffer, id: Buffer, [status, text, userId = ""]: Answer): void {
    const user = Buffer.from(userId).subarray(0, maxUserIdBytes);
    const frames = [route, Buffer.alloc(0), Buffer.from(version), id, Buffer.from(status), Buffer.from(text), user];
    // Whoever asked may have given up by now.
    this.#socket?.send([...frames, Buffer.alloc(0)], () => undefined);
  }

  async #openIfNeeded(): Promise<void> {
    if (this.#socket) return;
    const settings = {
      draftOptions: false,
      handshakeTimeoutMs: 4_000,
      heartbeatIntervalMs: 5_000,
      heartbeatTimeoutMs: 20_000,
      maxFrameBytes: 4_096,
      ipv6: false,
      hasEvents: false,
      lossNotice: makeLossNotice(),
    };
    try {
      [this.#socket] = await ZmqSocket.bind(address, settings, this);
    } catch (cause) {
      throw new Error(
        `CURVE needs the ZAP handler of this process, and ${address} is taken (${codeOf(cause)}): another library, or ` +
          "another thread of this process, has one; let only one of them bind sockets with CURVE",
        { cause },
      );
    }
  }

  async #closeIfUnused(): Promise<void> {
    if (this.#domains.size > 0) return;
    const socket = this.#socket;
    this.#socket = undefined;
    await socket?.close(0);
  }

  #inTurn(step: () => Promise<void>): Promise<void> {
    const turn = this.#last.then(step);
    this.#last = turn.catch(() => undefined);
    return turn;
  }
}

/** Never rejects: what fails is a no. */
async function decided(domain: ZapDomain, key: string, peerAddress: string): Promise<Answer> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<"late">((resolve) => {
    timer = setTimeout(() => resolve("late"), domain.decideTimeoutMs);
  });
  try {
    const principal = await Promise.race([domain.decide(key, peerAddress), late]);
    if (principal === "late") {
      domain.trouble("allow", () => `whether to let a client in was not decided within ${domain.decideTimeoutMs} ms`);
      return ["500", "the server could not decide"];
    }
    return principal ? ["200", "OK", principal.name] : ["400", "the key is not allowed here"];
  } catch (error) {
    domain.trouble("allow", () => `whether to let a client in could not be decided: ${String(error)}`);
    return ["500", "the server could not decide"];
  } finally {
    clearTimeout(timer);
  }
}

const shared = Symbol.for("zerobind.zap.1");

/** The handler of this process, shared by all copies of this module in it. */
export function zapHandler(): ZapHandler {
  const holder = globalThis as { [shared]?: ZapHandler };
  return (holder[shared] ??= new ZapHandler());
}
