import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { track } from "./support.ts";

/** A new directory that is removed after the test. */
export function temporaryFolder(): string {
  const path = mkdtempSync(join(tmpdir(), "zerobind-keys-"));
  track({ close: () => rmSync(path, { recursive: true, force: true }) });
  return path;
}

/** Writes a file that nobody else may read, and gives its path. */
export function privateFile(text: string, name = "some.cert_secret", folder: string = temporaryFolder()): string {
  const path = join(folder, name);
  writeFileSync(path, text, { mode: 0o600 });
  return path;
}
