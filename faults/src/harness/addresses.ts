import { join } from "node:path";

export const transports = ["tcp", "ipc", "ws"] as const;
export type Transport = (typeof transports)[number];

/** An address that nobody uses yet. Where the port is drawn, the host tells which it got. */
export function freeAddress(transport: Transport, folder: string, name: string): string {
  return transport === "ipc" ? `ipc://${join(folder, `${name}.sock`)}` : `${transport}://127.0.0.1:0`;
}

/** The port of a TCP or WebSocket address. */
export function portOf(address: string): number {
  return Number(new URL(address.replace(/^\w+:/, "http:")).port);
}
