import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, readdirSync, statSync } from "node:fs";
import { delimiter, join } from "node:path";
import type { Programs } from "./children.ts";

/** A program that a subject cannot do without. */
export interface Need {
  /** What has to be found: a command, or a file. */
  readonly command: string;
  /** Where Debian has it. */
  readonly packages: readonly string[];
}

export const natsServer: Need = { command: "nats-server", packages: ["nats-server"] };
export const grpcCpp: Need = {
  command: "grpc_cpp_plugin",
  packages: ["g++", "libgrpc++-dev", "protobuf-compiler", "protobuf-compiler-grpc"],
};

/** Why a subject cannot run, or undefined if it can. With `install`, Debian's packages are put in place first. */
export function missing({ command, packages }: Need, install: boolean): string | undefined {
  if (which(command) !== undefined) return undefined;
  const apt = ["install", "-y", ...packages];
  if (!install) return `${command} is not installed; on Debian: apt-get ${apt.join(" ")}, or --install as root`;
  const { status } = spawnSync("apt-get", apt, { stdio: ["ignore", 2, 2] });
  return status === 0 && which(command) !== undefined ? undefined : `apt-get ${apt.join(" ")} failed`;
}

/** Where a command is. */
function which(command: string): string | undefined {
  const folders = (process.env["PATH"] ?? "").split(delimiter);
  return folders.map((folder) => join(folder, command)).find((path) => existsSync(path));
}

/** Compiles the programs of gRPC for C++ unless they are newer than their sources. Throws if that fails. */
export function buildGrpcCpp(): Programs {
  const root = join(import.meta.dirname, "../..");
  const sources = join(root, "benchmarks/native");
  const out = join(root, "benchmarks/.tmp/native");
  const proto = join(root, "protos/benchmarks/v1/echo.proto");
  mkdirSync(out, { recursive: true });
  const programs = { server: join(out, "server"), client: join(out, "client") };
  const newest = [proto, ...readdirSync(sources).map((name) => join(sources, name))].map(
    (path) => statSync(path).mtimeMs,
  );
  const upToDate = Object.values(programs).every(
    (path) => existsSync(path) && statSync(path).mtimeMs > Math.max(...newest),
  );
  if (upToDate) return programs;
  console.error("compiling gRPC's C++ programs");
  const plugin = `--plugin=protoc-gen-grpc=${which("grpc_cpp_plugin")}`;
  run("protoc", ["-I", join(root, "protos"), `--cpp_out=${out}`, `--grpc_out=${out}`, plugin, proto]);
  const generated = ["pb", "grpc.pb"].map((kind) => join(out, `benchmarks/v1/echo.${kind}.cc`));
  // gRPC's headers use more libraries than its own, which change with its version.
  const libraries = ["-Wl,--copy-dt-needed-entries", "-lgrpc++", "-lgrpc", "-lgpr", "-lprotobuf", "-pthread"];
  for (const [name, path] of Object.entries(programs)) {
    const inputs = [join(sources, `${name}.cc`), ...generated];
    run("g++", ["-std=c++17", "-O2", "-I", out, ...inputs, "-o", path, ...libraries]);
  }
  return programs;
}

function run(command: string, args: readonly string[]): void {
  const { status, error } = spawnSync(command, args, { stdio: ["ignore", 2, 2] });
  if (status !== 0) throw new Error(`${command} failed${error ? `: ${error.message}` : ""}`);
}
