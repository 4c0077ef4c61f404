import { readdirSync, statSync } from "node:fs";
import { join } from "node:path";

/** The secret certificate at a path: the file itself, or the only one in a directory. */
export function secretCertificate(path: string): { file: string } {
  if (!statSync(path, { throwIfNoEntry: false })?.isDirectory()) return { file: path };
  const secrets = readdirSync(path).filter((name) => name.endsWith("_secret"));
  const [only, ...others] = secrets;
  if (only === undefined)
    throw new Error(`${path} has no secret certificate; make one: npx zerobind keygen --out ${path} --name server`);
  if (others.length > 0)
    throw new Error(`${path} has several secret certificates (${secrets.join(", ")}); name the file`);
  return { file: join(path, only) };
}
