import { spawnSync } from "node:child_process";
import { curveKeyPair } from "zeromq";
import { portOf } from "../harness/addresses.ts";
import { mib } from "../harness/checks.ts";
import type { Peer } from "../harness/peer.ts";
import type { ScenarioPlan } from "../harness/run.ts";
import type { Scenario } from "../harness/scenario.ts";
import type { Snapshot } from "../peer/snapshot.ts";
import type { Target } from "../peer/attack-bytes.ts";
import type { Held } from "../peer/attacker.ts";
import { pause, sharedMs } from "../peer/clock.ts";

/** Promised: who has not finished the handshake is cut by then. */
const handshakeLimitMs = 5_000;
/** The same where connections wait to be accepted, by a process that has its hands full. */
const busyLimitMs = 20_000;
/** A polite client's p99 beside an attack, with all processes on two processors: when thousands connect at once. */
const politeP99Ms = 2_000;
/** Memory that the allocator keeps of what was let go: much is under way when 100,000 visits come at once. */
const keptBytes = 384 * 1024 * 1024;
/** What the heap may have more than before, after a collection: a leak for each visit would be more. */
const heapSlackBytes = 6 * 2 ** 20;
/** Of onTrouble, from a host with three addresses. */
const linesPerSecond = 30;
const fewFiles = 256;
const politePerSecond = 20;
const [serverKeys, politeKeys, insiderKeys] = [curveKeyPair(), curveKeyPair(), curveKeyPair()];

/** How much of each attack. */
interface Strength {
  /** Mute connections of each attacker. */
  readonly mute: number;
  readonly forMs: number;
  /** Half-open visits of each hostile client that is let in. */
  readonly visits: number;
  /** Whether there is also all of it at once. */
  readonly together: boolean;
}

export const abuse: ScenarioPlan = {
  name: "abuse",
  proves:
    "floods, silence, garbage, half handshakes, foreign keys, a hostile client that was let in, and a lack of open files leave a polite client of CURVE its 20 calls a second, and nothing behind.",
  transports: ["tcp"],
  run: (scenario) => attacked(scenario, { mute: 600, forMs: 2_500, visits: 34_000, together: true }),
};

export const abuseQuick: ScenarioPlan = {
  name: "abuse-quick",
  proves: "the same as abuse, with less of each attack; runs only where it is asked for with a transport.",
  transports: ["tcp"],
  byDefault: [],
  run: (scenario) => attacked(scenario, { mute: 200, forMs: 800, visits: 5_000, together: false }),
};

async function attacked(scenario: Scenario, { mute, forMs, visits, together }: Strength): Promise<void> {
  const server = await scenario.peer("server");
  const addresses = ["tcp://127.0.0.1:0", "ws://127.0.0.1:0", "tcp://0.0.0.0:0"];
  const siege = await Siege.begin(scenario, server, addresses);
  await siege.beside("mute connections, and halves of handshakes", () => silence(siege, mute, handshakeLimitMs));
  await siege.beside("a flood of connections", () => flood(siege, forMs));
  await siege.beside("garbage", () => garbage(siege, forMs));
  await server.ask("decideIn", 100);
  await siege.beside("foreign keys, while to decide takes 100 ms", () => hammer(siege, forMs));
  await server.ask("decideIn", 0);
  await siege.beside("a hostile client that is let in", () => insider(siege, visits));
  if (together)
    await siege.beside("all that strangers can do", () =>
      Promise.all([
        silence(siege, mute / 2, busyLimitMs),
        flood(siege, forMs),
        garbage(siege, forMs),
        hammer(siege, forMs),
        newcomers(siege, busyLimitMs),
      ]),
    );
  await siege.end();
  await withFewFiles(scenario);
}

/** A host, a process of polite clients, one for each address, and an attacker for each address. */
class Siege {
  readonly scenario: Scenario;
  readonly server: Peer;
  readonly targets: Target[];
  readonly #polite: Peer;
  readonly #attackers: Peer[];
  readonly #rssBytes: number;
  readonly #heapBytes: number;
  readonly #fds: number;
  #held = 0;
  #slowestMs = 0;

