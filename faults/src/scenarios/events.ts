import { mib } from "../harness/checks.ts";
import type { Peer } from "../harness/peer.ts";
import type { ScenarioPlan } from "../harness/run.ts";
import type { Scenario } from "../harness/scenario.ts";
import { pause } from "../peer/clock.ts";
import type { Heard } from "../peer/events.ts";

const runMs = 15_000;
const stopAfterMs = 2_000;
const stoppedMs = 11_000;
const perSecond = 5_000;
const groups = 20;
const bytes = 100;
/** Small, so that what the system buffers does not hide the loss. */
const maxQueuedMessages = 1_000;
const limitBytes = 64 * 1024 * 1024;
/** Subscribers, by process; 50 with those that are stopped. */
const listeners = [12, 12, 12, 12];
const stoppedListeners = 2;

export const events: ScenarioPlan = {
  name: "events",
  proves:
    "of 5,000 events a second to 50 subscribers, those that run miss none while two are stopped; those learn how many they missed, and the publisher keeps within 64 MiB of its start.",
  transports: ["tcp", "ipc"],

  async run(scenario) {
    const feed = await scenario.peer("feed");
    const address = await feed.ask("feed", scenario.freeAddress("feed"), { maxQueuedMessages });
    const others: Peer[] = [];
    for (const [index, count] of listeners.entries())
      others.push(await listener(scenario, `listener ${index + 1}`, address, count));
    const stopped = await listener(scenario, "stopped", address, stoppedListeners);
    await feed.ask("feedReady", 50);
    await feed.ask("publish", { perSecond, forMs: 500, groups, bytes });
    scenario.step(`publishing for ${runMs / 1000} s`);
    await stopOne(scenario, feed, stopped, others);
  },
};

async function listener(scenario: Scenario, name: string, address: string, count: number): Promise<Peer> {
  const peer = await scenario.peer(name);
  await peer.ask("listen", address, count);
  return peer;
}

async function stopOne(scenario: Scenario, feed: Peer, stopped: Peer, others: Peer[]): Promise<void> {
  const before = (await feed.ask("feedCounters"))["published"] ?? 0;
  const startBytes = await feed.ask("watchMemory");
  const publishing = feed.ask("publish", { perSecond, forMs: runMs, groups, bytes });
  await pause(stopAfterMs);
  stopped.signal("SIGSTOP");
  await pause(stoppedMs);
  stopped.signal("SIGCONT");
  const { published, load } = await publishing;
  const growth = (await feed.ask("peakMemory")) - startBytes;
  const total = before + published;
  const [late = [], ...heard] = await settled([stopped, ...others], total);
  const on = heard.flat();
  const few = on.filter(({ received }) => received < total).length;
  scenario.equal("subscribers that run", on.length, 48);
  scenario.check("figures", "those that missed an event", few === 0, "none", few);
  scenario.equal(
    "gaps they were told of, and events out of order",
    on.reduce((sum, { gaps, wrong }) => sum + gaps + wrong, 0),
    0,
  );
  for (const { received, lost, wrong } of late) {
    scenario.equal("stopped: events that came, and that it knows it missed", received + lost, total);
    scenario.atLeast("stopped: events missed", lost, 1);
    scenario.equal("stopped: events that neither follow nor have a gap before them", wrong, 0);
    scenario.figure("stopped: missed", lost, `of ${total}`);
  }
  scenario.atLeast("events published", published, perSecond * (runMs / 1000) * 0.95);
  scenario.figure("publisher: load", load * 100, "%");
  scenario.figure("publisher grew by", mib(growth));
  const ok = growth <= limitBytes;
  scenario.check("memory", "growth of the publisher", ok, `at most ${mib(limitBytes)}`, mib(growth));
  const told = (await feed.ask("feedCounters"))["lost"] ?? 0;
  scenario.equal(
    "events that the publisher was told of as lost",
    told,
    late.reduce((sum, { lost }) => sum + lost, 0),
  );
}

/** What each process has heard, when all that was published has been accounted for. */
async function settled(peers: Peer[], total: number): Promise<Heard[][]> {
  for (let round = 0; ; round++) {
    const heard = await Promise.all(peers.map((peer) => peer.ask("heard")));
    const open = heard.flat().filter(({ received, lost }) => received + lost < total);
    // What was lost is told to the publisher a little later.
    if (open.length === 0) await pause(1_000);
    if (open.length === 0 || round >= 50) return heard;
    await pause(100);
  }
}
