import type { FSWatcher, Stats } from "node:fs";
import type { Principal } from "@zerobind/core";
import { CertificateError, parseCertificate } from "./certificate.ts";
import { checkPublicKey } from "./keys.ts";
import { principalOf, rolesOf, samePrincipal } from "./principal.ts";
import { WatchTimes } from "./watch-times.ts";

/** One file, as it was when it was last looked at. */
interface CertificateFile {
  /** Changes with the file; undefined if it may have changed without that. */
  readonly stamp: string | undefined;
  readonly key?: string;
  readonly principal?: Principal;
  /** Why the file does not count, or what is odd about it. */
  readonly problem?: string | undefined;
}

interface DirectoryListener {
  /** Keys that count no longer, or stand for somebody else. */
  changed(keys: readonly string[]): void;
  warn(warning: string): void;
}

const maxFileBytes = 65_536;
/** Clocks of file systems are coarse: what changed shortly before it was read may have changed again unseen. */
const settledMs = 2_000;
/** Says nothing of the file: this process, or the disk, is in trouble, and what was known of it stands. */
const passing: ReadonlySet<string> = new Set(["EMFILE", "ENFILE", "EIO", "ENOMEM", "EAGAIN", "EBUSY", "ESTALE"]);

/**
 * The public certificates in a directory, `*.cert`, `*.key`, `*.pub` and `*.txt`, kept up to date while it is open.
 * Files that are broken do not count, nor does a key that stands for different principals in two files; both are warned
 * of once.
 */
export class CertificateDirectory {
  readonly path: string;
  readonly #what: string;
  readonly #times: WatchTimes = new WatchTimes(() => this.reload());
  #listener: DirectoryListener | undefined;
  #files: ReadonlyMap<string, CertificateFile> = new Map();
  #principals: ReadonlyMap<string, Principal> = new Map();
  /** What is wrong at present. */
  #problems: ReadonlySet<string> = new Set();
  #running: Promise<void> | undefined;
  #next: Promise<void> | undefined;
  #watcher: FSWatcher | undefined;
  /** Which directory is watched: another may come to have its name. */
  #watched: string | undefined;

  constructor(path: string, what: string) {
    this.path = process.getBuiltinModule("node:path").resolve(path);
    this.#what = what;
  }

  /** Reads the directory, and goes on noticing what changes. Rejects if it cannot be read. */
  async open(listener: DirectoryListener): Promise<void> {
    try {
      await process.getBuiltinModule("node:fs").promises.readdir(this.path);
    } catch (cause) {
      const { code = "", message } = cause as NodeJS.ErrnoException;
      const reason =
        code === "ENOENT" ? "there is no such directory; make it, and put the public certificates there" : message;
      throw Object.assign(new Error(`${this.#what}: cannot read ${this.path}: ${reason}`, { cause }), { code });
    }
    this.#listener = listener;
    this.#times.open();
    await this.reload();
  }

  principal(key: string): Principal | undefined {
    return this.#principals.get(key);
  }

  /** Reads what has changed, once it is its turn: askers cannot make it read all the time. */
  lookAgain(): Promise<void> {
    return this.#times.inTurn();
  }

