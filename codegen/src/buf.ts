import { spawn } from "node:child_process";
import { mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fromBinary } from "@bufbuild/protobuf";
import { FileDescriptorSetSchema, type FileDescriptorProto } from "@bufbuild/protobuf/wkt";
import { CodegenError, type Problem } from "./codegen-error.ts";

/**
 * Compiles the files, given by their import names, to descriptors of them and of all they import. Works in a folder
 * of its own that is gone afterwards, and without network. Throws a CodegenError with the names as given.
 */
export async function compileProtos(files: ReadonlyMap<string, string>): Promise<FileDescriptorProto[]> {
  const folder = await mkdtemp(join(tmpdir(), "zerobind-"));
  try {
    const protos = join(folder, "protos");
    for (const [name, text] of files) {
      const path = join(protos, name);
      await mkdir(dirname(path), { recursive: true });
      await writeFile(path, text);
    }
    // Without a configuration of its own, buf would look for one in the folders above.
    await writeFile(join(protos, "buf.yaml"), "version: v2\n");
    const image = join(folder, "image.binpb");
    const { code, stderr } = await runBuf(
      ["build", ".", "--error-format", "json", "-o", image],
      protos,
      join(folder, "cache"),
    );
    if (code !== 0) throw new CodegenError(parseErrors(stderr));
    return fromBinary(FileDescriptorSetSchema, await readFile(image)).file;
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

function runBuf(args: readonly string[], cwd: string, cache: string): Promise<{ code: number | null; stderr: string }> {
  const script = createRequire(import.meta.url).resolve("@bufbuild/buf/bin/buf");
  return new Promise((done, fail) => {
    const child = spawn(process.execPath, [script, ...args], {
      cwd,
      env: { ...process.env, BUF_CACHE_DIR: cache },
      stdio: ["ignore", "ignore", "pipe"],
    });
    let stderr = "";
    child.stderr.setEncoding("utf8").on("data", (text: string) => (stderr += text));
    child.once("error", fail);
    child.once("close", (code) => done({ code, stderr }));
  });
}

/** One line of `buf build --error-format json`. */
interface BufError {
  readonly path?: string;
  readonly start_line?: number;
  readonly start_column?: number;
  readonly message?: string;
}

function parseErrors(stderr: string): Problem[] {
  const problems = stderr
    .split("\n")
    .filter((line) => line.trim() !== "")
    .map(parseError);
  return problems.length > 0 ? problems : [{ message: "buf failed without saying why." }];
}

function parseError(line: string): Problem {
  if (!line.startsWith("{")) return { message: line };
  const { path, start_line, start_column, message = line } = JSON.parse(line) as BufError;
  return {
    message,
    ...(path === undefined ? {} : { file: path }),
    ...(start_line === undefined ? {} : { line: start_line }),
    ...(start_column === undefined ? {} : { column: start_column }),
  };
}
