import { cpus, loadavg, release, totalmem, type } from "node:os";

/** What a run was measured on. */
export interface Machine {
  readonly cpu: string;
  readonly cores: number;
  readonly node: string;
  readonly os: string;
  readonly memoryGiB: number;
  /** The load average over a minute before the run began. */
  readonly loadBefore: number;
}

/** Looks at this machine. */
export function describeMachine(): Machine {
  const processors = cpus();
  return {
    cpu: processors[0]?.model.trim() ?? "unknown",
    cores: processors.length,
    node: process.version,
    os: `${type()} ${release()}`,
    memoryGiB: Math.round(totalmem() / 2 ** 30),
    loadBefore: Math.round((loadavg()[0] ?? 0) * 100) / 100,
  };
}

/** In one line. */
export function machineLine(machine: Machine): string {
  const { cpu, cores, node, os, memoryGiB, loadBefore } = machine;
  return `${cores} × ${cpu}, ${memoryGiB} GiB, ${os}, Node ${node}, load before the run ${loadBefore}`;
}
