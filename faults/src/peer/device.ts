import { QueueDevice } from "zerobind";
import type { QueueDeviceAddresses, QueueDeviceOptions, QueueDeviceStatus } from "zerobind";
import { pause } from "./clock.ts";

/** Options of a device that travel to its process. */
export type DeviceSettings = Omit<QueueDeviceOptions, "binding" | "plainBinding" | "onTrouble" | "onWorker">;

/** The queue device of a process, if it has one. */
export class Device {
  #device: QueueDevice | undefined;

  async open(settings: DeviceSettings): Promise<QueueDeviceAddresses> {
    this.#device = new QueueDevice(settings);
    await this.#device.open();
    return this.#device.addresses;
  }

  status(): QueueDeviceStatus | undefined {
    return this.#device?.status;
  }

  /** Resolves when so many workers are there, or after a while. */
  async workers(count: number, withinMs: number): Promise<void> {
    for (let left = withinMs; left > 0 && this.status()?.workers !== count; left -= 20) await pause(20);
  }

  async close(): Promise<void> {
    await this.#device?.close();
  }
}
