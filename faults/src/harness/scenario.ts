import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { ChannelSettings } from "../peer/client.ts";
import { pause, sharedMs } from "../peer/clock.ts";
import { readExecutions } from "../peer/execution-log.ts";
import type { Summary } from "../peer/ledger.ts";
import type { HostOptions } from "../peer/server.ts";
import type { Snapshot } from "../peer/snapshot.ts";
import { freeAddress } from "./addresses.ts";
import type { Transport } from "./addresses.ts";
import { check, checkBack, checkEndings, checkMemory, mib } from "./checks.ts";
import type { Check, CheckKind } from "./checks.ts";
import { Peer } from "./peer.ts";
import { randomOf } from "./random.ts";
import type { Random } from "./random.ts";

/** After this, a process that was closed has failed to end by itself. */
const exitLimitMs = 2_000;

let lastNumber = 0;

/** One run of one scenario: its processes, what was checked, and the figures that came out. */
export class Scenario {
  /** How long a process may take to let go of what it held: sockets are closed by another thread. */
  quietLimitMs = 6_000;
  readonly transport: Transport;
  readonly random: Random;
  readonly checks: Check[] = [];
  readonly figures: string[] = [];
  readonly peers: Peer[] = [];
  readonly #folder = mkdtempSync(join(tmpdir(), "zerobind-faults-"));
  readonly #progress: (what: string) => void;
  #finished = false;

  constructor(transport: Transport, seed: number, progress: (what: string) => void) {
    this.transport = transport;
    this.random = randomOf(seed);
    this.#progress = progress;
  }

  /** Says what is being done. */
  step(what: string): void {
    this.#progress(what);
  }