  /** Reads what has changed, from now on. Never rejects. */
  reload(): Promise<void> {
    // One that is under way may have passed by what just changed.
    if (this.#running) return (this.#next ??= this.#running.then(() => ((this.#next = undefined), this.reload())));
    return (this.#running = this.#times.measure(() => this.#read()).finally(() => (this.#running = undefined)));
  }

  close(): void {
    this.#listener = undefined;
    this.#times.close();
    this.#watcher?.close();
    this.#watcher = this.#watched = undefined;
    this.#files = this.#principals = new Map<string, never>();
    this.#problems = new Set();
  }

  async #read(): Promise<void> {
    const problems = new Set<string>();
    const files = await this.#list(problems);
    if (this.#listener === undefined) return;
    if (files !== undefined) {
      this.#files = files;
      const before = this.#principals;
      this.#principals = principalsOf(files, problems);
      const changed = [...before].filter(([key, principal]) => !samePrincipal(principal, this.#principals.get(key)));
      if (changed.length > 0) this.#listener.changed(changed.map(([key]) => key));
    }
    const news = [...problems].filter((problem) => !this.#problems.has(problem));
    this.#problems = problems;
    for (const problem of news) this.#listener?.warn(`${this.#what}: ${this.path}${problem}`);
  }

  /** The files as they are now; undefined if that cannot be told. */
  async #list(problems: Set<string>): Promise<Map<string, CertificateFile> | undefined> {
    const { readdir, stat } = process.getBuiltinModule("node:fs").promises;
    const files = new Map<string, CertificateFile>();
    try {
      this.#watch(await stat(this.path), problems);
      const names = (await readdir(this.path)).filter((name) => /^[^.].*\.(cert|key|pub|txt)$/.test(name));
      for (const name of names.toSorted()) {
        const file = await this.#look(name);
        if (file === undefined) continue;
        files.set(name, file);
        if (file.problem !== undefined) problems.add(`/${name} ${file.problem}`);
      }
      if (files.size === 0) problems.add(" has no public certificates (*.cert, *.key, *.pub, *.txt): it admits nobody");
      return files;
    } catch (error) {
      const { code = "", message } = error as NodeJS.ErrnoException;
      const gone = code === "ENOENT" || code === "ENOTDIR";
      problems.add(gone ? " is there no more: it admits nobody" : ` cannot be read, so what it had stands: ${message}`);
      return gone ? files : undefined;
    }
  }

  /** Whatever cannot be watched, or does not tell, is noticed by looking at it now and then. */
  #watch(stats: Stats, problems: Set<string>): void {
    if (writableByAll(stats))
      problems.add(" may be written by everybody on this machine, and so admit them; run chmod o-w");
    const identity = `${stats.dev}:${stats.ino}`;
    if (this.#listener === undefined || identity === this.#watched) return;
    this.#watched = identity;
    this.#watcher?.close();
    try {
      this.#watcher = process
        .getBuiltinModule("node:fs")
        .watch(this.path, { persistent: false }, () => this.#times.soon());
      this.#watcher.on("error", () => this.#watcher?.close());
    } catch {
      this.#watcher = undefined;
    }
  }

  async #look(name: string): Promise<CertificateFile | undefined> {
    const { readFile, stat } = process.getBuiltinModule("node:fs").promises;
    const path = `${this.path}/${name}`;
    const known = this.#files.get(name);
    try {
      const stats = await stat(path);
      const stamp = stampOf(stats);
      if (known?.stamp === stamp) return known;
      const settled = Date.now() - stats.ctimeMs > settledMs ? stamp : undefined;
      if (!stats.isFile()) return { stamp: settled, problem: "is no file" };
      if (stats.size > maxFileBytes) return { stamp: settled, problem: "is too large for a certificate" };
      return { stamp: settled, ...readCertificate(name, await readFile(path, "utf8"), writableByAll(stats)) };
    } catch (error) {
      const { code = "", message } = error as NodeJS.ErrnoException;
      if (code === "ENOENT") return undefined;
      const problem = `cannot be read: ${message}`;
      return passing.has(code) ? { ...known, stamp: undefined, problem } : { stamp: undefined, problem };
    }
  }
}

function stampOf({ dev, ino, size, mode, mtimeMs, ctimeMs }: Stats): string {
  return [dev, ino, size, mode, mtimeMs, ctimeMs].join(" ");
}

function writableByAll({ mode }: Stats): boolean {
  return process.platform !== "win32" && (mode & 0o002) !== 0;
}

function readCertificate(name: string, text: string, writable: boolean): Omit<CertificateFile, "stamp"> {
  try {
    const { publicKey, secretKey, metadata } = parseCertificate(text);
    const key = checkPublicKey(publicKey, "does not count");
    const given = {
      name: metadata.get("name") ?? name.replace(/\.\w+$/, ""),
      roles: rolesOf(metadata.get("roles") ?? ""),
    };
    const principal = principalOf(given, "does not count");
    return { key, principal, problem: oddity(secretKey, writable) };
  } catch (error) {
    const { message } = error as Error;
    return { problem: error instanceof CertificateError ? `does not count: it ${message}` : message };
  }
}

function oddity(secretKey: string | undefined, writable: boolean): string | undefined {
  if (writable) return "may be written by everybody on this machine, who may put a key of theirs there; run chmod o-w";
  // CZMQ writes one of zeros where it knows none.
  return secretKey === undefined || /^0+$/.test(secretKey)
    ? undefined
    : "has a secret key, which should be nowhere but with its owner; the public certificate is enough";
}

function principalsOf(files: ReadonlyMap<string, CertificateFile>, problems: Set<string>): Map<string, Principal> {
  const principals = new Map<string, Principal>();
  const first = new Map<string, string>();
  const disputed = new Set<string>();
  for (const [name, { key, principal }] of files) {
    if (key === undefined || principal === undefined) continue;
    const other = first.get(key);
    if (other === undefined) first.set(key, name);
    else if (!samePrincipal(principals.get(key), principal)) {
      disputed.add(key);
      problems.add(`: ${other} and ${name} have the same key for different principals, so neither counts; remove one`);
    }
    principals.set(key, principal);
  }
  for (const key of disputed) principals.delete(key);
  return principals;
}
