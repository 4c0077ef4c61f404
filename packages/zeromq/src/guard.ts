import { lstat } from "node:fs/promises";
import type { AddressMode, ParsedAddress } from "./address.ts";
import { isEncrypted } from "./curve/secured.ts";
import type { ZeromqSettings } from "./options.ts";
import { codeOf } from "./socket.ts";
import { refuseInMortalThread } from "./thread-guard.ts";

// Importing it would make Node load its streams at once, which takes longer than most of what is in this package.
const { lstatSync, unlinkSync } = process.getBuiltinModule("node:fs");

/**
 * TypeError unless what travels to and from the address stays on this machine, or the options allow it to leave; Error
 * in a thread that must have no sockets.
 */
export function checkExposure(parsed: ParsedAddress, settings: ZeromqSettings, mode: AddressMode): void {
  refuseInMortalThread();
  const { address } = parsed;
  if (isEncrypted(parsed, settings.curve, mode) || !parsed.remote || settings.insecure) return;
  const curve =
    mode === "bind"
      ? 'curve: serverCurve({ secretKey: { file: "server.cert_secret" }, allow: "./clients" })'
      : 'curve: curveClient({ serverKey: { file: "server.cert" }, keyPair: { file: "client.cert_secret" } })';
  throw new TypeError(
    `${address} reaches beyond this machine, and nothing protects it there: whoever gets at it can read and change every ` +
      `call and stop the process. Encrypt it, with zeromq: { ${curve} } and keys from "zerobind keygen"; or, in a network ` +
      "that is trusted as a whole, say so with zeromq: { insecure: true }. On this machine 127.0.0.1 and ipc:// need neither",
  );
}

/** Whether an address is open to others without encryption, which is worth a warning. */
export function isExposed(parsed: ParsedAddress, settings: ZeromqSettings, mode: AddressMode): boolean {
  return parsed.remote && !isEncrypted(parsed, settings.curve, mode);
}

/** What is said once about an address that `insecure` allowed. */
export function exposureWarning(address: string): string {
  return (
    `${address} is open beyond this machine without encryption or authentication (insecure: true): whoever gets at it can ` +
    "read and change every call and stop the process. Use curve, 127.0.0.1 or ipc:// to be safe"
  );
}

/**
 * Rejects if an ipc path is in use: ZeroMQ would take it away from whoever has it, without a word to either. A file
 * that a dead process left behind is no hindrance. Two processes that start in the same instant are not told apart.
 */
export async function checkIpcPathFree(parsed: ParsedAddress): Promise<void> {
  if (parsed.path === undefined) return;
  const stats = await lstat(parsed.path).catch(() => undefined);
  if (!stats) return;
  if (!stats.isSocket()) throw bindError(parsed.endpoint, "EEXIST");
  if (await somebodyAnswers(parsed.path)) throw bindError(parsed.endpoint, "EADDRINUSE");
}

/** Removes the file of an ipc path that `checkIpcPathFree` has found free, for those that bind without ZeroMQ. */
export function removeSocketFile({ path }: ParsedAddress): void {
  if (path !== undefined && inodeOf(path) !== undefined) unlinkSync(path);
}

/**
 * The function that removes the file of an ipc path that was just bound, which ZeroMQ leaves behind. It does not touch
 * the file of somebody who has taken the path over in the meantime.
 */
export function ipcPathRemover({ path }: ParsedAddress): () => void {
  if (path === undefined) return () => undefined;
  const inode = inodeOf(path);
  return () => {
    if (inode !== undefined && inodeOf(path) === inode) unlinkSync(path);
  };
}

function inodeOf(path: string): bigint | undefined {
  return lstatSync(path, { bigint: true, throwIfNoEntry: false })?.ino;
}

async function somebodyAnswers(path: string): Promise<boolean> {
  // Few programs come here, and all of them would load it.
  const { connect } = await import("node:net");
  return new Promise((resolve) => {
    const socket = connect({ path });
    socket.once("connect", () => {
      socket.destroy();
      resolve(true);
    });
    // EAGAIN: somebody listens, and is too busy to answer.
    socket.once("error", (error) => resolve(codeOf(error) === "EAGAIN"));
  });
}

/** Why an address cannot be bound, by error code. */
const reasons: Readonly<Record<string, string>> = {
  EACCES: "this process may not use it; ports below 1024 and foreign directories need more rights",
  EADDRINUSE:
    'it is in use by another process, or elsewhere in this one; stop that one or choose another (tcp port ":0" is a free one)',
  EADDRNOTAVAIL: "this machine has no such network address; 127.0.0.1 is this machine only, * is all its addresses",
  EEXIST: "there is a file that is no socket; choose another path",
  EMFILE: "this process has too many sockets or files open",
  EAGAIN:
    "its host is no address and no network interface of this machine; 127.0.0.1 is this machine only, * is all its addresses",
  ENODEV: "this machine has no such network interface; 127.0.0.1 is this machine only, * is all its addresses",
  ENOTFOUND:
    "its host is no address and no network interface of this machine; 127.0.0.1 is this machine only, * is all its addresses",
  ENOENT: "its directory does not exist; make it first",
};

/** Hosts that need not be looked up. */
const numericHost = /^(?:tcp|ws):\/\/(?:\d+(?:\.\d+){3}|\[.*\]|\*):/;

/** An error that names the address, why it cannot be bound, and what to do. */
export function bindError(address: string, given: string, cause?: unknown): Error {
  // The binding asks for the code on another thread, which now and then knows no better than that it failed.
  const code = given === "EAGAIN" && numericHost.test(address) ? "EADDRINUSE" : given;
  // What has no code comes from here, and says what there is to say.
  const told = code === "unknown" ? (cause as { message?: string } | undefined)?.message : undefined;
  const reason = told ?? `${reasons[code] ?? "the system refused it"} (${code})`;
  const error = new Error(`cannot bind ${address}: ${reason}`, cause === undefined ? undefined : { cause });
  return Object.assign(error, { code });
}