  private constructor(
    scenario: Scenario,
    server: Peer,
    targets: Target[],
    polite: Peer,
    attackers: Peer[],
    { fds, rssBytes, heapBytes }: Snapshot,
  ) {
    this.scenario = scenario;
    this.server = server;
    this.targets = targets;
    this.#polite = polite;
    this.#attackers = attackers;
    this.#fds = fds;
    this.#rssBytes = rssBytes;
    this.#heapBytes = heapBytes;
  }

  static async begin(scenario: Scenario, server: Peer, addresses: string[], name = "", more = {}): Promise<Siege> {
    const allowed = [politeKeys.publicKey, insiderKeys.publicKey];
    const bound = await server.ask("serveSecurely", addresses, { secretKey: serverKeys.secretKey, allowed, ...more });
    const polite = await scenario.peer(`polite${name}`);
    const targets: Target[] = [];
    const attackers: Peer[] = [];
    for (const address of bound) {
      const scheme = address.startsWith("ws") ? "ws" : "tcp";
      const target: Target = { scheme, port: portOf(address), serverKey: serverKeys.publicKey };
      await polite.ask("connectSecurely", `${scheme}://127.0.0.1:${target.port}`, target.serverKey, politeKeys);
      targets.push(target);
      attackers.push(await scenario.peer(`attacker${name} ${attackers.length + 1}`));
    }
    for (let call = 0; call < bound.length; call++) await polite.ask("reached", 5_000);
    if (!name) {
      await scenario.warmUp(polite);
      await scenario.baseline(server);
    }
    const before = await server.ask("snapshot", false);
    await polite.ask("startPaced", "polite", { method: "work", bytes: 32 }, politePerSecond);
    return new Siege(scenario, server, targets, polite, attackers, before);
  }

