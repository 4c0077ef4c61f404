import { expect, test } from "@jest/globals";
import { startHere } from "./support/cli.ts";

test("zerobind device streamer and forwarder run until Ctrl-C, and wrong command lines are told of", async () => {
  const anywhere = ["--frontend", "tcp://127.0.0.1:*", "--backend", "tcp://127.0.0.1:*"];
  const running = startHere(["device", "streamer", ...anywhere, "--high-water-mark", "5"]);
  expect(await running.line()).toMatch(/^listening tcp:\/\/127\.0\.0\.1:\d+ \(frontend\)$/);
  expect(await running.line()).toMatch(/^listening tcp:\/\/127\.0\.0\.1:\d+ \(backend\)$/);
  running.interrupt();
  expect(await running.outcome).toMatchObject({ status: 0, stderr: "" });

  const forwarder = startHere(["device", "forwarder", ...anywhere]);
  expect(await forwarder.line()).toMatch(/^listening .+ \(frontend\)$/);
  forwarder.interrupt();
  expect(await forwarder.outcome).toMatchObject({ status: 0 });
  const wrong = await startHere(["device", "forwarder", "-f", "tcp://*:5", "-b", "tcp://127.0.0.1:*"]).outcome;
  expect(wrong).toMatchObject({ status: 64 });
  expect(wrong.stderr).toContain("say --insecure");
});
