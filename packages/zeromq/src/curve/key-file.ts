import { decodeZ85 } from "./z85.ts";

/** Certificates are far smaller; what is larger is something else. */
const maxFileBytes = 65_536;

/*
 * Here and beside this file, Node's modules are loaded by the functions that need them: most programs that load this
 * package have no keys.
 */

/**
 * The text of a file that has keys. Error, naming the file and what to do, if it cannot be read or is no regular file,
 * and with `secret` also if others than its owner may read it.
 */
export function readKeyFile(path: string, what: string, secret: boolean): string {
  const { closeSync, constants, fstatSync, openSync, readFileSync } = process.getBuiltinModule("node:fs");
  let handle: number;
  try {
    // Without waiting, as a named pipe would make it.
    handle = openSync(path, constants.O_RDONLY | (constants.O_NONBLOCK ?? 0));
  } catch (error) {
    throw fileError(path, what, error);
  }
  try {
    const stats = fstatSync(handle);
    if (!stats.isFile()) throw new Error(`${what}: ${path} is no regular file`);
    if (stats.size > maxFileBytes)
      throw new Error(`${what}: ${path} is no certificate: it has more than ${maxFileBytes} bytes`);
    const text = readFileSync(handle, "utf8");
    // A public certificate is for everybody, and refused for another reason.
    if (secret && (!/public-key/.test(text) || /secret-key/.test(text))) checkPrivate(path, what, stats.mode);
    return text;
  } finally {
    closeSync(handle);
  }
}

/** Windows has no such bits; there the folder's own protection has to do. */
function checkPrivate(path: string, what: string, mode: number): void {
  if (process.platform === "win32" || (mode & 0o077) === 0) return;
  const bits = (mode & 0o777).toString(8).padStart(4, "0");
  throw new Error(
    `${what}: ${path} has a secret key, and others than its owner may use the file (mode ${bits}); run: chmod 600 ${quoted(path)}` +
      " and, if others may have read it, make new keys",
  );
}

function quoted(path: string): string {
  return /^[\w./@+-]+$/.test(path) ? path : `'${path.replaceAll("'", String.raw`'\''`)}'`;
}

const reasons: Readonly<Record<string, string>> = {
  ENOENT: "there is no such file; zerobind keygen makes one",
  EACCES: "this process may not read it",
  EISDIR: "it is a directory",
  ENOTDIR: "its directory is none",
};

function fileError(path: string, what: string, cause: unknown): Error {
  const { code = "", message } = cause as NodeJS.ErrnoException;
  // Not with the cause, which shows it too.
  if (/[\r\n]/.test(path) || (path.length === 40 && decodeZ85(path)))
    return new TypeError(
      `${what}: file must be the name of a file, and there is none of what was given; it is not shown, since it may be a key, which goes without { file }`,
    );
  return Object.assign(new Error(`${what}: cannot read ${path}: ${reasons[code] ?? message}`, { cause }), { code });
}