  /** One attacker on each address, at the same time. */
  async each<T>(attack: (attacker: Peer, target: Target) => Promise<T>): Promise<T[]> {
    return await Promise.all(this.targets.map((target, index) => attack(this.#attackers[index]!, target)));
  }

  /** Checks what the polite client got beside an attack, and that nothing of the attack is left. */
  async beside(what: string, attack: () => Promise<unknown>): Promise<void> {
    const { scenario, server } = this;
    scenario.step(what);
    await this.#polite.ask("take");
    [this.#held, this.#slowestMs] = [0, 0];
    const startedMs = sharedMs();
    await attack();
    const due = ((sharedMs() - startedMs) * politePerSecond) / 1000;
    const summary = await this.#polite.ask("take");
    scenario.expectCodes(`polite, beside ${what}`, { ...summary, open: [] }, ["OK"]);
    scenario.atLeast(`polite calls beside ${what}`, summary.ended, due * 0.7);
    scenario.atMost(`p99 of a polite client beside ${what}`, summary.latency.p99, politeP99Ms);
    scenario.figure(`polite p99 beside ${what}`, summary.latency.p99);
    if (this.#held > 0) scenario.figure(`${this.#held} connections, all cut within`, this.#slowestMs);
    const endMs = sharedMs() + 6_000;
    let now = await server.ask("snapshot", false);
    for (; now.fds > this.#fds && sharedMs() < endMs; now = await server.ask("snapshot", false)) await pause(100);
    scenario.equal(`open files after ${what}`, now.fds, this.#fds);
    // The heap of a process that has just started grows anyhow.
    if (!server.baseline) return;
    const within = (name: string, was: number, is: number, limit: number): void =>
      scenario.check("memory", `${name} after ${what}`, is <= limit, `${mib(was)}, at most ${mib(limit)}`, mib(is));
    within("heap", this.#heapBytes, now.heapBytes, this.#heapBytes + heapSlackBytes);
    within("memory", this.#rssBytes, now.rssBytes, this.#rssBytes + keptBytes);
    scenario.figure("rss then", mib(now.rssBytes));
  }

  /** Those that kept silent were cut in time. */
  held(what: string, { opened, cut, slowestMs }: Held, limitMs: number): void {
    this.scenario.equal(`${what}: connections that were cut, of ${opened}`, cut, opened);
    this.scenario.atMost(`${what}: until the last was cut`, slowestMs, limitMs);
    this.#slowestMs = Math.max(this.#slowestMs, slowestMs);
    this.#held += opened;
  }

  async end(): Promise<void> {
    const { scenario, server } = this;
    await this.#polite.ask("stop", "polite");
    await scenario.outcome("all the time", this.#polite, ["OK"]);
    const { lines, mostPerSecond, unclean, kinds } = await server.ask("troubles");
    scenario.atMost("lines of onTrouble in a second", mostPerSecond, linesPerSecond, "lines");
    scenario.equal("lines of onTrouble that are not fit for a log", unclean.length, 0);
    if (unclean.length > 0) scenario.equal("the first of them", JSON.stringify(unclean[0]), "");
    scenario.figure("told of troubles", lines, `lines of ${kinds.length} kinds`);
  }
}

async function silence(siege: Siege, mute: number, limitMs: number): Promise<void> {
  const many = await siege.each((attacker, target) =>
    Promise.all([
      attacker.ask("hold", target, "mute", mute),
      attacker.ask("hold", target, "half", 150),
      attacker.ask("hold", target, "greeting", 150),
      attacker.ask("hold", target, "hello", 150),
      attacker.ask("drip", target, 50),
    ]),
  );
  for (const [index, held] of many.entries()) {
    const { scheme } = siege.targets[index]!;
    const names = ["mute", "half a greeting", "greeting only", "HELLO only", "byte by byte"];
    for (const [kind, each] of held.entries()) siege.held(`${scheme} ${index + 1}, ${names[kind]!}`, each, limitMs);
  }
}

async function flood(siege: Siege, forMs: number): Promise<void> {
  const counts = await siege.each((attacker, target) => attacker.ask("floodWith", target, forMs));
  siege.scenario.figure("connections a second", (sum(counts) / forMs) * 1000, "");
}

async function garbage(siege: Siege, forMs: number): Promise<void> {
  const counts = await siege.each((attacker, target) => attacker.ask("garbage", target, forMs));
  siege.scenario.figure("pieces of garbage", sum(counts), "");
}

async function hammer(siege: Siege, forMs: number): Promise<void> {
  const counts = await siege.each((attacker, target) => attacker.ask("hammer", target, forMs));
  siege.scenario.figure("foreign keys a second", (sum(counts) / forMs) * 1000, "");
}

async function insider(siege: Siege, visits: number): Promise<void> {
  const startedMs = sharedMs();
  const answers = await siege.each((attacker, target) => attacker.ask("insider", target, insiderKeys, visits));
  siege.scenario.figure(`${visits * answers.length} visits in`, sharedMs() - startedMs);
}

/** Clients that come for the first time in the middle of an attack. */
async function newcomers({ scenario, targets }: Siege, withinMs: number): Promise<void> {
  await pause(1_000);
  for (const { scheme, port, serverKey } of targets.slice(0, 2)) {
    const newcomer = await scenario.peer(`newcomer over ${scheme}`);
    await newcomer.ask("connectSecurely", `${scheme}://127.0.0.1:${port}`, serverKey, politeKeys);
    const reachedMs = await newcomer.ask("reached", withinMs);
    scenario.atMost(`until a newcomer got in over ${scheme}`, reachedMs, withinMs);
    scenario.figure(`newcomer over ${scheme} in after`, reachedMs);
    await newcomer.ask("close");
  }
}

/** Processes that may open few files: whoever is in goes on, and with `maxConnections` newcomers get in as well. */
async function withFewFiles(scenario: Scenario): Promise<void> {
  const begin = async (name: string, addresses: string[], more: object): Promise<Siege> => {
    const server = await scenario.peer(name);
    const { status } = spawnSync("prlimit", ["--pid", String(server.pid), `--nofile=${fewFiles}`]);
    scenario.equal("prlimit", status, 0);
    return await Siege.begin(scenario, server, addresses, ` of ${name}`, more);
  };
  const hold = async (siege: Siege): Promise<Held[]> =>
    await siege.each((attacker, target) => attacker.ask("hold", target, "mute", fewFiles * 2));
  const bare = await begin("few files", ["tcp://127.0.0.1:0"], {});
  const limited = await begin("limited", ["tcp://127.0.0.1:0", "ws://127.0.0.1:0"], { maxConnections: 1_000 });
  await Promise.all([
    bare.beside("a lack of open files", () => hold(bare)),
    limited.beside("as many connections as may be", () => Promise.all([hold(limited), newcomers(limited, 4_000)])),
  ]);
  await bare.end();
  await limited.end();
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, number) => total + number, 0);
}
