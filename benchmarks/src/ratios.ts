import { median } from "./figures.ts";
import type { Figures } from "./figures.ts";
import { subjects } from "./subjects.ts";

const ours = "zerobind";

/** The numbers that a run is judged by; those whose parts were not measured are left out. */
export function ratiosOf(figures: Figures): Record<string, number> {
  const best = (work: string, of: readonly string[]): string =>
    of.reduce((left, right) => (throughput(right, work) > throughput(left, work) ? right : left), of[0] ?? "");
  const samples = figures.samples.bind(figures);
  const throughput = (subject: string, work: string): number => {
    const all = samples(work, subject, "throughput");
    return all.length > 0 ? median(all) : 0;
  };
  const against = (work: string, other: string, metric = "throughput"): number =>
    quotient(samples(work, ours, metric), samples(work, other, metric));
  const peers = Object.keys(subjects).filter((name) => subjects[name]?.peer);
  const grpc = ["grpc-js", "nice-grpc"];
  const all: Record<string, number> = {
    unary100_vs_grpcjs: against("unary100", "grpc-js"),
    unary100_vs_best_peer: against("unary100", best("unary100", peers)),
    unary100_vs_zeromq: against("unary100", "zeromq"),
    unary1000_vs_coalescing: against("unary1000", "coalescing"),
    latency_vs_zeromq: against("latency", "zeromq", "p50"),
    stream_vs_best_grpc: against("download", best("download", grpc)),
    clientstream_vs_best_grpc: against("upload", best("upload", grpc)),
    bidi_vs_best_grpc: against("chat", best("chat", grpc)),
    payload1m_vs_zeromq: against("unary-1m", "zeromq"),
    p99_over_p50_half_load: quotient(samples("load", "50 % load", "p99"), samples("load", "50 % load", "p50")),
    bytes_per_inflight_call: median(samples("memory", ours, "heap per call held open")),
    full_call_vs_bare_call: quotient(
      samples("features", "full call", "throughput"),
      samples("features", "bare call", "throughput"),
    ),
    device_vs_direct: quotient(
      samples("device", "zerobind-device", "throughput"),
      samples("device", ours, "throughput"),
    ),
    device_latency_vs_direct: quotient(
      samples("device-latency", "zerobind-device", "p50"),
      samples("device-latency", ours, "p50"),
    ),
    curve_vs_plaintext: quotient(
      samples("curve", "zerobind-curve", "throughput"),
      samples("curve", ours, "throughput"),
    ),
    curve_latency_vs_plaintext: quotient(
      samples("curve-latency", "zerobind-curve", "p50"),
      samples("curve-latency", ours, "p50"),
    ),
    curve_1m_vs_plaintext: quotient(
      samples("curve-1m", "zerobind-curve", "throughput"),
      samples("curve-1m", ours, "throughput"),
    ),
    import_ms_over_zeromq: median(samples("start", ours, "import over zeromq's")),
  };
  return Object.fromEntries(Object.entries(all).filter(([, value]) => Number.isFinite(value)));
}

/** The median over the rounds of the ratio within each: what slows a whole round down does not count. */
function quotient(above: readonly number[], below: readonly number[]): number {
  return median(above.flatMap((value, round) => (below[round] === undefined ? [] : [value / below[round]])));
}
