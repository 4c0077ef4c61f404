import { openSync } from "node:fs";
import { Attacker } from "./attacker.ts";
import { sharedMs } from "./clock.ts";
import { Client } from "./client.ts";
import { Crew } from "./crew.ts";
import { Device } from "./device.ts";
import { Mill } from "./mill.ts";
import { Events } from "./events.ts";
import { Server } from "./server.ts";
import { takeSnapshot } from "./snapshot.ts";

/** How a process of the suite is to behave wrongly, so that the suite can show that it would notice. */
export type Misdeed =
  | "leak file descriptor"
  | "leak timer"
  | "leak handle"
  | "leak listener"
  | "leak memory"
  | "unhandled rejection"
  | "uncaught exception"
  | "stay alive"
  | "end twice"
  | "never end"
  | "wrong reply"
  | "execute twice"
  | "leak session";

const kept: unknown[] = [];

/** Everything that a process of the suite can be asked to do. Arguments and results travel between processes. */
export class Commands {
  readonly server: Server;
  readonly client: Client;
  readonly crew: Crew;
  readonly device = new Device();
  readonly mill: Mill;
  readonly events = new Events();
  readonly attacker = new Attacker();
  #memory: { timer: NodeJS.Timeout; peakBytes: number } | undefined;

  constructor(number: number, logPath: string) {
    this.server = new Server(number, logPath);
    this.client = new Client(number);
    this.crew = new Crew(number, logPath);
    this.mill = new Mill(number);
  }

  snapshot: typeof takeSnapshot = takeSnapshot;
  serve: Server["serve"] = (address, options) => this.server.serve(address, options);
  running = (): number => this.server.running;
  whenRunning: Server["whenRunning"] = (count, atLeast) => this.server.whenRunning(count, atLeast);
  takeSignals = (): ReturnType<Server["takeSignals"]> => this.server.takeSignals();
  hostCounters = (): Record<string, number> => this.server.counters();
  wrong = (): string[] => [...this.server.wrong(), ...this.crew.wrong()];

  serveSecurely: Server["serveSecurely"] = (addresses, protection) => this.server.serveSecurely(addresses, protection);
  decideIn: Server["decideIn"] = (ms) => this.server.decideIn(ms);
  troubles = (): ReturnType<Server["troubles"]> => this.server.troubles();

  joinDevice: Crew["join"] = (backend, count) => this.crew.join(backend, count);
  replaceWorker: Crew["replace"] = (index) => this.crew.replace(index);
  openDevice: Device["open"] = (settings) => this.device.open(settings);
  deviceStatus = (): ReturnType<Device["status"]> => this.device.status();
  deviceWorkers: Device["workers"] = (count, withinMs) => this.device.workers(count, withinMs);

  connect: Client["connect"] = (address, settings, channels) => this.client.connect(address, settings, channels);
  connectSecurely: Client["connectSecurely"] = (address, serverKey, keys) =>
    this.client.connectSecurely(address, serverKey, keys);
  start: Client["start"] = (spec, count) => this.client.start(spec, count);
  make: Client["make"] = (spec, count, atOnce) => this.client.make(spec, count, atOnce);
  startCancelled: Client["startCancelled"] = (spec, afterMs) => this.client.startCancelled(spec, afterMs);
  startPaced: Client["startPaced"] = (name, spec, perSecond) => this.client.startPaced(name, spec, perSecond);
  startFlood: Client["startFlood"] = (name, spec, burst) => this.client.startFlood(name, spec, burst);
  stop: Client["stop"] = (name) => this.client.stop(name);
  settled: Client["settled"] = (withinMs) => this.client.settled(withinMs);
  take: Client["take"] = () => this.client.take();
  servers = (): Record<number, number> => this.client.servers();
  openCalls = (): number => this.client.open;
  reached: Client["reached"] = (withinMs) => this.client.reached(withinMs);
  cycles: Client["cycles"] = (address, cycles, atOnce, steps) => this.client.cycles(address, cycles, atOnce, steps);
  channelCounters = (): Record<string, number> => this.client.counters();

