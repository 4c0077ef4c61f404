import type { ScenarioPlan } from "./harness/run.ts";
import { abuse, abuseQuick } from "./scenarios/abuse.ts";
import { churn } from "./scenarios/churn.ts";
import { clientKilled } from "./scenarios/client-killed.ts";
import { clientStopped } from "./scenarios/client-stopped.ts";
import { cyclesScenario } from "./scenarios/cycles.ts";
import { device } from "./scenarios/device.ts";
import { flood } from "./scenarios/flood.ts";
import { events } from "./scenarios/events.ts";
import { halfOpen } from "./scenarios/half-open.ts";
import { restartInTurn, restartStreams } from "./scenarios/restart-in-turn.ts";
import { serverKilled } from "./scenarios/server-killed.ts";
import { serverStopped } from "./scenarios/server-stopped.ts";
import { slowConsumer } from "./scenarios/slow-consumer.ts";
import { garbage } from "./scenarios/garbage.ts";
import { clockJump } from "./scenarios/clock-jump.ts";
import { workersKilled } from "./scenarios/workers-killed.ts";
import { blockedLoop } from "./scenarios/blocked-loop.ts";

/** All scenarios, in the order in which they run. */
export const suite: readonly ScenarioPlan[] = [
  serverKilled,
  clientKilled,
  serverStopped,
  clientStopped,
  halfOpen,
  restartInTurn,
  restartStreams,
  flood,
  churn,
  device,
  cyclesScenario,
  slowConsumer,
  garbage,
  clockJump,
  blockedLoop,
  workersKilled,
  events,
  abuse,
  abuseQuick,
];
