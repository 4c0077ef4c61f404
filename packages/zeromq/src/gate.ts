import { parseAddress } from "./address.ts";
import type { AddressMode, ParsedAddress } from "./address.ts";
import { checkExposure, exposureWarning, isExposed } from "./guard.ts";
import type { ZeromqSettings } from "./options.ts";

/** Through which each address has to go that a socket is bound or connected to; warns of each exposed one once. */
export class AddressGate {
  readonly #settings: ZeromqSettings;
  readonly #warned = new Set<string>();

  constructor(settings: ZeromqSettings) {
    this.#settings = settings;
  }

  /** The address, taken apart; TypeError if it is none, or may not be used. */
  check(address: string, mode: AddressMode): ParsedAddress {
    const parsed = parseAddress(address, mode);
    checkExposure(parsed, this.#settings, mode);
    return parsed;
  }

  /** The same, for an address that will be used now. */
  pass(address: string, mode: AddressMode): ParsedAddress {
    const parsed = this.check(address, mode);
    if (!isExposed(parsed, this.#settings, mode) || this.#warned.has(address)) return parsed;
    this.#warned.add(address);
    this.#settings.onWarning(exposureWarning(address));
    return parsed;
  }
}