  gather: Mill["gather"] = (address) => this.mill.gather(address);
  work: Mill["work"] = (from, to, concurrency) => this.mill.work(from, to, concurrency);
  ventilate: Mill["ventilate"] = (address, options) => this.mill.ventilate(address, options);
  grind: Mill["grind"] = (count, workMs) => this.mill.grind(count, workMs);
  progress: Mill["progress"] = () => this.mill.progress();
  report: Mill["report"] = () => this.mill.report();
  ground: Mill["ground"] = () => this.mill.ground();
  feed: Events["feed"] = (address, options) => this.events.feed(address, options);
  feedReady: Events["feedReady"] = (count) => this.events.feedReady(count);
  publish: Events["publish"] = (spec) => this.events.publish(spec);
  feedCounters = (): Readonly<Record<string, number>> => this.events.counters();
  listen: Events["listen"] = (address, count) => this.events.listen(address, count);
  heard = (): ReturnType<Events["heard"]> => this.events.heard();

  hold: Attacker["hold"] = (target, beginning, count) => this.attacker.hold(target, beginning, count);
  drip: Attacker["drip"] = (target, count) => this.attacker.drip(target, count);
  floodWith: Attacker["flood"] = (target, forMs) => this.attacker.flood(target, forMs);
  garbage: Attacker["garbage"] = (target, forMs) => this.attacker.garbage(target, forMs);
  hammer: Attacker["hammer"] = (target, forMs) => this.attacker.hammer(target, forMs);
  insider: Attacker["insider"] = (target, keys, visits) => this.attacker.insider(target, keys, visits);

  /** Closes what is open, first the channel. */
  async close(): Promise<void> {
    await this.events.close();
    await this.client.close();
    await this.device.close();
    await this.crew.close();
    await this.server.close();
    await this.mill.close();
  }

  /** Lets the event loop do nothing for so long. */
  block(ms: number): void {
    const endMs = sharedMs() + ms;
    while (sharedMs() < endMs);
  }

  /** From now on, the wall clock is wrong by so much. */
  jumpClock(byMs: number): void {
    const RealDate = Date;
    const realNow = Date.now.bind(Date);
    class JumpedDate extends RealDate {
      constructor(...parts: [] | [number]) {
        if (parts.length === 0) super(realNow() + byMs);
        else super(...parts);
      }

      static override now(): number {
        return realNow() + byMs;
      }
    }
    globalThis.Date = JumpedDate as unknown as DateConstructor;
  }

  /** Begins to look at the memory of the process again and again. */
  watchMemory(): number {
    const startBytes = process.memoryUsage.rss();
    const memory = {
      peakBytes: startBytes,
      timer: setInterval(() => (memory.peakBytes = Math.max(memory.peakBytes, process.memoryUsage.rss())), 50),
    };
    this.#memory = memory;
    return startBytes;
  }

  /** The most memory it has had since then. */
  peakMemory(): number {
    clearInterval(this.#memory?.timer);
    return this.#memory?.peakBytes ?? 0;
  }

  misbehave(misdeed: Misdeed): void {
    const deeds: Record<Misdeed, () => void> = {
      "leak file descriptor": () => openSync("/dev/null", "r"),
      "leak timer": () => {
        for (let number = 0; number < 20; number++) setTimeout(() => undefined, 2 ** 30).unref();
      },
      "leak handle": () => kept.push(setInterval(() => undefined, 2 ** 30)),
      "leak listener": () => process.on("SIGUSR2", () => undefined),
      "leak memory": () => kept.push(Array.from({ length: 1 << 19 }, (_, index) => index + 0.5)),
      "unhandled rejection": () => void Promise.reject(new Error("on purpose")),
      "uncaught exception": () => setImmediate(() => fail()),
      "stay alive": () => setTimeout(() => undefined, 60_000),
      "end twice": () => this.client.misbehave("end twice"),
      "never end": () => this.client.misbehave("never end"),
      "wrong reply": () => this.client.misbehave("wrong reply"),
      "execute twice": () => this.server.executeTwice(),
      "leak session": () => kept.push(this.client.leak()),
    };
    deeds[misdeed]();
  }
}

function fail(): never {
  throw new Error("on purpose");
}