  /** An address that nobody uses; a port is drawn when a server opens it. */
  freeAddress(name: string): string {
    return freeAddress(this.transport, this.#folder, name);
  }

  async peer(name: string): Promise<Peer> {
    const number = ++lastNumber;
    const peer = new Peer(name, number, join(this.#folder, `${number}.log`));
    this.peers.push(peer);
    await peer.ready;
    return peer;
  }

  /** Starts a server; at a known address if one is given. */
  async server(name: string, options: HostOptions = {}, address = this.freeAddress(name)): Promise<Peer> {
    const peer = await this.peer(name);
    peer.address = await peer.ask("serve", address, options);
    return peer;
  }

  /** Starts a client that is connected, and warm, when this resolves. */
  async client(name: string, address: string | string[], settings: ChannelSettings = {}, channels = 1): Promise<Peer> {
    const peer = await this.peer(name);
    await peer.ask("connect", address, settings, channels);
    await peer.ask("reached", 5_000);
    return peer;
  }

  /** Runs every kind of call some times, so that code is compiled and buffers are made before anything is measured. */
  async warmUp(client: Peer, rounds = 1): Promise<void> {
    for (let round = 0; round < rounds; round++) {
      await client.ask("make", { method: "work" }, 2_000, 200);
      await client.ask("make", { method: "work", fail: true }, 200, 50);
      await client.ask("make", { method: "work", delayMs: 500, timeoutMs: 30 }, 200, 200);
      await client.ask("make", { method: "tell" }, 200, 50);
      for (const method of ["watch", "collect", "relay"] as const)
        await client.ask("make", { method, count: 20, intervalMs: 0 }, 60, 20);
    }
    this.expectCodes("warm-up", await client.ask("take"), ["OK", "ABORTED", "DEADLINE_EXCEEDED"]);
  }

  /** Remembers what these processes hold, now that all is quiet. */
  async baseline(...peers: Peer[]): Promise<void> {
    await Promise.all(peers.map(async (peer) => (peer.baseline = await steady(peer))));
  }

  check(kind: CheckKind, what: string, ok: boolean, expected: unknown, found: unknown): void {
    this.checks.push(check(kind, what, ok, expected, found));
  }

  equal(what: string, found: unknown, expected: unknown): void {
    this.check("figures", what, found === expected, expected, found);
  }

  atMost(what: string, found: number, limit: number, unit = "ms"): void {
    this.check("figures", what, found <= limit, `at most ${limit} ${unit}`, `${round(found)} ${unit}`);
  }

  atLeast(what: string, found: number, limit: number, unit = ""): void {
    this.check("figures", what, found >= limit, `at least ${limit} ${unit}`, `${round(found)} ${unit}`);
  }

  figure(name: string, value: number | string, unit = "ms"): void {
    this.figures.push(`${name} ${typeof value === "number" ? `${round(value)} ${unit}` : value}`);
  }

  /** Checks the endings, and that all calls ended with one of these codes. */
  expectCodes(who: string, summary: Summary, allowed: readonly string[]): void {
    this.checks.push(...checkEndings(who, summary));
    const others = Object.keys(summary.codes).filter((code) => !allowed.includes(code));
    const found = others.map(
      (code) => `${code} ${JSON.stringify(summary.methods[code])} (${summary.errors[code] ?? ""})`,
    );
    this.check(
      "figures",
      `${who}: codes`,
      others.length === 0,
      allowed.join(" or "),
      found.join("; ") || "as expected",
    );
  }

  /** Waits until all calls of a client have ended, and checks their endings and codes. */
  async outcome(who: string, client: Peer, allowed: readonly string[], withinMs = 10_000): Promise<Summary> {
    await client.ask("settled", withinMs);
    const summary = await client.ask("take");
    this.expectCodes(`${client.name}, ${who}`, summary, allowed);
    return summary;
  }

  /** What is checked after each scenario; a scenario that needs more than its processes calls it itself. */
  async finish(): Promise<void> {
    if (this.#finished) return;
    this.#finished = true;
    const living = this.peers.filter(({ isAlive }) => isAlive);
    for (const peer of living) {
      await peer.ask("settled", 5_000);
      this.checks.push(...checkEndings(`${peer.name}, rest`, await peer.ask("take")));
      const wrong = await peer.ask("wrong");
      this.check(
        "replies",
        `${peer.name}: requests`,
        wrong.length === 0,
        "as they were sent",
        wrong.join("; ") || "so",
      );
    }
    await Promise.all(living.map((peer) => this.#checkBack(peer)));
    // Clients came after the servers that they call.
    for (const peer of living.toReversed()) await this.#leave(peer);
    for (const { name, faults, ending, killed } of this.peers) {
      this.check("faults", `${name}: errors nobody handled`, faults.length === 0, "none", faults.join("; ") || "none");
      const fine = killed || ending?.code === 0;
      this.check("exit", `${name}: exit status`, fine, "0", `${ending?.code ?? ending?.signal ?? "still there"}`);
    }
    const { executions, twice } = readExecutions(this.peers.map(({ logPath }) => logPath));
    const found = twice.length === 0 ? "none" : `${twice.length}: ${twice.slice(0, 3).join("; ")}`;
    this.check("executions", `carried out twice, of ${executions}`, twice.length === 0, "none", found);
  }

  /** Ends what is left, whatever has happened. */
  async dispose(): Promise<void> {
    for (const peer of this.peers) if (peer.isAlive) await peer.kill();
    rmSync(this.#folder, { recursive: true, force: true });
  }

  /** Waits until a process is as it was, and checks that it is. */
  async #checkBack(peer: Peer): Promise<void> {
    const before = peer.baseline;
    if (!before) return;
    const endMs = sharedMs() + this.quietLimitMs;
    const isLate = (): boolean => sharedMs() > endMs;
    while (!isSame({ ...before, objects: {} }, await peer.ask("snapshot", false)) && !isLate()) await pause(100);
    let after = await peer.ask("snapshot", true);
    for (; !isSame(before, after) && !isLate(); after = await peer.ask("snapshot", true)) await pause(100);
    this.checks.push(...checkBack(peer.name, before, after), checkMemory(peer.name, before, after));
    const heap = (after.heapBytes / before.heapBytes - 1) * 100;
    this.figure(`${peer.name}: heap`, `${heap >= 0 ? "+" : ""}${heap.toFixed(1)} %`);
    this.figure("rss", `${mib(before.rssBytes)} → ${mib(after.rssBytes)}`);
  }

  async #leave(peer: Peer): Promise<void> {
    const left = await peer.leave(exitLimitMs);
    const found = left ? `${round(left.closeMs)} ms to close, ${round(left.exitMs)} ms to end` : "still running";
    const inTime = left !== undefined && left.exitMs <= exitLimitMs;
    this.check("exit", `${peer.name}: ends by itself when closed`, inTime, `within ${exitLimitMs} ms`, found);
    if (!left) await peer.kill();
  }
}

/** Looks until two looks in a row agree, so that what is on its way out is gone. */
async function steady(peer: Peer): Promise<Snapshot> {
  let last = await peer.ask("snapshot", false);
  for (let round = 0; round < 20; round++) {
    await pause(100);
    const next = await peer.ask("snapshot", false);
    if (isSame(last, next)) break;
    last = next;
  }
  return await peer.ask("snapshot", true);
}

function isSame(before: Snapshot, after: Snapshot): boolean {
  return [...checkBack("", before, after), checkMemory("", before, after)].every(({ ok }) => ok);
}

function round(value: number): number {
  return value >= 100 ? Math.round(value) : Math.round(value * 10) / 10;
}
