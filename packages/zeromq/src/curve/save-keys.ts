import { formatCertificate } from "./certificate.ts";
import type { CurveKeyPair } from "./keys.ts";

/** Where and how `saveKeyPair` writes. */
export interface SaveKeyPairOptions {
  /** Made if it is not there, for its owner only. Default: the current directory. */
  readonly directory?: string | undefined;
  /** The files are `NAME.cert` and `NAME.cert_secret`; without a metadata `name`, it is also who the key stands for. */
  readonly name: string;
  /** What the certificates say beside the keys, such as `roles`, comma-separated. */
  readonly metadata?: Readonly<Record<string, string>> | undefined;
  /** Whether files that are there are replaced. Default false: they make it throw. */
  readonly force?: boolean | undefined;
}

/**
 * Writes a key pair as two certificates that CZMQ and pyzmq can read, and gives their paths: `publicFile`, to be copied
 * to the other side, and `secretFile`, which nobody but its owner may read, and which stays. TypeError for a name that is none for
 * files; an Error with the code EEXIST if one of them is there, and then nothing is written.
 */
export function saveKeyPair(
  { publicKey, secretKey }: CurveKeyPair,
  { directory = ".", name, metadata = {}, force = false }: SaveKeyPairOptions,
): { publicFile: string; secretFile: string } {
  const fs = process.getBuiltinModule("node:fs");
  const path = process.getBuiltinModule("node:path");
  checkFileName(name);
  const entries = new Map(Object.entries(metadata));
  const secretText = formatCertificate({ publicKey, secretKey, metadata: entries });
  const publicText = formatCertificate({ publicKey, secretKey: undefined, metadata: entries });
  fs.mkdirSync(directory, { recursive: true, mode: 0o700 });
  const [publicFile, secretFile] = [path.join(directory, `${name}.cert`), path.join(directory, `${name}.cert_secret`)];
  if (!force)
    for (const file of [publicFile, secretFile])
      if (fs.lstatSync(file, { throwIfNoEntry: false })) throw existing(file);
  writeWhole(secretFile, secretText, 0o600, force);
  try {
    writeWhole(publicFile, publicText, 0o644, force);
  } catch (error) {
    if (!force) fs.unlinkSync(secretFile);
    throw error;
  }
  return { publicFile, secretFile };
}

function checkFileName(name: string): void {
  if (/^(?![.-])[\p{L}\p{N}._@+-]{1,100}$/u.test(name) && !/\.(cert|key)(_secret)?$/.test(name)) return;
  throw new TypeError(
    `${JSON.stringify(name)} is no name for a key pair; it must have letters, digits and . _ - @ + only, begin with none of . and -, ` +
      "and have no ending: the files become NAME.cert and NAME.cert_secret",
  );
}

function existing(path: string): Error {
  return Object.assign(new Error(`${path} is there already; its keys may be in use`), { code: "EEXIST" });
}

/** The file has its mode from its first moment. What is replaced is there, whole, until the new one is. */
function writeWhole(path: string, text: string, mode: number, force: boolean): void {
  const fs = process.getBuiltinModule("node:fs");
  const { randomBytes } = process.getBuiltinModule("node:crypto");
  const target = force ? `${path}.${randomBytes(6).toString("hex")}` : path;
  const handle = openNew(target, mode);
  try {
    try {
      fs.writeFileSync(handle, text);
      fs.fsyncSync(handle);
    } finally {
      fs.closeSync(handle);
    }
    if (force) fs.renameSync(target, path);
  } catch (error) {
    fs.rmSync(target, { force: true });
    throw error;
  }
}

function openNew(path: string, mode: number): number {
  try {
    return process.getBuiltinModule("node:fs").openSync(path, "wx", mode);
  } catch (error) {
    throw (error as NodeJS.ErrnoException).code === "EEXIST" ? existing(path) : error;
  }
}
