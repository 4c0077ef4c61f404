import { CodegenError, generate } from "@zerobind/codegen";
import type { GenerateOptions } from "@zerobind/codegen";
import type { Terminal } from "./terminal.ts";
import { ExitStatus } from "./usage-error.ts";

/** The options of `zerobind generate`, as the command line has them. */
export interface GenerateFlags {
  readonly out: string;
  readonly protoPath?: readonly string[];
  readonly runtime?: string;
  readonly importExtension?: NonNullable<GenerateOptions["importExtension"]>;
  readonly check?: boolean;
}

/** Generates code, or checks it, and gives the exit status. */
export async function runGenerate(
  protos: readonly string[],
  flags: GenerateFlags,
  { stdout, stderr }: Terminal,
): Promise<number> {
  const { protoPath, check = false, ...rest } = flags;
  try {
    const { files, changed } = await generate({ protos, check, ...rest, ...(protoPath && { protoPaths: protoPath }) });
    if (check && changed.length > 0) {
      stderr.write(
        `not up to date:\n${changed.map((file) => `  ${file}\n`).join("")}run the same command without --check to write ${changed.length === 1 ? "it" : "them"}\n`,
      );
      return ExitStatus.FAILED;
    }
    const unchanged = files.length - changed.length;
    stdout.write(
      changed.map((file) => `wrote ${file}\n`).join("") +
        (unchanged > 0 ? `${unchanged} of ${files.length} files up to date\n` : ""),
    );
    return ExitStatus.OK;
  } catch (error) {
    if (!(error instanceof CodegenError)) throw error;
    stderr.write(`${error.message}\n`);
    return ExitStatus.FAILED;
  }
}
